//! The configuration of retries: `router.retry`, and a model's own `retry`, which overrides it.

use std::time::Duration;

use super::reader::{ConfigError, Node, Object};
use crate::routing::{Budget, Retry, RetryOn, MAX_TARGETS};

/// Reads the fields; `defaults` has the values of missing ones.
pub(super) fn read(node: Option<Node<'_>>, defaults: &Retry) -> Result<Retry, ConfigError> {
    let mut retry = defaults.clone();
    let Some(node) = node else {
        return Ok(retry);
    };
    let fields = node.object(&["on", "max_attempts", "per_try_timeout", "deadline", "budget"])?;
    if let Some(node) = fields.get("on") {
        retry.on = on(&node)?;
    }
    if let Some(node) = fields.get("max_attempts") {
        retry.max_attempts = node.integer(1, MAX_TARGETS as u32)? as usize;
    }
    if let Some(node) = fields.get("per_try_timeout") {
        (retry.stream_timeout, retry.json_timeout) = per_try_timeout(&node, &retry)?;
    }
    if let Some(node) = fields.get("deadline") {
        retry.deadline = Some(node.duration()?);
    }
    if let Some(node) = fields.get("budget") {
        retry.budget = Some(budget(&node.object(&["percent", "min_per_second"])?)?);
    }
    Ok(retry)
}

/// Statuses can be numbers or text.
fn on(node: &Node<'_>) -> Result<RetryOn, ConfigError> {
    node.list()?.iter().try_fold(RetryOn::NONE, |on, node| Ok(on.and(node.choice(&RetryOn::KINDS)?)))
}

/// One duration for both, or one for streams and one for JSON answers.
fn per_try_timeout(node: &Node<'_>, defaults: &Retry) -> Result<(Option<Duration>, Option<Duration>), ConfigError> {
    if node.is_text() {
        let timeout = Some(node.duration()?);
        return Ok((timeout, timeout));
    }
    if !node.is_object() {
        return Err(node.error("must be a duration such as 30s, or {stream: 30s, json: 5m}"));
    }
    let fields = node.object(&["stream", "json"])?;
    let one = |name: &str, default| fields.get(name).map_or(Ok(default), |node| node.duration().map(Some));
    Ok((one("stream", defaults.stream_timeout)?, one("json", defaults.json_timeout)?))
}

fn budget(fields: &Object<'_>) -> Result<Budget, ConfigError> {
    let percent = fields.require("percent")?.integer(0, 1000)?; // a request may be retried more than once
    let min_per_second = match fields.get("min_per_second") {
        Some(node) => node.integer(0, 1_000_000)?,
        None => 1,
    };
    Ok(Budget { percent, min_per_second })
}
