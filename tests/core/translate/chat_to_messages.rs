//! OpenAI's chat requests for Anthropic's servers, and their answers.

use serde_json::{json, Value};
use sluice::translate::Pair;

use super::{body, check_answer, dropped, reply, translate, with};

const PAIR: Pair = Pair::ChatToMessages;
const OLD: &str = "claude-3-7-sonnet-20250219";
const NEW: &str = "claude-sonnet-4-6";

fn messages(messages: Value) -> Value {
    let body = body(PAIR, NEW, &json!({"model": "m", "messages": messages}));
    json!({"system": body["system"], "messages": body["messages"]})
}

#[test]
fn a_plain_request() {
    let request = json!({
        "model": "gpt-4o", "temperature": 0.5, "stop": "END", "max_completion_tokens": 12, "max_tokens": 9,
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi \u{1f600} \\ \""}],
        "user": "u1", "stream": true, "stream_options": {"include_usage": true}, "n": 1, "logprobs": false,
    });
    let want = json!({
        "model": OLD, "max_tokens": 12, "temperature": 0.5, "stop_sequences": ["END"], "stream": true,
        "system": [{"type": "text", "text": "Be kind."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi \u{1f600} \\ \""}]}],
        "metadata": {"user_id": "u1"},
    });
    assert_eq!(body(PAIR, OLD, &request), want);
    assert_eq!(dropped(PAIR, OLD, &request), "");
}

#[test]
fn conversations() {
    let text = |text: &str| json!({"type": "text", "text": text});
    let png = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}});
    let call = |id: &str, name: &str, arguments: Value| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let cases = [
        // all instructions move to the front, in order; adjacent turns of one role are merged
        (
            json!([
                {"role": "user", "content": "a"}, {"role": "developer", "content": [text("x"), text(" ")]},
                {"role": "user", "content": [text("b"), png]}, {"role": "system", "content": "y"},
            ]),
            json!({
                "system": [text("x"), text("y")],
                "messages": [{"role": "user", "content": [
                    text("a"), text("b"),
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                ]}],
            }),
        ),
        // two parallel calls, their results in one turn before the user's text; invalid ids
        (
            json!([
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": null, "tool_calls": [
                    call("call_1", "f", json!("{\"a\": 1.0}")), call("a:b", "g", json!("")),
                ]},
                {"role": "user", "content": "and"},
                {"role": "tool", "tool_call_id": "call_1", "content": "one"},
                {"role": "tool", "tool_call_id": "a:b", "content": [text("two")]},
            ]),
            json!({
                "system": null,
                "messages": [
                    {"role": "user", "content": [text("go")]},
                    {"role": "assistant", "content": [
                        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1.0}},
                        {"type": "tool_use", "id": "call_db2223708f4284f7", "name": "g", "input": {}},
                    ]},
                    {"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "call_1", "content": "one"},
                        {"type": "tool_result", "tool_use_id": "call_db2223708f4284f7", "content": [text("two")]},
                        text("and"),
                    ]},
                ],
            }),
        ),
        // reasoning comes first, and only with its signature; blank texts are left out
        (
            json!([
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": "  ", "refusal": "No. ", "thinking_blocks": [
                    {"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "thinking", "thinking": "u"},
                    {"type": "redacted_thinking", "data": "d"},
                ]},
                {"role": "user", "content": "why"},
                {"role": "assistant", "content": "r", "reasoning_content": "t2", "reasoning_signature": "s2"},
                {"role": "user", "content": "oh"},
                {"role": "assistant", "content": "It is  ", "reasoning_content": "unsigned"},
            ]),
            json!({
                "system": null,
                "messages": [
                    {"role": "user", "content": [text("go")]},
                    {"role": "assistant", "content": [
                        {"type": "thinking", "thinking": "t", "signature": "s"},
                        {"type": "redacted_thinking", "data": "d"}, text("No."),
                    ]},
                    {"role": "user", "content": [text("why")]},
                    {"role": "assistant", "content": [{"type": "thinking", "thinking": "t2", "signature": "s2"}, text("r")]},
                    {"role": "user", "content": [text("oh")]},
                    {"role": "assistant", "content": [text("It is")]},
                ],
            }),
        ),
        // files, image URLs, cache marks, the older form of calls
        (
            json!([
                {"role": "system", "content": "s", "cache_control": {"type": "ephemeral"}},
                {"role": "user", "content": [
                    {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"}},
                    {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}},
                    {"type": "image_url", "image_url": {"url": "https://x.y/z.jpg"}},
                    {"type": "image_url", "image_url": "https://x.y/z.PDF?q"},
                    {"type": "text", "text": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                ]},
                {"role": "assistant", "function_call": {"name": "f", "arguments": "[1]"}},
                {"role": "function", "name": "f", "content": "r"},
            ]),
            json!({
                "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
                "messages": [
                    {"role": "user", "content": [
                        {"type": "document", "title": "a.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="}},
                        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
                        {"type": "image", "source": {"type": "url", "url": "https://x.y/z.jpg"}},
                        {"type": "document", "source": {"type": "url", "url": "https://x.y/z.PDF?q"}},
                        {"type": "text", "text": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                    ]},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "call_2", "name": "f", "input": {}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_2", "content": "r"}]},
                ],
            }),
        ),
    ];
    for (given, want) in cases {
        assert_eq!(messages(given.clone()), want, "{given}");
    }
}

