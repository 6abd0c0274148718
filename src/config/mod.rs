//! The filters' configuration: plain YAML in envoy.yaml (`google.protobuf.Struct`), or JSON in a
//! `google.protobuf.StringValue`. A mistake refuses the start with the field's path and the fix; invalid values never
//! become defaults silently.

mod auth;
mod cache;
mod credential;
mod ejection;
mod guard;
mod headers;
mod joined;
mod kinds;
mod ledger;
mod limits;
mod metering;
mod oidc;
mod paths;
mod presets;
mod price;
mod prompts;
mod protobuf_struct;
mod reader;
mod retry;
mod router;
mod semantic;
mod service;
mod shared_limits;
mod suggestion;
mod tools;
mod units;
mod usage;

pub(crate) use auth::read_labels;
pub use auth::{auth, AUTH_FIELDS, LABEL_LIMIT_FIELDS};
pub use cache::{CACHE_FIELDS, REDIS_FIELDS};
pub use credential::Environment;
pub use guard::{guard, GUARD_FIELDS};
pub use joined::Joined;
pub use kinds::{CHOOSE_FIELDS, KIND_FIELDS, RULE_FIELDS, VIRTUAL_FIELDS};
pub use ledger::LEDGER_FIELDS;
pub(crate) use limits::read as read_limits;
pub use limits::LIMIT_FIELDS;
pub use paths::PATH_FIELDS;
pub use presets::preset_fields;
pub use price::PRICE_FIELDS;
pub use prompts::{BUILTIN_FIELDS, SELF_CLUSTER};
pub use reader::{ConfigError, Node, Object};
pub use router::{router, MODEL_FIELDS, ROUTER_FIELDS, UPSTREAM_FIELDS};
pub use semantic::{CHROMA_FIELDS, SEMANTIC_FIELDS};
pub use service::FIELDS as SERVICE_FIELDS;
pub use shared_limits::SHARED_FIELDS;
pub(crate) use tools::read as read_tools;
pub use usage::{usage, Reports};

/// A digest of a filter's configuration: the same for a Struct and for JSON in any order.
///
/// # Errors
/// It is neither.
pub fn digest(root: &str, bytes: &[u8]) -> Result<[u8; 16], ConfigError> {
    let value = reader::parse(root, bytes)?;
    Ok(crate::cache::config_digest(&[&Node::root(root, &value).to_json()]))
}

/// Reads the configuration of a filter without settings (yet): empty, or an empty object.
///
/// # Errors
/// Names the unexpected field.
pub fn none(root: &str, bytes: &[u8]) -> Result<(), ConfigError> {
    let value = reader::parse(root, bytes)?;
    Node::root(root, &value).object(&[]).map(|_| ())
}
