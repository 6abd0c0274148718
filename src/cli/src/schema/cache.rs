//! The fields of a model's `cache`.

use serde_json::{json, Value};
use sluice::config::{CACHE_FIELDS, REDIS_FIELDS};

use super::parts::{fields, object, one_of, reference, text};

/// A model's `cache`.
pub fn cache() -> Value {
    fields(CACHE_FIELDS, |name| match name {
        "scope" => one_of(["key", "all"]),
        "max_entry" => reference("size"),
        "always" | "tools" => json!({"type": "boolean"}),
        "wait" => json!({"anyOf": [reference("duration"), {"const": false}]}),
        "store" => {
            let redis = |name: &str| match name {
                "cluster" => text("the cluster of Webdis"),
                _ => reference("duration"),
            };
            let redis = object(REDIS_FIELDS, redis, &["cluster"]);
            json!({"anyOf": [one_of(["memory"]), {"type": "object", "properties": {"redis": redis}, "required": ["redis"], "additionalProperties": false}]})
        }
        _ => reference("duration"),
    })
}