#[test]
fn tools_and_choices() {
    let tools = json!([{"type": "function", "function": {
        "name": "f", "description": "d", "strict": true, "parameters": {"type": "object", "$defs": {}, "properties": {}},
    }}, {"type": "function", "function": {"name": "g"}}]);
    let got = body(PAIR, NEW, &with(json!({"tools": tools})));
    let want = json!([
        {"name": "f", "description": "d", "strict": true, "input_schema": {"type": "object", "$defs": {}, "properties": {}}},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
    ]);
    assert_eq!((&got["tools"], &got["tool_choice"]), (&want, &Value::Null));
    assert_eq!(dropped(PAIR, OLD, &with(json!({"tools": tools}))), "strict");
    let named = json!({"type": "function", "function": {"name": "g"}});
    let cases = [
        (json!({"tool_choice": "auto"}), Value::Null),
        (json!({"tool_choice": "none"}), json!({"type": "none"})),
        (json!({"tool_choice": "required"}), json!({"type": "any"})),
        (json!({"tool_choice": named}), json!({"type": "tool", "name": "g"})),
        (json!({"parallel_tool_calls": false}), json!({"type": "auto", "disable_parallel_tool_use": true})),
        (
            json!({"tool_choice": named, "parallel_tool_calls": false}),
            json!({"type": "tool", "name": "g", "disable_parallel_tool_use": true}),
        ),
    ];
    for (fields, want) in cases {
        let mut request = with(fields);
        assert_eq!(body(PAIR, NEW, &request)["tool_choice"], Value::Null, "{request} without tools");
        request["tools"] = tools.clone();
        assert_eq!(body(PAIR, NEW, &request)["tool_choice"], want, "{request}");
    }
}

#[test]
fn called_tools_are_defined() {
    let request = json!({"model": "m", "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "tool_calls": [{"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "i", "content": "r"},
    ]});
    let got = body(PAIR, NEW, &request);
    assert_eq!(got["tools"], json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]));
    assert_eq!(got["tool_choice"], json!({"type": "none"}));
}

