//! The configuration of limits that several Envoys share.

use std::time::Duration;

use super::reader::{ConfigError, Node};
use crate::limits::shared::{OnFailure, Service};

/// The fields of `auth.shared`.
pub const SHARED_FIELDS: &[&str] = &["cluster", "domain", "timeout", "on_failure"];

/// The longest that a client waits for a count.
const MAX_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads `shared`.
///
/// # Errors
/// The first mistake, with its path.
pub(super) fn read(node: &Node<'_>) -> Result<Service, ConfigError> {
    let fields = node.object(SHARED_FIELDS)?;
    let name = |name: &str| {
        let node = fields.require(name)?;
        let text = node.text()?;
        match text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
            true => Err(node.error("must be 1 to 256 bytes, without control characters")),
            false => Ok(text.to_owned()),
        }
    };
    let timeout = match fields.get("timeout") {
        Some(node) => Some(node.duration()?)
            .filter(|timeout| *timeout <= MAX_TIMEOUT)
            .ok_or_else(|| node.error("must be 5s or less: each request waits for it"))?,
        None => Duration::from_millis(20),
    };
    let choices = [("local", OnFailure::Local), ("deny", OnFailure::Deny)];
    Ok(Service {
        cluster: name("cluster")?,
        domain: match fields.get("domain") {
            Some(_) => name("domain")?,
            None => "sluice".to_owned(),
        },
        timeout,
        on_failure: fields.get("on_failure").map_or(Ok(OnFailure::Local), |node| node.choice(&choices))?,
    })
}
