//! `access_log`: where the records of requests go, besides or instead of standard output.

use serde_json::Value;
use sluice::config::{ConfigError, Node};

use super::{Cluster, Reader, Short};
use crate::yaml::Tree;

/// The fields of `access_log`.
pub(crate) const FIELDS: &[&str] = &["file", "cluster"];

impl Reader<'_> {
    /// Checks the fields; [`Short::log_file`] and [`Short::log_cluster`] read them.
    pub(super) fn access_log(&mut self) {
        let json = self.tree.get("access_log").map(Tree::json).filter(|json| *json != Value::Null);
        let check = |json: &Value| -> Result<(), ConfigError> {
            let fields = Node::root("access_log", json).object(FIELDS)?;
            FIELDS.iter().filter_map(|name| fields.get(name)).try_for_each(|node| node.text().map(|_| ()))
        };
        if let Some(Err(error)) = json.as_ref().map(check) {
            self.take(&error);
        }
    }
}

impl Short {
    /// The file for the access log; `None`: standard output.
    pub(crate) fn log_file(&self) -> Option<&str> {
        self.tree.at(&["access_log", "file"]).and_then(Tree::text)
    }

    /// The service that gets each record over gRPC.
    pub(crate) fn log_cluster(&self) -> Option<&str> {
        log_cluster(&self.tree)
    }
}

fn log_cluster(tree: &Tree) -> Option<&str> {
    tree.at(&["access_log", "cluster"]).and_then(Tree::text)
}

/// Services that speak gRPC get HTTP/2.
pub(super) fn use_http2(services: &mut [Cluster], tree: &Tree) {
    let shared = tree.at(&["shared", "cluster"]).and_then(Tree::text);
    for service in services {
        let name = Some(service.name.as_str());
        service.http2 = name == shared || name == log_cluster(tree);
    }
}
