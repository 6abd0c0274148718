//! OpenAI's Responses for servers with chat completions, Messages and Gemini: requests and answers.

use serde_json::{json, Value};
use sluice::translate::{Pair, Reply};

use super::{body, check_answer, dropped, reply, translate};

const CHAT: Pair = Pair::ResponsesToChat;
const MESSAGES: Pair = Pair::ResponsesToMessages;
const GEMINI: Pair = Pair::ResponsesToGemini;

/// A request with these fields and one input.
fn with(fields: Value) -> Value {
    let mut request = json!({"model": "m", "input": "Hi"});
    for (name, value) in fields.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// A client's third turn.
fn loop_of_tools() -> Value {
    json!([
        {"role": "developer", "content": [{"type": "input_text", "text": "More."}]},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content":
            "[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"S\"},{\"type\":\"call_signature\",\"call_id\":\"c1\",\"signature\":\"G\"}]"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{\"x\": 1.0}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "c1", "output": [
            {"type": "input_text", "text": "seen"}, {"type": "input_image", "image_url": "https://x/y.png"},
        ]},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"role": "user", "content": "Go on"},
    ])
}

fn asked() -> Value {
    json!({
        "model": "m", "instructions": "Be kind.", "input": loop_of_tools(), "stream": true, "store": false, "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 99, "temperature": 0.5, "parallel_tool_calls": false, "prompt_cache_key": "k", "metadata": {"a": "b"},
        "tools": [
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true},
            {"type": "custom", "name": "patch", "description": "Patches.", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}},
            {"type": "namespace", "name": "mcp__db", "description": "", "tools": [{"type": "function", "name": "read", "parameters": {}}]},
            {"type": "web_search"},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}, "verbosity": "low"},
        "reasoning": {"effort": "high", "summary": "auto"}, "safety_identifier": "u",
    })
}

#[test]
fn requests_for_chat_completions() {
    let want = json!({
        "model": "gpt-5",
        "messages": [
            {"role": "system", "content": "Be kind.\n\nMore."},
            {"role": "user", "content": [
                {"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
            ]},
            {"role": "assistant", "content": "I look.", "tool_calls": [call("c1", "f", "{\"x\": 1.0}"), call("c2", "patch", "{\"input\":\"*** Begin\"}")]},
            {"role": "tool", "tool_call_id": "c1", "content": "seen"},
            {"role": "tool", "tool_call_id": "c2", "content": "done"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}, {"type": "text", "text": "Go on"}]},
        ],
        "max_completion_tokens": 99, "temperature": 0.5,
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}},
            {"type": "function", "function": {"name": "patch", "description": "Patches.\n\nThe input must match this lark grammar:\nstart: X", "parameters":
                {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"], "additionalProperties": false}}},
            {"type": "function", "function": {"name": "mcp__db__read", "parameters": {}}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
        "reasoning_effort": "high", "verbosity": "low", "user": "u", "stream": true, "stream_options": {"include_usage": true},
    });
    assert_eq!(body(CHAT, "gpt-5", &asked()), want);
    assert_eq!(dropped(CHAT, "gpt-5", &asked()), "tools.web_search, input.web_search_call");
    let others = "tools.web_search, input.web_search_call, reasoning.effort, text.verbosity";
    assert_eq!(dropped(CHAT, "llama", &asked()), others);
    assert_eq!(body(CHAT, "llama", &asked())["max_tokens"], 99);
}

#[test]
fn requests_for_messages() {
    let got = body(MESSAGES, "claude-sonnet-4-6", &asked());
    let want = json!([
        {"role": "user", "content": [
            {"type": "text", "text": "Look"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "S"}, {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1.0}}, {"type": "tool_use", "id": "c2", "name": "patch", "input": {"input": "*** Begin"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "seen"}, {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]},
            {"type": "tool_result", "tool_use_id": "c2", "content": "done"},
            {"type": "text", "text": "Go on"},
        ]},
    ]);
    assert_eq!(got["messages"], want);
    assert_eq!(got["system"], json!([{"type": "text", "text": "Be kind.\n\nMore."}]));
    assert_eq!(got["max_tokens"], 99);
    assert_eq!(got["output_config"]["effort"], "high");
    assert_eq!(got["output_config"]["format"], json!({"type": "json_schema", "schema": {"type": "object"}}));
    assert_eq!(got["metadata"], json!({"user_id": "u"}));
    let want = "tools.web_search, input.web_search_call, text.verbosity";
    let got: Vec<String> = dropped(MESSAGES, "claude-sonnet-4-6", &asked()).split(", ").map(str::to_owned).collect();
    assert!(want.split(", ").all(|name| got.contains(&name.to_owned())), "{got:?}");
}

