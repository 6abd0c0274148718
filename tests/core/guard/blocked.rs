//! Complete answers that must not be shown, in every dialect.

use serde_json::{json, Value};
use sluice::endpoint::Endpoint;
use sluice::guard::blocked;

#[test]
fn in_every_dialect() {
    let gemini = json!({ "candidates": [{ "content": { "parts": [{ "text": "Bad." }] }, "finishReason": "STOP" }], "usageMetadata": 7 });
    let cases = [
        (
            Endpoint::ChatCompletions,
            json!({ "choices": [{ "index": 0, "message": { "content": "Bad.", "reasoning_content": "Bad.", "tool_calls": ["Bad."] },
                "logprobs": "Bad.", "finish_reason": "stop" }], "usage": 7 }),
            "/choices/0/finish_reason",
            "content_filter",
        ),
        (
            Endpoint::Completions,
            json!({ "choices": [{ "text": "Bad.", "logprobs": "Bad." }, { "text": "Bad." }], "usage": 7 }),
            "/choices/1/finish_reason",
            "content_filter",
        ),
        (
            Endpoint::Responses,
            json!({ "output": ["Bad."], "status": "completed", "usage": 7 }),
            "/incomplete_details/reason",
            "content_filter",
        ),
        (
            Endpoint::Messages,
            json!({ "content": [{ "text": "Bad." }], "stop_reason": "end_turn", "usage": 7 }),
            "/stop_reason",
            "refusal",
        ),
        (
            Endpoint::OllamaChat,
            json!({ "message": { "content": "Bad.", "thinking": "Bad." }, "eval_count": 7 }),
            "/done_reason",
            "content_filter",
        ),
        (
            Endpoint::OllamaGenerate,
            json!({ "response": "Bad.", "thinking": "Bad.", "eval_count": 7 }),
            "/done_reason",
            "content_filter",
        ),
        (Endpoint::GenerateContent, gemini.clone(), "/candidates/0/finishReason", "SAFETY"),
        (Endpoint::StreamGenerateContent, json!([gemini.clone(), gemini]), "/1/candidates/0/finishReason", "SAFETY"),
    ];
    for (endpoint, answer, place, mark) in cases {
        let shown: Value = serde_json::from_slice(&blocked(endpoint, answer.to_string().as_bytes())).unwrap();
        let text = shown.to_string();
        assert!(!text.contains("Bad"), "{endpoint:?}: {text}");
        assert_eq!(shown.pointer(place), Some(&json!(mark)), "{endpoint:?}: {text}");
        assert_eq!(text.matches('7').count(), answer.to_string().matches('7').count(), "{endpoint:?}: what was used");
    }
}

#[test]
fn invalid_answers() {
    let silent = json!({ "choices": [{ "index": 0, "message": { "role": "assistant", "content": "", "refusal": null },
        "logprobs": null, "finish_reason": "content_filter" }] });
    let strange =
        [r#"{"content":[{"type":"text","text":"Bad."}]}"#, r#"{"message":{"role":"assistant","content":"Bad."}}"#];
    for answer in ["", "Bad.", "[", "null", "\"Bad.\"", strange[0], strange[1]] {
        let shown: Value = serde_json::from_slice(&blocked(Endpoint::ChatCompletions, answer.as_bytes())).unwrap();
        assert_eq!(shown, silent, "{answer}");
    }
    let shown: Value = serde_json::from_slice(&blocked(Endpoint::Messages, b"")).unwrap();
    assert_eq!(shown, json!({ "content": [], "stop_reason": "refusal" }));
}
