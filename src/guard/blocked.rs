//! A complete answer that must not be shown: the same answer without its texts, ended as its provider's own filter
//! would end it. Its usage stays.

use serde_json::{json, Value};

use super::texts::{answer_passages, splice, PassageKind};
use crate::endpoint::Endpoint;

/// The finish reason in OpenAI's terms.
const REASON: &str = "content_filter";

/// The client's answer instead of `answer`.
///
/// ```
/// use sluice::endpoint::Endpoint;
/// use sluice::guard::blocked;
///
/// let answer = br#"{"choices":[{"message":{"content":"Bad."},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#;
/// let blocked = String::from_utf8(blocked(Endpoint::ChatCompletions, answer)).unwrap();
/// assert!(blocked.contains(r#""finish_reason":"content_filter""#) && !blocked.contains("Bad"));
/// assert!(blocked.contains(r#""prompt_tokens":1"#));
/// ```
pub fn blocked(endpoint: Endpoint, answer: &[u8]) -> Vec<u8> {
    let mut answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    match &mut answer {
        // Gemini without `alt=sse` streams one array of answers
        Value::Array(parts) => parts.iter_mut().for_each(|part| block(endpoint, part)),
        whole => block(endpoint, whole),
    }
    match has_answer(endpoint, &answer) {
        true => silent(answer.to_string().into_bytes()),
        false => nothing(endpoint), // a server may have answered in another dialect
    }
}

/// Whether it has this endpoint's main member.
fn has_answer(endpoint: Endpoint, answer: &Value) -> bool {
    let list = match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions => "choices",
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => "candidates",
        _ => return answer.is_object(),
    };
    match answer {
        Value::Array(parts) => parts.iter().any(|part| part.get(list).is_some()),
        whole => whole.get(list).is_some_and(Value::is_array),
    }
}

/// The answer without other texts of the message, such as citations.
fn silent(answer: Vec<u8>) -> Vec<u8> {
    let texts = answer_passages(&answer).unwrap_or_default();
    let said = texts.into_iter().filter(|passage| passage.kind != PassageKind::Given && passage.text != REASON);
    let spans = said.flat_map(|passage| std::iter::once(passage.span).chain(passage.more));
    let emptied: Vec<_> = spans.map(|span| (span, String::new())).collect();
    splice(&answer, &emptied)
}

/// An answer that only says that it was blocked.
fn nothing(endpoint: Endpoint) -> Vec<u8> {
    let mut answer = match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions => json!({ "choices": [{ "index": 0 }] }),
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => json!({ "candidates": [{}] }),
        _ => json!({}),
    };
    block(endpoint, &mut answer);
    answer.to_string().into_bytes()
}

fn block(endpoint: Endpoint, answer: &mut Value) {
    match endpoint {
        Endpoint::ChatCompletions => each(answer, "choices", |choice| {
            set(choice, "message", json!({"role": "assistant", "content": "", "refusal": null}));
            end_choice(choice);
        }),
        Endpoint::Completions => each(answer, "choices", |choice| {
            set(choice, "text", json!(""));
            end_choice(choice);
        }),
        Endpoint::Responses => {
            set(answer, "output", json!([]));
            set(answer, "status", json!("incomplete"));
            set(answer, "incomplete_details", json!({ "reason": REASON }));
        }
        Endpoint::Messages => {
            set(answer, "content", json!([]));
            set(answer, "stop_reason", json!("refusal"));
        }
        Endpoint::OllamaChat => {
            set(answer, "message", json!({"role": "assistant", "content": ""}));
            set(answer, "done_reason", json!("content_filter"));
        }
        Endpoint::OllamaGenerate => {
            set(answer, "response", json!(""));
            set(answer, "thinking", json!(""));
            set(answer, "done_reason", json!("content_filter"));
        }
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => each(answer, "candidates", |candidate| {
            set(candidate, "content", json!({"role": "model", "parts": []}));
            set(candidate, "finishReason", json!("SAFETY"));
        }),
        Endpoint::Embeddings
        | Endpoint::OllamaEmbed
        | Endpoint::Converse
        | Endpoint::ConverseStream
        | Endpoint::Further(_) => {}
    }
}

fn end_choice(choice: &mut Value) {
    set(choice, "logprobs", Value::Null);
    set(choice, "finish_reason", json!("content_filter"));
}

fn each(answer: &mut Value, list: &str, change: impl FnMut(&mut Value)) {
    if let Some(Value::Array(values)) = answer.get_mut(list) {
        values.iter_mut().for_each(change);
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value);
    }
}
