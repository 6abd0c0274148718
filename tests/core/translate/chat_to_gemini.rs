//! OpenAI's chat requests for Gemini's servers, and their answers.

use serde_json::{json, Value};
use sluice::response_gate::{Fault, Gate};
use sluice::translate::Pair;

use super::streams::{at_every_cut, events};
use super::{body, check_answer, dropped, reply, translate, with};

const PAIR: Pair = Pair::ChatToGemini;

#[test]
fn requests() {
    let request = json!({
        "model": "m", "temperature": 1.5, "top_p": 0.5, "seed": 3, "max_tokens": 9, "stop": "E", "user": "u", "stream": true,
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "$defs": {}}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [
                {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "image_url", "image_url": {"url": "https://x/y.webp"}},
                {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
            ]},
            {"role": "assistant", "content": "b", "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1.0}"}, "extra_content": {"google": {"thought_signature": "S"}}},
                {"id": "2", "type": "function", "function": {"name": "g", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "1", "content": "r1"}, {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "r2"}]},
            {"role": "user", "content": "c"},
        ],
    });
    let want = json!({
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
                {"fileData": {"mimeType": "image/webp", "fileUri": "https://x/y.webp"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "QQ=="}},
            ]},
            {"role": "model", "parts": [
                {"text": "b"}, {"functionCall": {"name": "f", "args": {"x": 1.0}}, "thoughtSignature": "S"}, {"functionCall": {"name": "g", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "r1"}}}, {"functionResponse": {"name": "g", "response": {"output": "r2"}}}, {"text": "c"},
            ]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": {"type": "object", "$defs": {}}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "temperature": 1.5, "topP": 0.5, "seed": 3, "maxOutputTokens": 9, "stopSequences": ["E"],
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
        },
    });
    assert_eq!(body(PAIR, "gemini-2.5-pro", &request), want);
    assert_eq!(dropped(PAIR, "gemini-2.5-pro", &request), "user");
    let mut unsigned = request.clone();
    unsigned["messages"][2]["tool_calls"][0]["extra_content"] = Value::Null;
    let got = body(PAIR, "gemini-3-pro", &unsigned);
    assert_eq!(got["contents"][1]["parts"][1]["thoughtSignature"], "skip_thought_signature_validator");
}

#[test]
fn reasoning() {
    let cases = [
        ("gemini-2.5-flash", "none", json!({"thinkingBudget": 0})),
        ("gemini-2.5-flash", "medium", json!({"thinkingBudget": 8192, "includeThoughts": true})),
        ("gemini-3-pro-preview", "medium", json!({"thinkingLevel": "high", "includeThoughts": true})),
        ("gemini-3-flash", "low", json!({"thinkingLevel": "low", "includeThoughts": true})),
        ("gemini-2.0-flash", "low", Value::Null),
    ];
    for (model, effort, want) in cases {
        let request = with(json!({"reasoning_effort": effort}));
        assert_eq!(body(PAIR, model, &request)["generationConfig"]["thinkingConfig"], want, "{model} {effort}");
    }
}

#[test]
fn unsupported_requests_are_refused() {
    let user = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let cases = [
        (json!({"n": 2}), "n", "`n`"),
        (json!({"messages": []}), "messages", "nothing"),
        (
            json!({"messages": [{"role": "tool", "tool_call_id": "x", "content": "a"}]}),
            "messages",
            "messages[0].tool_call_id",
        ),
        (user(json!({"type": "file", "file": {"file_id": "f"}})), "messages", "file_data"),
        (user(json!({"type": "hologram"})), "messages", "messages[0].content[0]`.type"),
        (json!({"tools": [{"type": "custom"}]}), "tools", "tools[0].type"),
        (json!({"reasoning_effort": 3}), "reasoning_effort", "minimal"),
    ];
    for (fields, param, words) in cases {
        let error = translate(PAIR, "m", &with(fields.clone())).unwrap_err();
        assert_eq!((error.status, error.param), (400, Some(param)), "{fields}");
        assert!(error.message.contains(words), "{fields}: {}", error.message);
    }
}

