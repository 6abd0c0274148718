//! Bodies that are not what their API takes.

use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::config::router;
use sluice::endpoint::Endpoint;
use sluice::intake::{prepare, Unprepared};
use sluice::validation::validate;

use crate::generate;

const CHAT: Endpoint = Endpoint::ChatCompletions;
const RESPONSES: Endpoint = Endpoint::Responses;
const MESSAGES: Endpoint = Endpoint::Messages;
const GEMINI: Endpoint = Endpoint::GenerateContent;
const OLLAMA: Endpoint = Endpoint::OllamaChat;

fn user(content: Value) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

fn with(name: &str, value: Value) -> Value {
    let mut body = user("hi".into());
    body[name] = value;
    body
}

#[test]
fn what_real_clients_send_passes() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let cases = [
        (CHAT, user("hi".into())),
        (
            CHAT,
            user(
                json!([{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,x", "detail": "low"}}]),
            ),
        ),
        (
            CHAT,
            user(
                json!([{"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}, {"type": "file", "file": {"file_id": "f"}}]),
            ),
        ),
        (CHAT, user(json!([{"image_url": "https://x", "type": "image_url"}]))),
        (
            CHAT,
            json!({"messages": [
                {"role": "developer", "content": "d"}, {"role": "system", "content": [{"type": "text", "text": "s"}], "name": null},
                {"role": "user", "content": ""}, {"role": "assistant", "content": null, "tool_calls": [call], "refusal": null},
                {"role": "tool", "tool_call_id": "c", "content": "r"}, {"role": "assistant", "content": "a", "reasoning_content": "x"},
                {"role": "function", "name": "f", "content": null},
            ]}),
        ),
        (
            CHAT,
            json!({"model": "m", "messages": [{"content": "c", "role": "user"}], "temperature": 2, "top_p": 0.0, "n": 128, "max_tokens": null,
            "stop": ["a"], "seed": -1, "tools": [{"type": "function", "function": {"name": "f", "parameters": {}, "strict": true}}, {"type": "web_search"}],
            "tool_choice": {"type": "function", "function": {"name": "f"}}, "response_format": {"type": "json_schema", "json_schema": {}},
            "own": [1, {"temperature": "x"}], "logprobs": false, "top_logprobs": 20}),
        ),
        (RESPONSES, json!({"input": "hi"})),
        (
            RESPONSES,
            json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}, {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c", "output": "x"},
            {"type": "item_reference", "id": "i"}], "tools": [{"type": "function", "name": "f"}, {"type": "file_search"}]}),
        ),
        (
            MESSAGES,
            json!({"max_tokens": 5, "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}], "messages": [
            {"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}]}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "s"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}, {"type": "web_search_tool_result"}]}],
            "tools": [{"name": "f", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "auto"}}),
        ),
        (
            GEMINI,
            json!({"contents": [{"parts": [{"text": "x"}]}, {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}],
            "generationConfig": {"temperature": 0, "topK": 1.0, "responseMimeType": "x"}}),
        ),
        (
            OLLAMA,
            json!({"messages": [{"role": "user", "content": "x", "images": ["aGk="]}], "options": {"num_predict": -1}, "format": "json", "stream": false}),
        ),
        // Mistral, vLLM, DashScope, llama.cpp
        (CHAT, user(json!([{"type": "document_url", "document_url": "https://x"}, {"type": "file", "file_id": "f"}]))),
        (
            CHAT,
            user(json!([{"type": "input_audio", "input_audio": "x"}, {"type": "image_embeds", "image_embeds": "x"}])),
        ),
        (CHAT, user(json!([{"type": "video", "video": ["https://x"]}, {"type": "thinking", "thinking": []}]))),
        (CHAT, with("tool_choice", "any".into())),
        (CHAT, with("max_tokens", (-1).into())),
        (CHAT, with("max_completion_tokens", (-1).into())),
        (
            MESSAGES,
            with("tools", json!([{"type": "mcp_toolset", "mcp_server_name": "x"}, {"type": "custom", "name": "f"}])),
        ),
        (
            GEMINI,
            json!({"systemInstruction": {"parts": {"text": "s"}}, "contents": {"role": "user", "parts": {"text": "x"}},
            "tools": {"googleSearch": {}}, "safetySettings": {}, "generationConfig": {"stopSequences": "x"}}),
        ),
        (OLLAMA, json!({"messages": []})),
        (Endpoint::Embeddings, json!({"messages": 1})),
    ];
    for (endpoint, body) in cases {
        assert_eq!(validate(endpoint, body.to_string().as_bytes()), None, "{body}");
    }
}

#[test]
fn problems_have_their_path() {
    let cases = [
        (CHAT, json!({}), "messages", "is missing"),
        (CHAT, json!({"messages": null}), "messages", "is missing"),
        (CHAT, json!({"messages": "hi"}), "messages", "must be a list"),
        (CHAT, json!({"messages": []}), "messages", "must not be empty"),
        (CHAT, json!({"messages": ["hi"]}), "messages[0]", "must be an object"),
        (CHAT, json!({"messages": [{"content": "x"}]}), "messages[0].role", "is missing"),
        (
            CHAT,
            json!({"messages": [{"role": "bot", "content": "x"}]}),
            "messages[0].role",
            "must be one of system, developer, user, assistant, tool, function",
        ),
        (
            CHAT,
            json!({"messages": [{"role": 1, "content": "x"}]}),
            "messages[0].role",
            "must be one of system, developer, user, assistant, tool, function",
        ),
        (CHAT, json!({"messages": [{"role": "user"}]}), "messages[0].content", "is missing"),
        (CHAT, user(5.into()), "messages[0].content", "must be a string or a list"),
        (
            CHAT,
            user(json!([{"type": "text", "text": "x"}, {"text": "x"}])),
            "messages[0].content[1].type",
            "is missing",
        ),
        (CHAT, user(json!([{"type": "text"}])), "messages[0].content[0].text", "is missing"),
        (
            CHAT,
            user(json!([{"type": "image_url", "image_url": {}}])),
            "messages[0].content[0].image_url.url",
            "is missing",
        ),
        (CHAT, user(json!(["x"])), "messages[0].content[0]", "must be an object"),
        (CHAT, json!({"messages": [{"role": "tool", "content": "x"}]}), "messages[0].tool_call_id", "is missing"),
        (
            CHAT,
            json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": ""}}]}]}),
            "messages[1].tool_calls[0].function.name",
            "must not be empty",
        ),
        (
            CHAT,
            with("tools", json!([{"type": "function", "function": {"name": "f", "parameters": []}}])),
            "tools[0].function.parameters",
            "must be an object",
        ),
        (CHAT, with("tools", json!([{"function": {"name": "f"}}])), "tools[0].type", "is missing"),
        (CHAT, with("tool_choice", "yes".into()), "tool_choice", "must be one of none, auto, required, any"),
        (CHAT, with("temperature", 2.1.into()), "temperature", "must be from 0 to 2"),
        (CHAT, with("temperature", "1".into()), "temperature", "must be a number"),
        (CHAT, with("top_p", (-1).into()), "top_p", "must be from 0 to 1"),
        (CHAT, with("n", 0.into()), "n", "must be from 1 to 128"),
        (CHAT, with("n", 1.5.into()), "n", "must be a whole number"),
        (CHAT, with("max_tokens", (-2).into()), "max_tokens", "must be at least -1"),
        (MESSAGES, with("max_tokens", (-1).into()), "max_tokens", "must be at least 1"),
        (MESSAGES, with("tools", json!([{"input_schema": {}}])), "tools[0].name", "is missing"),
        (CHAT, with("stop", json!([1])), "stop[0]", "must be a string"),
        (CHAT, with("response_format", "json".into()), "response_format", "must be an object"),
        (RESPONSES, json!({"input": [{"role": "user"}]}), "input[0].content", "is missing"),
        (
            RESPONSES,
            json!({"input": [{"role": "tool", "content": "x"}]}),
            "input[0].role",
            "must be one of user, assistant, system, developer",
        ),
        (RESPONSES, json!({"max_output_tokens": -5}), "max_output_tokens", "must be at least 1"),
        (
            MESSAGES,
            json!({"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "x", "name": "f"}]}]}),
            "messages[0].content[0].input",
            "is missing",
        ),
        (MESSAGES, with("temperature", 1.5.into()), "temperature", "must be from 0 to 1"),
        (MESSAGES, with("tool_choice", "auto".into()), "tool_choice", "must be an object"),
        (
            GEMINI,
            json!({"contents": [{"role": "assistant", "parts": []}]}),
            "contents[0].role",
            "must be one of user, model, function, tool, system",
        ),
        (GEMINI, json!({"contents": [{}]}), "contents[0].parts", "is missing"),
        (GEMINI, json!({"contents": {"role": "user"}}), "contents.parts", "is missing"),
        (GEMINI, json!({"contents": "hi"}), "contents", "must be a list or an object"),
        (GEMINI, json!({"contents": {"parts": {"text": 5}}}), "contents.parts.text", "must be a string"),
        (
            GEMINI,
            json!({"contents": [{"parts": []}], "generationConfig": {"topP": 2}}),
            "generationConfig.topP",
            "must be from 0 to 1",
        ),
        (OLLAMA, json!({"messages": [{"role": "user", "content": []}]}), "messages[0].content", "must be a string"),
        (OLLAMA, json!({"options": {"temperature": "x"}}), "options.temperature", "must be a number"),
    ];
    for (endpoint, body, path, wrong) in cases {
        let problem = validate(endpoint, body.to_string().as_bytes()).unwrap_or_else(|| panic!("{body}"));
        assert_eq!((problem.path().as_str(), problem.wrong.to_string().as_str()), (path, wrong), "{body}");
        let error = problem.error();
        assert_eq!((error.status, error.message), (400, format!("`{path}` {wrong}.")));
        let field: String = path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect();
        assert_eq!(problem.field(), field);
        assert_eq!(error.param, path.split(['[', '.']).next());
    }
}

#[test]
fn the_example_of_the_documentation_occurs() {
    let body = json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant"}, {"role": "bot"}]});
    let message = validate(CHAT, body.to_string().as_bytes()).unwrap().error().message;
    assert!(include_str!("../../docs/requests.md").contains(&message), "{message}");
}

#[test]
fn a_router_or_a_model_decides() {
    let table = |own: Value, all: Value| {
        let mut root = json!({"upstreams": {"one": {}}, "models": [{"name": "m", "targets": ["one"]}]});
        if !own.is_null() {
            root["models"][0]["validate"] = own;
        }
        if !all.is_null() {
            root["validate"] = all;
        }
        router(root.to_string().as_bytes(), &|_| None)
    };
    let bad = || br#"{"model":"m","messages":[]}"#.to_vec();
    let cases = [
        (Value::Null, Value::Null, false, "passes"),
        ("on".into(), Value::Null, true, "refused"),
        (true.into(), "off".into(), true, "refused"),
        ("off".into(), true.into(), true, "passes"),
        (Value::Null, "warn".into(), true, "warned"),
        ("warn".into(), "on".into(), true, "warned"),
        (Value::Null, "on".into(), true, "refused"),
    ];
    for (own, all, prepares, want) in cases {
        let table = table(own, all).unwrap();
        assert_eq!(table.prepares_requests(), prepares);
        let got = match prepare(CHAT, None, bad(), &table) {
            Ok(prepared) if prepared.invalid.is_some() => "warned",
            Ok(_) => "passes",
            Err(Unprepared::Invalid(invalid)) => {
                assert_eq!((invalid.model.as_str(), invalid.problem.path().as_str()), ("m", "messages"));
                "refused"
            }
            Err(Unprepared::Refused(error)) => panic!("{error:?}"),
        };
        assert_eq!(got, want);
    }
    let error = table("yes".into(), Value::Null).unwrap_err().to_string();
    assert!(error.starts_with("router.models[0].validate: \"yes\" is none of its values"), "{error}");
}

proptest! {
    /// Nothing of a body is in its problem, and no body breaks the walk.
    #[test]
    fn any_text_has_an_answer(text in generate::long_text(), endpoint in 0..5_usize) {
        let endpoint = [CHAT, RESPONSES, MESSAGES, GEMINI, OLLAMA][endpoint];
        validate(endpoint, text.as_bytes());
        let body = json!({"messages": [{"role": "user", "content": [{"type": "text", "zzzz": text, "text": {"zzzz": text}}], "temperature": text}], "contents": text, "input": [text]});
        if let Some(problem) = validate(endpoint, body.to_string().as_bytes()) {
            prop_assert!(!problem.error().message.contains("zzzz"));
        }
    }
}