#[test]
fn requests_for_gemini() {
    let got = body(GEMINI, "gemini-3-pro", &asked());
    let calls = json!([
        {"text": "I look."}, {"functionCall": {"name": "f", "args": {"x": 1.0}}, "thoughtSignature": "G"},
        {"functionCall": {"name": "patch", "args": {"input": "*** Begin"}}},
    ]);
    assert_eq!(got["contents"][1], json!({"role": "model", "parts": calls}));
    assert_eq!(
        got["contents"][2]["parts"][0],
        json!({"functionResponse": {"name": "f", "response": {"output": "seen"}}})
    );
}

#[test]
fn inputs() {
    let cases = [
        (json!("Hi"), json!([{"role": "user", "content": "Hi"}])),
        // reasoning without a signature goes back unchanged
        (
            json!([
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}]}, {"type": "function_call", "call_id": "1", "name": "f", "arguments": ""},
                {"type": "function_call_output", "call_id": "1", "output": {"ok": true}},
            ]),
            json!([
                {"role": "assistant", "content": null, "reasoning_content": "a", "tool_calls": [call("1", "f", "{}")]},
                {"role": "tool", "tool_call_id": "1", "content": "{\"ok\": true}".replace(' ', "")},
            ]),
        ),
        // OpenAI's own encrypted reasoning is dropped
        (
            json!([{"role": "user", "content": "a"}, {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "gAAAA"},
                {"role": "assistant", "content": "b"}, {"role": "system", "content": "c"}]),
            json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "system", "content": "c"}]),
        ),
        // tools that the client runs itself
        (
            json!([{"type": "local_shell_call", "call_id": "1", "action": {"type": "exec", "command": ["ls"]}}, {"type": "local_shell_call_output", "id": "1", "output": "{}"},
                {"type": "function_call", "call_id": "2", "namespace": "mcp__db", "name": "read", "arguments": "{}"}, {"type": "shell_call_output", "call_id": "2", "output": [{"stdout": "x"}]}]),
            json!([
                {"role": "assistant", "content": null, "tool_calls": [call("1", "local_shell", "{\"command\":[\"ls\"],\"type\":\"exec\"}")]},
                {"role": "tool", "tool_call_id": "1", "content": "{}"},
                {"role": "assistant", "content": null, "tool_calls": [call("2", "mcp__db__read", "{}")]},
                {"role": "tool", "tool_call_id": "2", "content": "[{\"stdout\":\"x\"}]"},
            ]),
        ),
        (
            json!([{"role": "user", "content": [{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="}]}]),
            json!([{"role": "user", "content": [{"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="}}]}]),
        ),
    ];
    for (input, want) in cases {
        assert_eq!(body(CHAT, "llama", &json!({"model": "m", "input": input}))["messages"], want, "{input}");
    }
}

#[test]
fn tool_choices() {
    let tools = json!([{"type": "function", "name": "f"}, {"type": "function", "name": "g"}]);
    let cases = [
        (json!("auto"), json!(null), 2),
        (json!("none"), json!("none"), 2),
        (json!("required"), json!("required"), 2),
        (json!({"type": "custom", "name": "f"}), json!({"type": "function", "function": {"name": "f"}}), 2),
        (
            json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}),
            json!("required"),
            1,
        ),
    ];
    for (choice, want, count) in cases {
        let got = body(CHAT, "m", &with(json!({"tools": tools, "tool_choice": choice})));
        assert_eq!((&got["tool_choice"], got["tools"].as_array().unwrap().len()), (&want, count), "{choice}");
    }
}

