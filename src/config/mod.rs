//! The filters' configuration: plain YAML in envoy.yaml (`google.protobuf.Struct`), or JSON in a
//! `google.protobuf.StringValue`. A mistake refuses the start with the field's path and the fix; nothing is defaulted
//! over silently.

mod agreement;
mod auth;
mod ejection;
mod guard;
mod limits;
mod metering;
mod oidc;
mod protobuf_struct;
mod reader;
mod retry;
mod router;
mod usage;

pub use agreement::agree;
pub use auth::auth;
pub(crate) use auth::read_labels;
pub use guard::guard;
pub(crate) use limits::read as read_limits;
pub use reader::{ConfigError, Node, Object};
pub use router::{router, Environment};
pub use usage::{usage, Reports};

/// Reads the configuration of a filter that takes no settings (yet): empty, or an empty object.
///
/// # Errors
/// Names whatever stands there.
pub fn none(root: &str, bytes: &[u8]) -> Result<(), ConfigError> {
    let value = reader::parse(root, bytes)?;
    Node::root(root, &value).object(&[]).map(|_| ())
}

/// The filters that may be in one entry, and how.
const FILTERS: [&str; 4] = ["auth", "guard", "router", "usage"];
const CHAIN: &str = "auth+guard+router+usage";

/// Takes the configuration of several filters in one apart: an object with a field for each.
///
/// # Errors
/// A field that is none of `names`.
pub fn split(root: &str, bytes: &[u8], names: &[&str]) -> Result<Vec<Vec<u8>>, ConfigError> {
    let value = reader::parse(root, bytes)?;
    let root = Node::root(root, &value);
    for (name, node) in root.entries()? {
        if FILTERS.contains(&name) && !names.contains(&name) {
            return Err(node.error(format!("there is no such filter here; add it to root_id, as in {CHAIN}")));
        }
    }
    let fields = root.object(names)?;
    Ok(names.iter().map(|name| fields.get(name).map(|node| node.to_json()).unwrap_or_default()).collect())
}
