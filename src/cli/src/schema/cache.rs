//! The fields of a model's `cache`.

use serde_json::{json, Value};
use sluice::cache::semantic::MAX_VECTORS;
use sluice::config::{CACHE_FIELDS, CHROMA_FIELDS, REDIS_FIELDS, SEMANTIC_FIELDS, SERVICE_FIELDS};

use super::parts::{fields, object, one_of, reference, text, whole};

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
            memory_or("redis", &object(REDIS_FIELDS, redis, &["cluster"]))
        }
        "semantic" => {
            let names = [SERVICE_FIELDS, SEMANTIC_FIELDS].concat();
            object(&names, semantic, &["cluster", "model", "threshold"])
        }
        _ => reference("duration"),
    })
}

fn memory_or(name: &str, database: &Value) -> Value {
    let properties = json!({name: database});
    json!({"anyOf": [one_of(["memory"]), {"type": "object", "properties": properties, "required": [name], "additionalProperties": false}]})
}

fn semantic(name: &str) -> Value {
    match name {
        "model" => text("the embedding model"),
        "threshold" => json!({"type": "number", "minimum": 0, "maximum": 1}),
        "max_entries" => whole(1, MAX_VECTORS as u32),
        "max_text" => reference("size"),
        "store" => memory_or("chroma", &object(CHROMA_FIELDS, service, &["cluster", "collection"])),
        _ => service(name),
    }
}

fn service(name: &str) -> Value {
    match name {
        "credential" => reference("env"),
        "timeout" => reference("duration"),
        _ => text(""),
    }
}
