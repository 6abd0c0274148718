//! The filters' configuration: plain YAML in envoy.yaml (`google.protobuf.Struct`), or JSON in a
//! `google.protobuf.StringValue`. A mistake refuses the start with the field's path and the fix; nothing is defaulted
//! over silently.

mod auth;
mod protobuf_struct;
mod reader;
mod router;

pub use auth::auth;
pub use reader::{ConfigError, Node};
pub use router::router;

/// Reads the configuration of a filter that takes no settings (yet): empty, or an empty object.
///
/// # Errors
/// Names whatever stands there.
pub fn none(root: &str, bytes: &[u8]) -> Result<(), ConfigError> {
    let value = reader::parse(root, bytes)?;
    Node::root(root, &value).object(&[]).map(|_| ())
}
