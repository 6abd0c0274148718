//! The configuration of the ledger.

use std::time::Duration;

use super::credential::{is_variable_name, unset, Environment};
use super::reader::{ConfigError, Node};
use crate::fleet::{FleetToken, LedgerService};

/// The fields of `auth.ledger`.
pub const LEDGER_FIELDS: &[&str] = &["cluster", "start_timeout", "token"];

/// The longest that the first requests wait.
const MAX_START_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads `ledger`.
///
/// # Errors
/// The first mistake, with its path.
pub(super) fn read(node: &Node<'_>, environment: Environment<'_>) -> Result<LedgerService, ConfigError> {
    let fields = node.object(LEDGER_FIELDS)?;
    let cluster = fields.require("cluster")?;
    let name = cluster.text()?;
    if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
        return Err(cluster.error("must be 1 to 256 bytes, without control characters"));
    }
    let start_timeout = match fields.get("start_timeout") {
        Some(node) => Some(node.duration()?)
            .filter(|timeout| *timeout <= MAX_START_TIMEOUT)
            .ok_or_else(|| node.error("must be 30s or less: the first requests wait for it"))?,
        None => Duration::from_secs(2),
    };
    let token = fields.get("token").map(|node| token(&node, environment)).transpose()?;
    Ok(LedgerService { cluster: name.to_owned(), start_timeout, token })
}

fn token(node: &Node<'_>, environment: Environment<'_>) -> Result<FleetToken, ConfigError> {
    let env = node.object(&["env"])?.require("env")?;
    let name = env.text()?;
    if !is_variable_name(name) {
        // not quoted, because it may be the token itself, pasted by mistake
        return Err(env.error("is not the name of an environment variable; put the token itself into the variable"));
    }
    let value = environment(name).filter(|value| !value.is_empty()).ok_or_else(|| unset(&env))?;
    FleetToken::new(value)
        .ok_or_else(|| env.error(format!("the value of {name} must be visible ASCII, without spaces")))
}
