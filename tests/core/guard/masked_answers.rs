//! Answers in JSON: a mask finds values in JSON within texts, in every dialect, and leaves valid JSON.

use serde_json::{json, Value};
use sluice::guard::checks::{PassageRewrite, RewriteMode};
use sluice::guard::pii::{Entity, Patterns, Vault};
use sluice::guard::rewriting::rewrite_answer;
use sluice::guard::texts::answer_passages;

/// A text of the model, and the client's version of it.
const TEXTS: &[(&str, &str)] = &[
    (
        r#"{"body":"Hello,\nmario@example.com\n123-45-6789\n4111 1111 1111 1111"}"#,
        r#"{"body":"Hello,\n<EMAIL_ADDRESS>\n<US_SSN>\n<CREDIT_CARD>"}"#,
    ),
    (r#"{"note":"Data:\n123-45-6789"}"#, r#"{"note":"Data:\n<US_SSN>"}"#),
    (r#"{"a":"mario\u0040example.com"}"#, r#"{"a":"<EMAIL_ADDRESS>"}"#),
    (r#"{"a":"\u0034111 1111 1111 1111"}"#, r#"{"a":"<CREDIT_CARD>"}"#),
    (r#"{"a":"{\"b\":\"x\\nmario@example.com\"}"}"#, r#"{"a":"{\"b\":\"x\\n<EMAIL_ADDRESS>\"}"}"#),
    (r#"{"a":"{\"b\":\"\\u0031\\u0032\\u0033-45-6789\"}"}"#, r#"{"a":"{\"b\":\"<US_SSN>\"}"}"#),
    (r#"{"card":4111111111111111,"n":[1,null]}"#, r#"{"card":"<CREDIT_CARD>","n":[1,null]}"#),
    (r#"{"url":"https://x/?email=mario%40example.com&x"}"#, r#"{"url":"https://x/?email=<EMAIL_ADDRESS>&x"}"#),
    (r#"{"mario@example.com":{"b":"x"}}"#, r#"{"<EMAIL_ADDRESS>":{"b":"x"}}"#),
];

/// An answer with a text, and the text's place.
type Dialect = (fn(&Value) -> Value, &'static str);

/// Dialects that write JSON as a text.
const AS_TEXT: &[Dialect] = &[
    (|text| json!({"choices": [{"message": {"content": text}}]}), "/choices/0/message/content"),
    (
        |text| json!({"choices": [{"message": {"content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": text}}]}}]}),
        "/choices/0/message/tool_calls/0/function/arguments",
    ),
    (
        |text| json!({"choices": [{"message": {"function_call": {"name": "f", "arguments": text}}}]}),
        "/choices/0/message/function_call/arguments",
    ),
    (|text| json!({"choices": [{"text": text}]}), "/choices/0/text"),
    (
        |text| json!({"object": "response", "output": [{"type": "function_call", "name": "f", "arguments": text}]}),
        "/output/0/arguments",
    ),
    (
        |text| json!({"object": "response", "output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}]}),
        "/output/0/content/0/text",
    ),
    (
        |text| json!({"object": "response", "output": [{"type": "mcp_call", "arguments": "{}", "output": text}]}),
        "/output/0/output",
    ),
    (|text| json!({"type": "message", "content": [{"type": "text", "text": text}]}), "/content/0/text"),
    (
        |text| json!({"type": "message", "content": [{"type": "tool_use", "name": "f", "input": {"inner": text}}]}),
        "/content/0/input/inner",
    ),
    (|text| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]}), "/candidates/0/content/parts/0/text"),
    (
        |text| json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"inner": text}}}]}}]}),
        "/candidates/0/content/parts/0/functionCall/args/inner",
    ),
    (|text| json!({"message": {"role": "assistant", "content": text}, "done": true}), "/message/content"),
    (|text| json!({"response": text, "done": true}), "/response"),
];

/// Dialects that write arguments as JSON within the answer.
const AS_JSON: &[Dialect] = &[
    (
        |value| json!({"type": "message", "content": [{"type": "tool_use", "name": "f", "input": value}]}),
        "/content/0/input",
    ),
    (
        |value| json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": value}}]}}]}),
        "/candidates/0/content/parts/0/functionCall/args",
    ),
    (
        |value| json!({"message": {"tool_calls": [{"function": {"name": "f", "arguments": value}}]}, "done": true}),
        "/message/tool_calls/0/function/arguments",
    ),
];

/// The masked answer.
fn masked(answer: &Value) -> Value {
    let body = answer.to_string();
    let patterns = Patterns::new(Entity::ALL, &[]).unwrap();
    let found = answer_passages(body.as_bytes()).unwrap();
    let rewrites = |text: &str| vec![PassageRewrite::new(patterns.find(text), RewriteMode::Mask)];
    let rewrites: Vec<_> = found.iter().map(|passage| rewrites(&passage.text)).collect();
    serde_json::from_slice(&rewrite_answer(body.as_bytes(), &found, &rewrites, &Vault::default())).unwrap()
}

#[test]
fn json_within_texts() {
    for (answer, place) in AS_TEXT {
        for (text, want) in TEXTS {
            let shown = masked(&answer(&json!(text)));
            assert_eq!(shown.pointer(place), Some(&json!(want)), "{shown}");
        }
    }
}

#[test]
fn arguments_that_are_json() {
    for (answer, place) in AS_JSON {
        for (text, want) in TEXTS {
            let [value, want]: [Value; 2] = [text, want].map(|text| serde_json::from_str(text).unwrap());
            let shown = masked(&answer(&value));
            assert_eq!(shown.pointer(place), Some(&want), "{shown}");
        }
    }
}
