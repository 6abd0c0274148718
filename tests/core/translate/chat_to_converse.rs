//! OpenAI's chat requests for Bedrock's Converse, and its answers.

use serde_json::{json, Value};
use sluice::translate::{Pair, Reply};

use super::converse_streams::{all, message};
use super::streams::{at_every_cut, events};
use super::{body, dropped, reply, translate, with};

pub const PAIR: Pair = Pair::ChatToConverse;
const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const OLD_CLAUDE: &str = "anthropic.claude-3-5-sonnet-20240620-v1:0";
const NOVA: &str = "amazon.nova-pro-v1:0";
const NOVA_2: &str = "us.amazon.nova-2-lite-v1:0";
const LLAMA: &str = "meta.llama3-70b-instruct-v1:0";

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object", "properties": {}}}})
}

fn spec(name: &str) -> Value {
    json!({"toolSpec": {"name": name, "description": "d", "inputSchema": {"json": {"type": "object", "properties": {}}}}})
}

#[test]
fn requests() {
    let request = json!({
        "model": "m", "temperature": 1.5, "top_p": 0.5, "max_tokens": 9, "stop": ["E", " "], "user": "u", "seed": 1,
        "stream": true, "stream_options": {"include_usage": true}, "service_tier": "priority",
        "tools": [tool("f"), {"type": "function", "function": {"name": "g", "description": ""}, "cache_control": {"type": "ephemeral"}}],
        "tool_choice": "required",
        "messages": [
            {"role": "system", "content": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}, {"role": "developer", "content": [{"type": "text", "text": "t"}]},
            {"role": "user", "content": [
                {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AA=="}},
                {"type": "file", "file": {"filename": "Über 1.5.pdf", "file_data": "data:application/pdf;base64,QQ=="}},
                {"type": "file", "file": {"filename": "Über 1.5.pdf", "file_data": "data:text/csv;base64,QQ=="}},
            ]},
            {"role": "assistant", "content": "b", "thinking_blocks": [
                {"type": "thinking", "thinking": "hm", "signature": "S"}, {"type": "redacted_thinking", "data": "R"}, {"type": "thinking", "thinking": "unsigned"},
            ], "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1.0}"}},
                {"id": "2", "type": "function", "function": {"name": "g", "arguments": "[]"}},
            ]},
            {"role": "tool", "tool_call_id": "1", "content": "r1"},
            {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "r2"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "so far "},
        ],
    });
    let want = json!({
        "system": [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}, {"text": "t"}],
        "messages": [
            {"role": "user", "content": [
                {"text": "a"}, {"image": {"format": "jpeg", "source": {"bytes": "AA=="}}},
                {"document": {"format": "pdf", "name": "ber 1 5", "source": {"bytes": "QQ=="}}},
                {"document": {"format": "csv", "name": "ber 1 5 (2)", "source": {"bytes": "QQ=="}}},
            ]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "S"}}}, {"reasoningContent": {"redactedContent": "R"}}, {"text": "b"},
                {"toolUse": {"toolUseId": "1", "name": "f", "input": {"x": 1.0}}}, {"toolUse": {"toolUseId": "2", "name": "g", "input": {}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "1", "content": [{"text": "r1"}]}},
                {"toolResult": {"toolUseId": "2", "content": [{"text": "r2"}, {"image": {"format": "png", "source": {"bytes": "AA=="}}}]}},
                {"text": "c"},
            ]},
            {"role": "assistant", "content": [{"text": "so far"}]},
        ],
        "inferenceConfig": {"maxTokens": 9, "temperature": 1, "stopSequences": ["E"]},
        "toolConfig": {
            "tools": [spec("f"), {"toolSpec": {"name": "g", "inputSchema": {"json": {"type": "object", "properties": {}}}}}, {"cachePoint": {"type": "default"}}],
            "toolChoice": {"any": {}},
        },
        "serviceTier": {"type": "priority"},
    });
    assert_eq!(body(PAIR, CLAUDE, &request), want);
    assert_eq!(dropped(PAIR, CLAUDE, &request), "seed, user, top_p");
}

