//! OpenAI and Azure OpenAI.

pub mod chat;
mod chunks;
pub mod completions;
pub mod embeddings;
pub mod responses;
pub mod uploads;

use serde::Deserialize;
use serde_json::{json, Value};

use super::whole;
use crate::answer::Answer;
use crate::scene::{Scene, Spoken};

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl StreamOptions {
    fn usage_asked(options: Option<&Self>) -> bool {
        options.and_then(|options| options.include_usage).unwrap_or(false)
    }
}

/// `usage` of chat and text completions after `output` output tokens.
fn usage(input: u64, output: u64) -> Value {
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

fn finish_reason(spoken: &Spoken) -> &'static str {
    if spoken.cut {
        "length"
    } else {
        "stop"
    }
}

/// Sets `usage` if there is one to report.
fn with_usage(mut body: Value, usage: Option<&Value>) -> Value {
    if let (Some(object), Some(usage)) = (body.as_object_mut(), usage) {
        object.insert("usage".to_owned(), usage.clone());
    }
    body
}

/// `GET /v1/models`.
pub fn models(scene: &Scene<'_>) -> Answer {
    let created = scene.now.as_secs();
    let list: Vec<Value> = scene
        .listed_models()
        .into_iter()
        .map(|id| json!({"id": id, "object": "model", "created": created, "owned_by": scene.name}))
        .collect();
    whole(json!({"object": "list", "data": list}), None)
}
