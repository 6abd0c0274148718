//! The fields of a virtual model.

use serde_json::{json, Value};
use sluice::config::{CHOOSE_FIELDS, KIND_FIELDS, RULE_FIELDS};
use sluice::kinds::LANGUAGES;

use super::parts::{fields, object, one_of, reference, text, texts};

/// A model's `choose`.
pub fn choose() -> Value {
    object(CHOOSE_FIELDS, of_choose, &["by", "kinds", "otherwise"])
}

/// A model has targets, or chooses.
pub fn either(mut model: Value) -> Value {
    model["oneOf"] = json!([{"required": ["targets"]}, {"required": ["choose"]}]);
    model
}

fn of_choose(name: &str) -> Value {
    match name {
        "by" => one_of(["rules", "llm", "embedding"]),
        "kinds" => {
            json!({"type": "array", "minItems": 1, "maxItems": 32, "items": object(KIND_FIELDS, kind, &["name", "model"])})
        }
        "otherwise" => text("the model for prompts of no kind, and where the service fails"),
        "upstream" => text("the upstream that is asked, by `llm` and `embedding`"),
        "model" => text("its name for the model that is asked"),
        "threshold" => json!({"type": "number", "minimum": 0, "maximum": 1}),
        "cache" => fields(&["entries", "time"], |name| match name {
            "entries" => json!({"type": "integer", "minimum": 0, "maximum": 100_000}),
            _ => reference("duration"),
        }),
        _ => reference("duration"),
    }
}

fn kind(name: &str) -> Value {
    match name {
        "name" => text("in `x-sluice-kind`, stats and logs"),
        "model" => text("the model that answers"),
        "description" => text("what the kind is, for `llm`"),
        "examples" => texts("prompts of this kind: `embedding` compares with them, and `llm` is told three"),
        _ => {
            let rule = || object(RULE_FIELDS, rule, &[]);
            json!({"anyOf": [rule(), {"type": "array", "items": rule()}]})
        }
    }
}

fn rule(name: &str) -> Value {
    match name {
        "regex" => text("has a match in the text"),
        "language" => {
            let one = || one_of(LANGUAGES);
            json!({"anyOf": [one(), {"type": "array", "items": one()}]})
        }
        "min_length" | "max_length" => json!({"type": "integer", "minimum": 0, "maximum": 1_000_000}),
        _ => json!({"type": "boolean"}),
    }
}