#[test]
fn reasoning() {
    // model, fields, thinking, effort, max_tokens, dropped fields
    let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    let adaptive = json!({"type": "adaptive"});
    let null = Value::Null;
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    let cases = [
        (OLD, json!({"reasoning_effort": "none"}), null.clone(), null.clone(), 4096, ""),
        (OLD, json!({"reasoning_effort": "low"}), budget(1024), null.clone(), 5120, ""),
        (
            OLD,
            json!({"reasoning_effort": "high", "temperature": 1, "top_k": 3}),
            budget(4096),
            null.clone(),
            8192,
            "temperature, top_k",
        ),
        (OLD, json!({"reasoning_effort": "high", "max_tokens": 2000}), budget(1999), null.clone(), 2000, ""),
        (
            OLD,
            json!({"reasoning_effort": "high", "max_tokens": 1024}),
            null.clone(),
            null.clone(),
            1024,
            "reasoning_effort",
        ),
        (NEW, json!({"reasoning_effort": "minimal"}), adaptive.clone(), json!("low"), 4096, ""),
        (NEW, json!({"reasoning_effort": "xhigh"}), adaptive.clone(), json!("high"), 4096, ""),
        ("claude-opus-4-7", json!({"reasoning_effort": "xhigh"}), adaptive.clone(), json!("xhigh"), 4096, ""),
        (
            NEW,
            json!({"reasoning_effort": "high", "tools": tool, "tool_choice": "required"}),
            null.clone(),
            json!("high"),
            4096,
            "",
        ),
        (
            OLD,
            json!({"reasoning_effort": "high", "tools": tool, "tool_choice": "required"}),
            null.clone(),
            null.clone(),
            4096,
            "reasoning_effort",
        ),
        (OLD, json!({"thinking": budget(3000), "temperature": 0.1}), budget(3000), null.clone(), 4096, "temperature"),
    ];
    for (model, fields, thinking, effort, limit, left_out) in cases {
        let request = with(fields);
        let got = body(PAIR, model, &request);
        assert_eq!((&got["thinking"], &got["output_config"]["effort"]), (&thinking, &effort), "{model} {request}");
        assert_eq!(got["max_tokens"], limit, "{model} {request}");
        assert_eq!(dropped(PAIR, model, &request), left_out, "{model} {request}");
    }
    let mut history = json!([
        {"role": "user", "content": "go"},
        {"role": "assistant", "tool_calls": [{"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "i", "content": "r"},
    ]);
    let request =
        |messages: &Value| json!({"model": "m", "messages": messages, "tools": tool, "reasoning_effort": "low"});
    assert_eq!(body(PAIR, OLD, &request(&history))["thinking"], null, "a budget needs the thoughts before");
    history[1]["thinking_blocks"] = json!([{"type": "thinking", "thinking": "t", "signature": "s"}]);
    assert_eq!(body(PAIR, OLD, &request(&history))["thinking"], budget(1024));
}

#[test]
fn formats_of_answers() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "number", "minimum": 1.50}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": schema}});
    let request = with(json!({"response_format": format}));
    let got = body(PAIR, NEW, &request);
    assert_eq!(got["output_config"], json!({"format": {"type": "json_schema", "schema": schema}}));
    let got = body(PAIR, OLD, &request);
    assert_eq!(got["tools"][0]["input_schema"], schema);
    assert_eq!(got["tool_choice"], json!({"type": "tool", "name": "json_answer"}));
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    assert_eq!(dropped(PAIR, OLD, &with(json!({"response_format": format, "tools": tools}))), "response_format");
    let got = body(PAIR, OLD, &with(json!({"response_format": {"type": "json_object"}})));
    assert_eq!(got["system"][0]["text"], "Respond with a single JSON object and nothing else.");
    assert_eq!(body(PAIR, OLD, &with(json!({"response_format": {"type": "text"}})))["system"], Value::Null);

    // the tool's arguments are the answer
    let translated = translate(PAIR, OLD, &request).unwrap();
    let reply = sluice::translate::Reply { notes: translated.notes, ..reply() };
    let answer = json!({"id": "i", "model": "c", "stop_reason": "tool_use", "content": [
        {"type": "tool_use", "id": "t", "name": "json_answer", "input": {"a": 2}},
    ]});
    let got: Value = serde_json::from_slice(&PAIR.answer(answer.to_string().as_bytes(), &reply).unwrap().body).unwrap();
    assert_eq!(got["choices"][0]["message"]["content"], "{\"a\":2}");
    assert_eq!(got["choices"][0]["finish_reason"], "stop");
    assert_eq!(got["choices"][0]["message"].get("tool_calls"), None);
}

#[test]
fn dropped_fields_are_reported() {
    let cases = [
        (json!({"seed": 1, "logit_bias": {"1": 2}, "frequency_penalty": 0.5}), "frequency_penalty, logit_bias, seed"),
        (json!({"store": false, "logit_bias": {}, "modalities": ["text"], "n": 1}), ""),
        (json!({"temperature": 0.5, "top_p": 0.5}), "top_p"),
        (json!({"service_tier": "flex"}), "service_tier"),
        (json!({"service_tier": "auto"}), ""),
        (json!({"wéird\r\nname": 1, "": 2}), ""),
    ];
    for (fields, want) in cases {
        assert_eq!(dropped(PAIR, NEW, &with(fields.clone())), want, "{fields}");
    }
    assert_eq!(body(PAIR, OLD, &with(json!({"temperature": 1.7, "top_p": 0.5})))["temperature"], 1);
    assert_eq!(body(PAIR, OLD, &with(json!({"temperature": 0.1, "top_p": 0.5})))["top_p"], 0.5);
    assert_eq!(body(PAIR, OLD, &with(json!({"stop": ["a", "\n", "b"]})))["stop_sequences"], json!(["a", "b"]));
}

#[test]
fn unsupported_requests_are_refused() {
    let user = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let cases = [
        (json!({"n": 2}), "n", "`n`"),
        (json!({"logprobs": true}), "logprobs", "`logprobs`"),
        (json!({"audio": {"voice": "a"}}), "audio", "`audio`"),
        (json!({"modalities": ["text", "audio"]}), "modalities", "`modalities`"),
        (json!({"messages": {}}), "messages", "array"),
        (json!({"messages": []}), "messages", "nothing"),
        (json!({"messages": [{"role": "assistant", "content": "a"}]}), "messages", "begin with a user's"),
        (json!({"messages": [{"role": "tool", "content": "a"}]}), "messages", "messages[0].tool_call_id"),
        (json!({"messages": [{"role": "robot", "content": "a"}]}), "messages", "messages[0].role"),
        (json!({"messages": [{"role": "user", "content": 7}]}), "messages", "messages[0].content"),
        (
            user(json!({"type": "input_audio", "input_audio": {}})),
            "messages",
            "messages[0].content[0]`.type: `input_audio`",
        ),
        (user(json!({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA"}})), "messages", "JPEG"),
        (user(json!({"type": "file", "file": {"file_id": "f"}})), "messages", "file_data"),
        (json!({"tools": [{"type": "web_search"}]}), "tools", "tools[0].type"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "some"}),
            "tool_choice",
            "tool_choice",
        ),
        (json!({"reasoning_effort": "huge"}), "reasoning_effort", "minimal"),
        (json!({"response_format": {"type": "grammar"}}), "response_format", "json_schema"),
    ];
    for (fields, param, words) in cases {
        let error = translate(PAIR, NEW, &with(fields.clone())).unwrap_err();
        assert_eq!((error.status, error.param), (400, Some(param)), "{fields}");
        assert!(error.message.contains(words), "{fields}: {}", error.message);
    }
}

#[test]
fn answers() {
    let usage = json!({
        "input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3, "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 2}, "service_tier": "standard",
    });
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "tool_use", "usage": usage,
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "redacted_thinking", "data": "d"},
            {"type": "text", "text": "a"}, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "text", "text": "b", "citations": []},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"z": 1, "a": 1.0}},
            {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
        ],
    });
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let want = json!({
        "id": "msg_1", "object": "chat.completion", "created": 1_700_000_000, "model": "claude-x", "service_tier": "standard",
        "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "content": "ab", "refusal": null, "reasoning_content": "hm",
            "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "redacted_thinking", "data": "d"}],
            "tool_calls": [call("t1", "f", "{\"a\":1.0,\"z\":1}"), call("t2", "g", "{}")],
        }}],
        "usage": {
            "prompt_tokens": 18, "completion_tokens": 7, "total_tokens": 25,
            "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 2},
        },
    });
    assert!(check_answer(PAIR, &reply(), &answer, &want));
}

