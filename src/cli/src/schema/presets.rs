//! The fields of a model's `defaults` and `overrides`.

use serde_json::{json, Map, Value};
use sluice::config::preset_fields;
use sluice::presets::{Kind, SETTINGS};

/// A model's `defaults`, or its `overrides`.
pub fn presets(overrides: bool) -> Value {
    let names = preset_fields().into_iter().filter(|name| !(overrides && *name == "stream"));
    let properties: Map<String, Value> = names.map(|name| (name.to_owned(), setting(name))).collect();
    json!({"type": "object", "properties": properties, "additionalProperties": false})
}

/// `validate`. (YAML reads `on` and `off` as true and false.)
pub fn validate() -> Value {
    json!({"enum": ["off", "warn", "on", true, false]})
}

fn setting(name: &str) -> Value {
    let mut schema = match SETTINGS.iter().find(|setting| setting.name == name).map(|setting| setting.kind) {
        Some(Kind::Number(least, most)) => json!({"type": "number", "minimum": least, "maximum": most}),
        Some(Kind::Whole(least, most)) => json!({"type": "integer", "minimum": least as i64, "maximum": most as i64}),
        Some(Kind::Text) => json!({"type": "string", "minLength": 1}),
        Some(Kind::Flag) => json!({"type": "boolean"}),
        None => json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "object"]}}),
    };
    schema["description"] = match name {
        "system" => "the system prompt".into(),
        "max_tokens" => "the most tokens of an answer".into(),
        "stream" => "whether answers are streams".into(),
        "seed" => "of the sampling".into(),
        "temperature" | "top_p" | "top_k" | "presence_penalty" | "frequency_penalty" => {
            "see the provider's reference".into()
        }
        _ => "fields of this API alone, by its own names; an object's fields are set one by one".into(),
    };
    schema
}
