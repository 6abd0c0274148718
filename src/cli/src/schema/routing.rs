//! The schema of strategies, retries and ejection.

use serde_json::{json, Value};
use sluice::routing::{RetryOn, STRATEGIES};

use super::parts::{fields, object, one_of, reference, whole};

pub(super) fn strategy() -> Value {
    let with_options = STRATEGIES.iter().map(|strategy| {
        let mut object = fields(&[&["name"], strategy.options].concat(), |_| json!({}));
        if let Some(name) = object.pointer_mut("/properties/name") {
            *name = json!({"const": strategy.name});
        }
        object
    });
    let names = one_of(STRATEGIES.iter().map(|strategy| strategy.name));
    json!({"anyOf": std::iter::once(names).chain(with_options).collect::<Vec<_>>()})
}

pub(super) fn retry(name: &str) -> Value {
    match name {
        "on" => {
            json!({"type": "array", "items": {"anyOf": [one_of(RetryOn::KINDS.map(|(name, _)| name)), {"type": "integer"}]}})
        }
        "max_attempts" => whole(1, 1000),
        "per_try_timeout" => {
            json!({"anyOf": [reference("duration"), fields(&["stream", "json"], |_| reference("duration"))]})
        }
        "deadline" => reference("duration"),
        "budget" => object(&["percent", "min_per_second"], |_| json!({"type": "integer", "minimum": 0}), &["percent"]),
        _ => json!({}),
    }
}

pub(super) const EJECTION: [&str; 7] =
    ["consecutive_failures", "time", "max_time", "failure_percent", "min_requests", "window", "max_retry_after"];

pub(super) fn ejection(name: &str) -> Value {
    match name {
        "consecutive_failures" | "min_requests" => whole(1, 1_000_000),
        "failure_percent" => whole(1, 100),
        "max_ejected_percent" => whole(0, 100),
        _ => reference("duration"),
    }
}
