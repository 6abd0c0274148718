//! Translation between dialects: tables of requests, answers and errors, and streams at every cut.

mod chat_to_converse;
mod chat_to_gemini;
mod chat_to_messages;
mod converse_streams;
mod embeddings;
mod errors;
mod messages_to_chat;
mod properties;
mod requests_of_messages;
mod responses;
mod responses_streams;
mod stream_memory;
mod streams;

use serde_json::{json, Value};
use sluice::error::ApiError;
use sluice::translate::{Pair, Platform, Reply, Target, Translated, MAX_OUTPUT_TOKENS};

/// A target with this model name.
fn target(model: &str, stream: bool) -> Target<'_> {
    Target { model, stream, include_usage: true, max_output_tokens: MAX_OUTPUT_TOKENS, platform: Platform::Own }
}

fn reply() -> Reply {
    Reply { created: 1_700_000_000, id: 0xabc, include_usage: true, prompt_tokens: 7, ..Reply::default() }
}

fn translate(pair: Pair, model: &str, request: &Value) -> Result<Translated, ApiError> {
    let stream = request["stream"] == json!(true);
    pair.request(request.to_string().as_bytes(), &target(model, stream))
}

/// The translated body, parsed as JSON.
fn body(pair: Pair, model: &str, request: &Value) -> Value {
    let translated = translate(pair, model, request).unwrap();
    serde_json::from_slice(&translated.body).unwrap()
}

fn dropped(pair: Pair, model: &str, request: &Value) -> String {
    translate(pair, model, request).unwrap().dropped.header().unwrap_or_default().to_owned()
}

/// A request with these fields and one message.
fn with(fields: Value) -> Value {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

/// Checks an answer's translation, and returns whether its finish reason was known.
fn check_answer(pair: Pair, reply: &Reply, answer: &Value, want: &Value) -> bool {
    let got = pair.answer(answer.to_string().as_bytes(), reply).unwrap();
    assert_eq!(&serde_json::from_slice::<Value>(&got.body).unwrap(), want);
    !got.unknown_reason
}
