//! The configuration of ejection: `router.ejection`, and an upstream's own `ejection`, which overrides it.

use super::reader::{ConfigError, Node, Object};
use crate::health::Policy;

const FIELDS: [&str; 7] =
    ["consecutive_failures", "time", "max_time", "failure_percent", "min_requests", "window", "max_retry_after"];

/// Reads `router.ejection`: the policy, and the largest percentage of a model's targets that may be out.
pub(super) fn read_defaults(node: Option<Node<'_>>) -> Result<(Policy, u32), ConfigError> {
    let Some(node) = node else {
        return Ok((Policy::default(), 100));
    };
    let known: Vec<&str> = FIELDS.iter().copied().chain(["max_ejected_percent"]).collect();
    let fields = node.object(&known)?;
    let percent = fields.get("max_ejected_percent").map_or(Ok(100), |node| node.integer(0, 100))?;
    Ok((policy(&fields, &Policy::default())?, percent))
}

/// Reads the fields; `defaults` has the values of missing ones.
pub(super) fn read(node: Option<Node<'_>>, defaults: &Policy) -> Result<Policy, ConfigError> {
    match node {
        Some(node) => policy(&node.object(&FIELDS)?, defaults),
        None => Ok(*defaults),
    }
}

fn policy(fields: &Object<'_>, defaults: &Policy) -> Result<Policy, ConfigError> {
    let number = |name: &str, default, min| fields.get(name).map_or(Ok(default), |node| node.integer(min, 1_000_000));
    let duration = |name: &str, default| fields.get(name).map_or(Ok(default), |node| node.duration());
    let failure_percent = match fields.get("failure_percent") {
        Some(node) => Some(node.integer(1, 100)?),
        None => defaults.failure_percent,
    };
    let time = duration("time", defaults.time)?;
    let policy = Policy {
        consecutive_failures: number("consecutive_failures", defaults.consecutive_failures, 1)?,
        time,
        max_time: duration("max_time", defaults.max_time.max(time))?,
        failure_percent,
        min_requests: number("min_requests", defaults.min_requests, 1)?,
        window: duration("window", defaults.window)?,
        max_retry_after: duration("max_retry_after", defaults.max_retry_after)?,
    };
    if policy.max_time < policy.time {
        let node = fields.get("max_time").map_or_else(|| fields.require("time"), Ok)?;
        return Err(node.error("`max_time` is shorter than `time`; it is the longest that `time` grows to"));
    }
    Ok(policy)
}
