//! Services that the gateway itself calls.

use std::time::Duration;

use super::credential::{key_of, Environment};
use super::headers::is_header_value;
use super::reader::{ConfigError, Node, Object};
use crate::callout::Service;
use crate::routing::Secret;

/// The fields of a service.
pub const FIELDS: &[&str] = &["cluster", "path", "authority", "credential", "timeout"];

/// The longest timeout.
pub(super) const MAX_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a service with this default path and timeout.
pub(super) fn read(
    fields: &Object<'_>,
    path: &str,
    timeout: Duration,
    environment: Environment<'_>,
) -> Result<Service, ConfigError> {
    let cluster = fields.require("cluster")?.text()?.to_owned();
    let text = |name: &str, default: &str| match fields.get(name) {
        Some(node) if is_header_value(node.text()?) => node.text().map(str::to_owned),
        Some(node) => Err(node.error("contains characters that cannot stand in a header")),
        None => Ok(default.to_owned()),
    };
    let path = text("path", path)?;
    if !path.starts_with('/') {
        return Err(fields.require("path")?.error("must start with \"/\""));
    }
    let timeout = fields.get("timeout").map_or(Ok(timeout), |node| node.duration())?;
    if timeout > MAX_TIMEOUT {
        return Err(fields.require("timeout")?.error("must be 30s or less: a client waits for it"));
    }
    let key = fields.get("credential").map(|node| key(&node, environment)).transpose()?;
    Ok(Service { path, authority: text("authority", &cluster)?, cluster, key, timeout })
}

fn key(node: &Node<'_>, environment: Environment<'_>) -> Result<Secret, ConfigError> {
    key_of(&node.object(&["env"])?.require("env")?, environment).map(Secret::new)
}