fn part_answer(parts: Value, reason: Value) -> Value {
    json!({
        "responseId": "r", "modelVersion": "gemini-x", "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": reason}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "cachedContentTokenCount": 2, "toolUsePromptTokenCount": 1},
    })
}

#[test]
fn answers() {
    let answer = part_answer(
        json!([{"text": "hm", "thought": true}, {"text": "a"}, {"functionCall": {"name": "f", "args": {"x": 1.0}}, "thoughtSignature": "S"}, {"functionCall": {"name": "g"}}]),
        json!("STOP"),
    );
    let want = json!({
        "id": "r", "object": "chat.completion", "created": 1_700_000_000, "model": "gemini-x",
        "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "a", "refusal": null, "reasoning_content": "hm",
            "tool_calls": [
                {"id": "call_0000000000000abc1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1.0}"}, "extra_content": {"google": {"thought_signature": "S"}}},
                {"id": "call_0000000000000abc2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        }}],
        "usage": {
            "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "prompt_tokens_details": {"cached_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    });
    assert!(check_answer(PAIR, &reply(), &answer, &want));
    let reasons = [
        ("MAX_TOKENS", "length", true),
        ("SAFETY", "content_filter", true),
        ("MALFORMED_FUNCTION_CALL", "stop", false),
    ];
    for (reason, want, known) in reasons {
        let got = PAIR.answer(part_answer(json!([]), json!(reason)).to_string().as_bytes(), &reply()).unwrap();
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!((&body["choices"][0]["finish_reason"], !got.unknown_reason), (&json!(want), known));
    }
    let blocked = PAIR.answer(br#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, &reply()).unwrap();
    let blocked: Value = serde_json::from_slice(&blocked.body).unwrap();
    assert_eq!(blocked["choices"][0]["finish_reason"], "content_filter");
    for broken in ["", "{}", "[]", r#"{"error":{"code":429}}"#] {
        assert!(PAIR.answer(broken.as_bytes(), &reply()).is_err(), "{broken}");
    }
}

#[test]
fn streams() {
    let parts = [
        part_answer(json!([{"text": "hm", "thought": true}]), Value::Null),
        part_answer(json!([{"text": "Hé"}]), Value::Null),
        part_answer(json!([{"functionCall": {"name": "f", "args": {}}}]), Value::Null),
        part_answer(json!([{"text": ""}]), json!("STOP")),
    ];
    let stream =
        |parts: &[Value]| parts.iter().map(|part| format!("data: {part}\r\n\r\n")).collect::<String>().into_bytes();
    let (out, gate) = at_every_cut(PAIR, &reply(), &stream(&parts));
    assert_eq!(gate, Gate::Commit);
    let out = events(&out);
    let deltas: Vec<&Value> =
        out.iter().filter_map(|event| event["choices"].get(0)).map(|choice| &choice["delta"]).collect();
    let call = json!({"tool_calls": [{"index": 0, "id": "call_0000000000000abc1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let want = [
        json!({"role": "assistant", "content": ""}),
        json!({"reasoning_content": "hm"}),
        json!({"content": "Hé"}),
        call,
        json!({}),
    ];
    assert_eq!(deltas, want.iter().collect::<Vec<_>>());
    let [.., finish, usage, done] = out.as_slice() else { panic!() };
    assert_eq!(
        (&finish["choices"][0]["finish_reason"], &usage["usage"]["total_tokens"], done),
        (&json!("tool_calls"), &json!(18), &json!("[DONE]"))
    );

    let error = br#"data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#;
    let (out, gate) = at_every_cut(PAIR, &reply(), error);
    assert_eq!(gate, Gate::Reject(Fault::ErrorEvent));
    assert_eq!(events(&out)[0]["error"]["message"], "busy");
    let (out, gate) = at_every_cut(PAIR, &reply(), &stream(&parts[..2]));
    assert_eq!(gate, Gate::Commit);
    assert!(events(&out).last().unwrap()["error"]["message"].as_str().unwrap().contains("ended before"));
}