/// Each vendor's models accept fields that other vendors' models refuse.
#[test]
fn fields_by_model() {
    let additional =
        |model: &str, fields: Value| body(PAIR, model, &with(fields))["additionalModelRequestFields"].clone();
    let effort = |level: &str| json!({"reasoning_effort": level, "max_tokens": 9000});
    assert_eq!(additional(CLAUDE, effort("medium")), json!({"thinking": {"type": "enabled", "budget_tokens": 2048}}));
    let adaptive = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}});
    assert_eq!(additional("anthropic.claude-opus-4-6-v1", effort("high")), adaptive);
    let nova = json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}});
    assert_eq!(additional(NOVA_2, effort("minimal")), nova);
    assert_eq!(additional("openai.gpt-oss-120b-1:0", effort("low")), json!({"reasoning_effort": "low"}));
    assert_eq!(additional(LLAMA, effort("low")), Value::Null);
    assert_eq!(dropped(PAIR, LLAMA, &with(effort("low"))), "reasoning_effort");
    // Nova with maximum reasoning accepts neither limit nor temperature
    let high = with(json!({"reasoning_effort": "max", "max_tokens": 9, "temperature": 0.1, "top_p": 0.5}));
    assert_eq!(body(PAIR, NOVA_2, &high)["inferenceConfig"], Value::Null);
    assert_eq!(dropped(PAIR, NOVA_2, &high), "max_tokens, temperature, top_p");
    assert_eq!(additional(CLAUDE, json!({"top_k": 5})), json!({"top_k": 5}));
    assert_eq!(additional(NOVA, json!({"top_k": 5})), json!({"inferenceConfig": {"topK": 5}}));
    assert_eq!(dropped(PAIR, LLAMA, &with(json!({"top_k": 5}))), "top_k");
    let forced = json!({"tools": [tool("f")], "parallel_tool_calls": false, "tool_choice": "required"});
    assert_eq!(additional(CLAUDE, forced), json!({"tool_choice": {"disable_parallel_tool_use": true}}));
    let alone = json!({"tools": [tool("f")], "parallel_tool_calls": false});
    let want = json!({"tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
    assert_eq!(additional(CLAUDE, alone.clone()), want);
    assert_eq!(dropped(PAIR, NOVA, &with(alone)), "parallel_tool_calls");
    let marked = with(
        json!({"messages": [{"role": "user", "content": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}),
    );
    assert_eq!(body(PAIR, NOVA, &marked)["messages"][0]["content"][1], json!({"cachePoint": {"type": "default"}}));
    assert_eq!(dropped(PAIR, LLAMA, &marked), "cache_control");
    let own = json!({"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}});
    assert_eq!(body(PAIR, NOVA, &with(own.clone()))["guardrailConfig"], own["guardrailConfig"]);
}

/// Claude reports reasoning tokens on request; they are part of the output.
#[test]
fn reasoning_tokens() {
    let asked = body(PAIR, CLAUDE, &with(json!({"reasoning_effort": "low"})));
    assert_eq!(asked["additionalModelResponseFieldPaths"], json!(["/usage/output_tokens_details"]));
    let told = json!({"usage": {"output_tokens_details": {"thinking_tokens": 4}}});
    let mut whole = answer(json!([{"text": "a"}]), "end_turn");
    whole["additionalModelResponseFields"] = told.clone();
    let mut parts = all();
    let last = parts.len() - 2;
    parts[last] = message("messageStop", json!({"stopReason": "end_turn", "additionalModelResponseFields": told}));
    let whole: Value =
        serde_json::from_slice(&PAIR.answer(whole.to_string().as_bytes(), &reply()).unwrap().body).unwrap();
    let (out, _) = at_every_cut(PAIR, &reply(), &parts.concat());
    let streamed = events(&out).into_iter().rev().nth(1).unwrap();
    for usage in [&whole["usage"], &streamed["usage"]] {
        assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 4);
        assert_eq!((&usage["completion_tokens"], &usage["prompt_tokens"]), (&json!(7), &json!(18)));
    }
}

/// A thinking budget needs a larger limit; without both, the model's own apply.
#[test]
fn limits() {
    let limit = |fields: Value| body(PAIR, CLAUDE, &with(fields))["inferenceConfig"]["maxTokens"].clone();
    assert_eq!(limit(json!({})), Value::Null);
    assert_eq!(limit(json!({"max_completion_tokens": 7, "max_tokens": 9})), 7);
    assert_eq!(limit(json!({"reasoning_effort": "low"})), 4096 + 1024);
}

#[test]
fn answer_schemas() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let wanted = with(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "description": "d", "schema": schema}}}),
    );
    let native = &body(PAIR, CLAUDE, &wanted)["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    let parsed: Value = serde_json::from_str(native["schema"].as_str().unwrap()).unwrap();
    assert_eq!((parsed, &native["name"], &native["description"]), (schema.clone(), &json!("n"), &json!("d")));
    for model in [OLD_CLAUDE, NOVA] {
        let forced = &body(PAIR, model, &wanted)["toolConfig"];
        assert_eq!(forced["toolChoice"], json!({"tool": {"name": "json_answer"}}), "{model}");
        assert_eq!(forced["tools"][0]["toolSpec"]["inputSchema"]["json"], schema, "{model}");
        let notes = translate(PAIR, model, &wanted).unwrap().notes;
        let reply = Reply { notes, ..reply() };
        let answer =
            answer(json!([{"toolUse": {"toolUseId": "t", "name": "json_answer", "input": {"a": "b"}}}]), "tool_use");
        let got: Value =
            serde_json::from_slice(&PAIR.answer(answer.to_string().as_bytes(), &reply).unwrap().body).unwrap();
        let choice = &got["choices"][0];
        assert_eq!(
            (&choice["message"]["content"], &choice["finish_reason"]),
            (&json!("{\"a\":\"b\"}"), &json!("stop"))
        );
    }
    let object = body(PAIR, NOVA, &with(json!({"response_format": {"type": "json_object"}})));
    assert!(object["system"][0]["text"].as_str().unwrap().contains("JSON"));
}

