//! OpenAI's answers for Anthropic clients.

use serde_json::{json, Value};
use sluice::translate::Pair;

use super::{check_answer, reply};

const PAIR: Pair = Pair::MessagesToChat;

#[test]
fn answers() {
    let answer = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "a", "reasoning_content": "hm",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1.0}"}},
                {"id": "", "type": "function", "function": {"name": "g", "arguments": ""}},
            ],
        }}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3}},
    });
    let want = json!({
        "id": "chatcmpl-1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use", "stop_sequence": null,
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "a"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1.0}},
            {"type": "tool_use", "id": "toolu_0000000000000abc2", "name": "g", "input": {}},
        ],
        "usage": {"input_tokens": 12, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3, "output_tokens": 7},
    });
    assert!(check_answer(PAIR, &reply(), &answer, &want));
}

#[test]
fn finish_reasons() {
    let cases = [
        ("stop", "end_turn", true),
        ("length", "max_tokens", true),
        ("content_filter", "refusal", true),
        ("tool_calls", "tool_use", true),
        ("insufficient_system_resource", "end_turn", false),
    ];
    for (reason, want, known) in cases {
        let answer = json!({"choices": [{"message": {"content": "a"}, "finish_reason": reason}]});
        let got = PAIR.answer(answer.to_string().as_bytes(), &reply()).unwrap();
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!((body["stop_reason"].as_str(), !got.unknown_reason), (Some(want), known), "{reason}");
    }
    for broken in
        ["", "{", "[]", "{}", r#"{"choices":[]}"#, r#"{"choices":[{"delta":{}}]}"#, r#"{"error":{"message":"m"}}"#]
    {
        assert!(PAIR.answer(broken.as_bytes(), &reply()).is_err(), "{broken}");
    }
}