#[test]
fn finish_reasons() {
    let cases = [
        ("end_turn", "stop", true),
        ("stop_sequence", "stop", true),
        ("pause_turn", "stop", true),
        ("max_tokens", "length", true),
        ("model_context_window_exceeded", "length", true),
        ("refusal", "content_filter", true),
        ("moon_phase", "stop", false),
    ];
    for (reason, want, known) in cases {
        let answer = json!({"content": [{"type": "text", "text": "a"}], "stop_reason": reason, "stop_details": {"explanation": "E"}});
        let got = PAIR.answer(answer.to_string().as_bytes(), &reply()).unwrap();
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(
            (body["choices"][0]["finish_reason"].as_str(), !got.unknown_reason),
            (Some(want), known),
            "{reason}"
        );
        let refusal = if want == "content_filter" { json!("E") } else { Value::Null };
        assert_eq!(body["choices"][0]["message"]["refusal"], refusal);
        assert_eq!(body["id"], "chatcmpl-0000000000000abc");
    }
    for broken in
        ["", "{", "[]", "{}", "<html>", r#"{"content":"a"}"#, r#"{"type":"error","error":{"type":"api_error"}}"#]
    {
        assert!(PAIR.answer(broken.as_bytes(), &reply()).is_err(), "{broken}");
    }
}