/// A forbidden tool is left out, unless the conversation has tool calls: then the tools must be defined.
#[test]
fn forbidden_tools() {
    let none = with(json!({"tools": [tool("f")], "tool_choice": "none"}));
    assert_eq!(body(PAIR, NOVA, &none)["toolConfig"], Value::Null);
    let history = json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "1", "content": "r"},
    ]);
    let forbidden = with(json!({"tools": [tool("f")], "tool_choice": "none", "messages": history}));
    assert_eq!(body(PAIR, NOVA, &forbidden)["toolConfig"], json!({"tools": [spec("f")]}));
    assert_eq!(dropped(PAIR, NOVA, &forbidden), "tool_choice");
    let undefined = body(PAIR, NOVA, &with(json!({"messages": history})));
    assert_eq!(undefined["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
}

#[test]
fn invalid_names_are_mapped_and_restored() {
    let long = "mcp__a.server__".to_owned() + &"x".repeat(80);
    let request = with(
        json!({"tools": [tool(&long), tool("f")], "tool_choice": {"type": "function", "function": {"name": long}}}),
    );
    let translated = translate(PAIR, NOVA, &request).unwrap();
    let sent: Value = serde_json::from_slice(&translated.body).unwrap();
    let given = sent["toolConfig"]["tools"][0]["toolSpec"]["name"].as_str().unwrap().to_owned();
    assert!(
        given.len() <= 64 && given.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
        "{given}"
    );
    assert_eq!(sent["toolConfig"]["toolChoice"], json!({"tool": {"name": given}}));
    let reply = Reply { notes: translated.notes, ..reply() };
    let answer = answer(json!([{"toolUse": {"toolUseId": "t", "name": given, "input": {}}}]), "tool_use");
    let got: Value = serde_json::from_slice(&PAIR.answer(answer.to_string().as_bytes(), &reply).unwrap().body).unwrap();
    assert_eq!(got["choices"][0]["message"]["tool_calls"][0]["function"]["name"], json!(long));
    let start = message(
        "contentBlockStart",
        json!({"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": given}}}),
    );
    let (out, _) = at_every_cut(PAIR, &reply, &start);
    assert_eq!(events(&out)[1]["choices"][0]["delta"]["tool_calls"][0]["function"]["name"], json!(long));
}

#[test]
fn unsupported_requests() {
    let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let cases = [
        (json!({"n": 2}), "n"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"audio": {"voice": "x"}}), "audio"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "assistant", "content": "a"}]}), "messages"),
        (user(json!([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}])), "messages"),
        (user(json!([{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}}])), "messages"),
        (user(json!([{"type": "file", "file": {"file_id": "f"}}])), "messages"),
        (user(json!([{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}])), "messages"),
        (json!({"reasoning_effort": "very"}), "reasoning_effort"),
        (json!({"tools": [{"type": "web_search"}]}), "tools"),
        (json!({"response_format": {"type": "xml"}}), "response_format"),
    ];
    for (fields, param) in cases {
        let error = translate(PAIR, NOVA, &with(fields.clone())).unwrap_err();
        assert_eq!((error.status, error.param), (400, Some(param)), "{fields}");
    }
}

