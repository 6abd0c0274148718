//! The configuration of limits, for every `limits` field.

use super::reader::{ConfigError, Node};
use crate::limits::Limits;

/// The fields of `limits`.
pub const LIMIT_FIELDS: [&str; 11] = [
    "requests_per_minute",
    "requests_per_day",
    "requests_per_month",
    "tokens_per_minute",
    "tokens_per_day",
    "tokens_per_month",
    "cost_per_day",
    "cost_per_month",
    "concurrency",
    "reserve_output",
    "warn_at",
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
    let money = |name: &str| fields.get(name).map(|node| node.microusd()).transpose();
    let limits = Limits {
        requests_per_minute: number("requests_per_minute")?,
        requests_per_day: number("requests_per_day")?,
        requests_per_month: number("requests_per_month")?,
        tokens_per_minute: number("tokens_per_minute")?,
        tokens_per_day: number("tokens_per_day")?,
        tokens_per_month: number("tokens_per_month")?,
        microusd_per_day: money("cost_per_day")?,
        microusd_per_month: money("cost_per_month")?,
        concurrency: number("concurrency")?,
        reserve_output: number("reserve_output")?,
        warn_at: fields.get("warn_at").map(|node| percent(&node)).transpose()?,
    };
    if let Some(node) = fields.get("warn_at").filter(|_| Limits { concurrency: None, ..limits }.is_unlimited()) {
        return Err(node.error("warns of limits of requests, tokens or cost; set one of these beside it"));
    }
    match fields.get("reserve_output") {
        Some(node) if !limits.has_token_limit() => Err(node.error(
            "is how much output tokens_per_minute, tokens_per_day and tokens_per_month reserve; set one of these beside it",
        )),
        _ => Ok(limits),
    }
}

/// The percentage of a limit at which a warning is given.
fn percent(node: &Node<'_>) -> Result<u8, ConfigError> {
    let percent = node.count()?;
    let percent = u8::try_from(percent).ok().filter(|percent| (1..=100).contains(percent));
    percent.ok_or_else(|| node.error("must be a percentage from 1 to 100, such as 80"))
}
