//! Anthropic's requests for OpenAI servers.

use serde_json::{json, Value};
use sluice::translate::Pair;

use super::{body, dropped, translate, with};

const PAIR: Pair = Pair::MessagesToChat;

#[test]
fn a_plain_request() {
    let request = json!({
        "model": "claude-x", "max_tokens": 100, "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}],
        "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.3, "top_k": 3, "stop_sequences": ["1", "2", "3", "4", "5"],
        "metadata": {"user_id": "u"}, "stream": true,
    });
    let want = json!({
        "model": "llama", "max_tokens": 100, "temperature": 0.3, "stop": ["1", "2", "3", "4"], "user": "u", "stream": true,
        "stream_options": {"include_usage": true},
        "messages": [{"role": "system", "content": "a\nb"}, {"role": "user", "content": "Hi"}],
    });
    assert_eq!(body(PAIR, "llama", &request), want);
    assert_eq!(dropped(PAIR, "llama", &request), "top_k, stop_sequences");
    let reasoning = body(PAIR, "openai/gpt-5.1", &request);
    assert_eq!((&reasoning["max_completion_tokens"], reasoning.get("temperature")), (&json!(100), None));
}

#[test]
fn conversations() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}});
    let url = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
    let cases = [
        // results come first, their images after them
        (
            json!([
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "signed", "signature": "s"}, {"type": "text", "text": "ok"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"b": 1, "a": 2}},
                    {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "text", "text": "now"},
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "x"}, image, {"type": "text", "text": "y"}]},
                    {"type": "tool_result", "tool_use_id": "t2", "content": "bad", "is_error": true},
                ]},
            ]),
            json!([
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": "ok", "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":2,\"b\":1}"}},
                    {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ]},
                {"role": "tool", "tool_call_id": "t1", "content": "x\ny"},
                {"role": "tool", "tool_call_id": "t2", "content": "Error: bad"},
                {"role": "user", "content": [{"type": "text", "text": "now"}, url]},
            ]),
        ),
        // documents, URLs, reasoning from an OpenAI server
        (
            json!([
                {"role": "user", "content": [
                    image, {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                    {"type": "document", "title": "t.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="}},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
                ]},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": ""}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": []},
            ]),
            json!([
                {"role": "user", "content": [
                    url, {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                    {"type": "file", "file": {"filename": "t.pdf", "file_data": "data:application/pdf;base64,QQ=="}},
                    {"type": "text", "text": "plain"},
                ]},
                {"role": "assistant", "content": "ab", "reasoning_content": "t"},
            ]),
        ),
    ];
    for (given, want) in cases {
        assert_eq!(body(PAIR, "m", &json!({"model": "c", "messages": given}))["messages"], want);
    }
}

#[test]
fn tools_and_choices() {
    let long = "mcp__".to_owned() + &"x".repeat(80);
    let tools = json!([
        {"name": "f", "description": "d", "input_schema": {"type": "object"}},
        {"name": long, "input_schema": {"type": "object"}}, {"type": "web_search_20250305", "name": "web_search"},
    ]);
    let request =
        with(json!({"tools": tools, "tool_choice": {"type": "tool", "name": long, "disable_parallel_tool_use": true}}));
    let got = body(PAIR, "m", &request);
    let short = got["tools"][1]["function"]["name"].as_str().unwrap();
    assert_eq!((short.len(), &short[..9]), (64, "mcp__xxxx"));
    assert_eq!(
        got["tools"][0],
        json!({"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}})
    );
    assert_eq!(got["tools"].as_array().unwrap().len(), 2);
    assert_eq!(got["tool_choice"], json!({"type": "function", "function": {"name": short}}));
    assert_eq!(got["parallel_tool_calls"], false);
    assert_eq!(dropped(PAIR, "m", &request), "tools.web_search_20250305");
    for (kind, want) in [("auto", "auto"), ("any", "required"), ("none", "none")] {
        let mut request = with(json!({"tool_choice": {"type": kind}}));
        assert_eq!(body(PAIR, "m", &request).get("tool_choice"), None);
        request["tools"] = tools.clone();
        assert_eq!(body(PAIR, "m", &request)["tool_choice"], want);
    }
    // the answer has the client's name for the tool
    let translated = translate(PAIR, "m", &request).unwrap();
    let reply = sluice::translate::Reply { notes: translated.notes, ..super::reply() };
    let answer = json!({"choices": [{"message": {"tool_calls": [{"id": "i", "function": {"name": short, "arguments": "{"}}]}, "finish_reason": "stop"}]});
    let got: Value = serde_json::from_slice(&PAIR.answer(answer.to_string().as_bytes(), &reply).unwrap().body).unwrap();
    assert_eq!(got["content"], json!([{"type": "tool_use", "id": "i", "name": long, "input": {}}]));
    assert_eq!(got["stop_reason"], "tool_use");
}

#[test]
fn reasoning_and_formats() {
    let budget = |tokens: u64| json!({"thinking": {"type": "enabled", "budget_tokens": tokens}});
    let cases = [
        ("gpt-5", budget(1024), json!("low"), ""),
        ("gpt-5", budget(2048), json!("medium"), ""),
        ("o4-mini", budget(30000), json!("high"), ""),
        ("gpt-4o", budget(30000), Value::Null, "thinking"),
        ("gpt-5", json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}), json!("high"), ""),
        ("gpt-5", json!({"thinking": {"type": "disabled"}}), Value::Null, ""),
        ("gpt-4o", json!({"output_config": {"effort": "low"}}), Value::Null, "output_config.effort"),
    ];
    for (model, fields, want, left_out) in cases {
        let request = with(fields);
        assert_eq!(body(PAIR, model, &request)["reasoning_effort"], want, "{model} {request}");
        assert_eq!(dropped(PAIR, model, &request), left_out, "{model} {request}");
    }
    let schema = json!({"type": "object", "properties": {}});
    let request = with(json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}));
    let want = json!({"type": "json_schema", "json_schema": {"name": "output", "schema": schema, "strict": true}});
    assert_eq!(body(PAIR, "m", &request)["response_format"], want);
}

#[test]
fn unsupported_requests_are_refused() {
    let user = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    let cases = [
        (json!({"messages": "a"}), "messages", "array"),
        (json!({"messages": [{"role": "user", "content": []}]}), "messages", "nothing"),
        (json!({"messages": [{"role": "tool", "content": "a"}]}), "messages", "messages[0].role"),
        (
            user(json!({"type": "container_upload", "file_id": "f"})),
            "messages",
            "messages[0].content[0]`.type: `container_upload`",
        ),
        (user(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})), "messages", "base64"),
        (user(json!({"type": "tool_result", "content": "x"})), "messages", "tool_use_id"),
        (json!({"tools": [{"input_schema": {}}]}), "tools", "tools[0].name"),
        (json!({"tools": [{"name": "f"}], "tool_choice": {"type": "all"}}), "tool_choice", "auto"),
    ];
    for (fields, param, words) in cases {
        let error = translate(PAIR, "m", &with(fields.clone())).unwrap_err();
        assert_eq!((error.status, error.param), (400, Some(param)), "{fields}");
        assert!(error.message.contains(words), "{fields}: {}", error.message);
    }
}