#[test]
fn unsupported_requests_are_refused() {
    let cases = [
        (json!({"previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"conversation": "conv_1"}), "conversation"),
        (json!({"background": true}), "background"),
        (json!({"prompt": {"id": "p"}}), "prompt"),
        (json!({"include": ["message.output_text.logprobs"]}), "include"),
        (json!({"top_logprobs": 2}), "top_logprobs"),
        (json!({"tool_choice": {"type": "web_search"}}), "tool_choice"),
        (json!({"tools": [{"type": "function"}]}), "tools"),
        (json!({"text": {"format": {"type": "x"}}}), "text"),
        (json!({"input": null}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": 1}), "input"),
        (json!({"input": [{"type": "item_reference", "id": "x"}]}), "input"),
        (json!({"input": [{"type": "compaction", "encrypted_content": "x"}]}), "input"),
        (json!({"input": [{"role": "x", "content": "a"}]}), "input"),
        (json!({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}), "input"),
        (json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}), "input"),
        (json!({"input": [{"type": "function_call", "name": "f"}]}), "input"),
        (json!({"input": [{"type": "function_call", "call_id": "1"}]}), "input"),
        (json!({"input": [{"type": "function_call_output", "output": ""}]}), "input"),
    ];
    for pair in [CHAT, MESSAGES, GEMINI] {
        for (fields, param) in &cases {
            let error = translate(pair, "m", &with(fields.clone())).unwrap_err();
            assert_eq!((error.status, error.param), (400, Some(*param)), "{fields}");
            assert!(error.message.contains(param), "{}", error.message);
        }
    }
    // and fields that only the provider's dialect lacks, under the client's names
    let audio = json!({"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}]});
    let error = translate(MESSAGES, "m", &with(audio)).unwrap_err();
    assert_eq!(error.param, Some("input"));
    let error = translate(MESSAGES, "m", &with(json!({"reasoning": {"effort": "huge"}}))).unwrap_err();
    assert_eq!(error.param, Some("reasoning.effort"));
    // fields without an effect are not refused
    let harmless = json!({"background": false, "previous_response_id": null, "store": true, "truncation": "auto"});
    assert_eq!(dropped(CHAT, "m", &with(harmless)), "store, truncation");
}

/// The answer to a request with all kinds of tools.
pub fn to(pair: Pair) -> Reply {
    let model = if pair == GEMINI { "gemini-3-pro" } else { "claude-sonnet-4-6" };
    Reply { notes: translate(pair, model, &asked()).unwrap().notes, ..reply() }
}

/// A response object, without item ids.
pub fn response(status: &str, incomplete: Value, model: &str, output: Value, usage: Value) -> Value {
    json!({
        "id": "resp_0000000000000abc", "object": "response", "created_at": 1_700_000_000, "status": status, "background": false, "error": null,
        "incomplete_details": incomplete, "model": model, "output": output, "previous_response_id": null, "store": false, "truncation": "disabled",
        "instructions": "Be kind.", "max_output_tokens": 99, "metadata": {"a": "b"}, "parallel_tool_calls": false, "reasoning": {"effort": "high", "summary": "auto"},
        "temperature": 0.5, "text": asked()["text"], "tool_choice": {"type": "function", "name": "f"}, "tools": asked()["tools"], "top_p": null, "user": null, "usage": usage,
    })
}

pub fn usage(input: u64, cached: u64, written: u64, output: u64, reasoning: u64) -> Value {
    json!({
        "input_tokens": input, "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": reasoning}, "total_tokens": input + output,
    })
}

#[test]
fn answers_of_chat_completions() {
    let mut answer = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "llama",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "a", "reasoning_content": "hm",
            "tool_calls": [
                call("c1", "f", "{\"x\": 1.0}"), call("c2", "patch", "{\"input\": \"*** Begin\"}"), call("", "mcp__db__read", ""), call("c4", "patch", "as it is"),
            ],
        }}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 2}},
    });
    let id = |prefix: &str, place: u64| format!("{prefix}_0000000000000abc{place}");
    let output = json!([
        {"id": id("rs", 1), "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"id": id("msg", 2), "type": "message", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "a"}]},
        {"id": id("fc", 3), "type": "function_call", "status": "completed", "call_id": "c1", "name": "f", "arguments": "{\"x\": 1.0}"},
        {"id": id("ctc", 4), "type": "custom_tool_call", "status": "completed", "call_id": "c2", "name": "patch", "input": "*** Begin"},
        {"id": id("fc", 5), "type": "function_call", "status": "completed", "call_id": "call_0000000000000abc3", "name": "read", "namespace": "mcp__db", "arguments": "{}"},
        {"id": id("ctc", 6), "type": "custom_tool_call", "status": "completed", "call_id": "c4", "name": "patch", "input": "as it is"},
    ]);
    assert!(check_answer(
        CHAT,
        &to(CHAT),
        &answer,
        &response("completed", Value::Null, "llama", output, usage(20, 5, 3, 7, 2))
    ));
    for (reason, incomplete) in [("length", "max_output_tokens"), ("content_filter", "content_filter")] {
        answer["choices"][0] = json!({"finish_reason": reason, "message": {"content": "", "refusal": "no"}});
        let output = json!([
            {"id": id("msg", 1), "type": "message", "status": "incomplete", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        ]);
        let want = response("incomplete", json!({"reason": incomplete}), "llama", output, usage(20, 5, 3, 7, 2));
        assert!(check_answer(CHAT, &to(CHAT), &answer, &want));
    }
    answer["choices"][0]["finish_reason"] = json!("moon_phase");
    assert!(CHAT.answer(answer.to_string().as_bytes(), &reply()).unwrap().unknown_reason);
    for broken in ["", "{}", "[]", "<html>", r#"{"choices":[]}"#, r#"{"error":{"message":"m"}}"#] {
        assert!(CHAT.answer(broken.as_bytes(), &reply()).is_err(), "{broken}");
    }
}

#[test]
fn answers_of_other_dialects() {
    let id = |prefix: &str, place: u64| format!("{prefix}_0000000000000abc{place}");
    let answer = json!({
        "id": "msg_1", "type": "message", "model": "claude", "stop_reason": "tool_use", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "S"}, {"type": "redacted_thinking", "data": "R"}, {"type": "text", "text": "a"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}}, {"type": "tool_use", "id": "t2", "name": "patch", "input": {"input": "p"}},
        ],
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3, "output_tokens": 7},
    });
    let encrypted = r#"[{"type":"thinking","thinking":"hm","signature":"S"},{"type":"redacted_thinking","data":"R"}]"#;
    let output = json!([
        {"id": id("rs", 1), "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": encrypted},
        {"id": id("msg", 2), "type": "message", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "a"}]},
        {"id": id("fc", 3), "type": "function_call", "status": "completed", "call_id": "t1", "name": "f", "arguments": "{\"x\":1}"},
        {"id": id("ctc", 4), "type": "custom_tool_call", "status": "completed", "call_id": "t2", "name": "patch", "input": "p"},
    ]);
    let want = response("completed", Value::Null, "claude", output, usage(18, 5, 3, 7, 0));
    assert!(check_answer(MESSAGES, &to(MESSAGES), &answer, &want));
    let answer = json!({
        "responseId": "r", "modelVersion": "gemini", "candidates": [{"finishReason": "STOP", "content": {"parts": [
            {"text": "hm", "thought": true}, {"functionCall": {"id": "c", "name": "f", "args": {"x": 1}}, "thoughtSignature": "G"},
        ]}}],
        "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 9},
    });
    let encrypted = r#"[{"type":"call_signature","call_id":"c","signature":"G"}]"#;
    let output = json!([
        {"id": id("rs", 1), "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": encrypted},
        {"id": id("fc", 2), "type": "function_call", "status": "completed", "call_id": "c", "name": "f", "arguments": "{\"x\":1}"},
    ]);
    let want = response("completed", Value::Null, "gemini", output, usage(4, 0, 0, 5, 2));
    assert!(check_answer(GEMINI, &to(GEMINI), &answer, &want));
}
