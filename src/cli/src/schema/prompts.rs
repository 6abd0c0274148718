//! The fields of the prompt library and of the text endpoints.

use serde_json::{json, Value};
use sluice::config::BUILTIN_FIELDS;

use super::parts::{fields, reference, text, whole};

/// `prompts`.
pub fn prompts() -> Value {
    let languages = json!({"type": "object", "additionalProperties": {"type": "string", "minLength": 1}});
    json!({"type": "object", "additionalProperties": languages})
}

/// `builtin`.
pub fn builtin() -> Value {
    fields(BUILTIN_FIELDS, |name| match name {
        "max_texts" => whole(1, 1000),
        "parallel" => whole(1, 64),
        "timeout" => reference("duration"),
        "model" => text("one of `models`"),
        "language" => text("such as en or pt-BR"),
        _ => text("a cluster"),
    })
}