/// A document needs a text beside it.
#[test]
fn documents_alone() {
    let request = with(json!({"messages": [{"role": "user", "content": [
        {"type": "file", "file": {"file_data": "data:text/markdown;base64,QQ=="}}]}]}));
    let want = json!([{"document": {"format": "md", "name": "document", "source": {"bytes": "QQ=="}}}, {"text": "."}]);
    assert_eq!(body(PAIR, NOVA, &request)["messages"][0]["content"], want);
}

pub fn answer(content: Value, reason: &str) -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, "metrics": {"latencyMs": 500},
        "usage": {"inputTokens": 10, "outputTokens": 7, "totalTokens": 17, "cacheReadInputTokens": 5, "cacheWriteInputTokens": 3,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 1}, {"ttl": "5m", "inputTokens": 2}]},
    })
}

pub fn usage() -> Value {
    json!({
        "prompt_tokens": 18, "completion_tokens": 7, "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

#[test]
fn answers() {
    let content = json!([
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "S"}}}, {"reasoningContent": {"redactedContent": "R"}},
        {"text": "a"}, {"citationsContent": {"content": [{"text": "b"}], "citations": []}},
        {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"x": 1.0}}}, {"toolUse": {"toolUseId": "t2", "name": "g", "input": null}},
        {"toolUse": {"toolUseId": "s", "name": "nova_grounding", "type": "server_tool_use", "input": {}}}, {"toolResult": {"toolUseId": "s"}},
    ]);
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let want = json!({
        "id": "chatcmpl-0000000000000abc", "object": "chat.completion", "created": 1_700_000_000, "model": NOVA, "service_tier": "flex",
        "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "ab", "refusal": null, "reasoning_content": "hm",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "S"}, {"type": "redacted_thinking", "data": "R"}],
            "tool_calls": [call("t1", "f", "{\"x\":1.0}"), call("t2", "g", "{}")],
        }}],
        "usage": usage(),
    });
    let notes = translate(PAIR, NOVA, &with(json!({}))).unwrap().notes;
    let reply = Reply { notes, ..reply() };
    let mut given = answer(content, "tool_use");
    given["serviceTier"] = json!({"type": "flex"});
    assert!(super::check_answer(PAIR, &reply, &given, &want));
    let reasons = [
        ("end_turn", "stop", true),
        ("max_tokens", "length", true),
        ("model_context_window_exceeded", "length", true),
        ("guardrail_intervened", "content_filter", true),
        ("content_filtered", "content_filter", true),
        ("malformed_tool_use", "stop", false),
    ];
    for (reason, want, known) in reasons {
        let got = PAIR.answer(answer(json!([]), reason).to_string().as_bytes(), &reply).unwrap();
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!((&body["choices"][0]["finish_reason"], !got.unknown_reason), (&json!(want), known));
    }
    for broken in ["", "{}", "[]", r#"{"Output":{"__type":"UnknownOperation"}}"#, r#"{"output":{}}"#] {
        assert!(PAIR.answer(broken.as_bytes(), &reply).is_err(), "{broken}");
    }
}

#[test]
fn errors() {
    let cases = [
        (
            429,
            r#"{"message":"Too many requests, please wait."}"#,
            "rate_limit_error",
            json!("rate_limit_exceeded"),
            429,
        ),
        (
            400,
            r#"{"message":"Input is too long for requested model."}"#,
            "invalid_request_error",
            json!("context_length_exceeded"),
            400,
        ),
        (403, r#"{"Message":"User is not authorized"}"#, "permission_error", Value::Null, 403),
        (424, r#"{"message":"The model failed."}"#, "server_error", Value::Null, 502),
        (408, r#"{"message":"m"}"#, "server_error", json!("upstream_timeout"), 408),
    ];
    for (status, body, kind, code, told) in cases {
        let error: Value = serde_json::from_slice(&PAIR.error(status, body.as_bytes())).unwrap();
        assert_eq!(
            (&error["error"]["type"], &error["error"]["code"], PAIR.status(status)),
            (&json!(kind), &code, told),
            "{body}"
        );
        let message = error["error"]["message"].as_str().unwrap();
        assert!(body.contains(message), "{message}");
    }
}
