//! The configuration of limits, for every `limits` field.

use super::reader::{ConfigError, Node};
use crate::limits::Limits;

/// The fields of `limits`.
pub const LIMIT_FIELDS: [&str; 7] = [
    "requests_per_minute",
    "tokens_per_minute",
    "tokens_per_day",
    "tokens_per_month",
    "cost_per_day",
    "concurrency",
    "reserve_output",
];

/// Reads a `limits` object; missing limits do not apply.
///
/// # Errors
/// The first mistake, with its path.
pub(crate) fn read(node: Option<Node<'_>>) -> Result<Limits, ConfigError> {
    let Some(node) = node else {
        return Ok(Limits::default());
    };
    let fields = node.object(&LIMIT_FIELDS)?;
    let number = |name: &str| fields.get(name).map(|node| node.count()).transpose();
    let limits = Limits {
        requests_per_minute: number("requests_per_minute")?,
        tokens_per_minute: number("tokens_per_minute")?,
        tokens_per_day: number("tokens_per_day")?,
        tokens_per_month: number("tokens_per_month")?,
        microusd_per_day: fields.get("cost_per_day").map(|node| node.microusd()).transpose()?,
        concurrency: number("concurrency")?,
        reserve_output: number("reserve_output")?,
    };
    match fields.get("reserve_output") {
        Some(node) if !limits.has_token_limit() => Err(node.error(
            "is how much output tokens_per_minute, tokens_per_day and tokens_per_month reserve; set one of these beside it",
        )),
        _ => Ok(limits),
    }
}
