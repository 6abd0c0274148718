//! Streams of chat completions, Messages and Gemini as response events: the right events in the right order, at every
//! cut, and at the end the same response as the JSON answer.

use serde_json::{json, Value};
use sluice::response_gate::{Fault, Gate};
use sluice::translate::{Pair, Reply};

use super::reply;
use super::responses::to;
use super::streams::{at_every_cut, chunks, events, named, run};

const CHAT: Pair = Pair::ResponsesToChat;

fn chunk(delta: Value, finish_reason: Value) -> Value {
    json!({"id": "c1", "model": "llama", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})
}

fn calls(calls: Value) -> Value {
    chunk(json!({"tool_calls": calls}), Value::Null)
}

fn usage() -> Value {
    json!({"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}})
}

/// A chat stream with two interleaved calls.
fn all_of_a_chat() -> Vec<Value> {
    vec![
        json!({"id": "", "choices": [], "prompt_filter_results": []}),
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"reasoning_content": "h"}), Value::Null),
        chunk(json!({"reasoning_content": "m 💭"}), Value::Null),
        chunk(json!({"content": "Hé"}), Value::Null),
        chunk(json!({"content": "llo"}), Value::Null),
        calls(json!([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}])),
        calls(json!([{"index": 0, "function": {"arguments": "{\"x\":"}}])),
        calls(
            json!([{"index": 1, "id": "b", "type": "function", "function": {"name": "patch", "arguments": "{\"input\""}}]),
        ),
        calls(json!([{"index": 0, "function": {"arguments": "1}"}}])),
        calls(
            json!([{"index": 1, "function": {"arguments": ":\"p\"}"}}, {"index": 2, "id": "c", "function": {"name": "mcp__db__read"}}]),
        ),
        chunk(json!({}), json!("tool_calls")),
        json!({"id": "c1", "choices": [], "usage": usage()}),
    ]
}

/// The equivalent JSON answer.
fn whole_chat() -> Value {
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    json!({"id": "c1", "model": "llama", "usage": usage(), "choices": [{"finish_reason": "tool_calls", "message": {
        "content": "Héllo", "reasoning_content": "hm 💭",
        "tool_calls": [call("a", "f", "{\"x\":1}"), call("b", "patch", "{\"input\":\"p\"}"), call("c", "mcp__db__read", "")],
    }}]})
}

/// Checks the rules for all streams, and returns their event types.
fn check(pair: Pair, reply: &Reply, bytes: &[u8], whole: &Value) -> Vec<String> {
    let (out, gate) = at_every_cut(pair, reply, bytes);
    assert_eq!(gate, Gate::Commit);
    let text = String::from_utf8(out.clone()).unwrap();
    let events = events(&out);
    let types: Vec<String> = events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(text.lines().filter_map(|line| line.strip_prefix("event: ")).collect::<Vec<_>>(), types);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    // every item is added, filled by deltas, and done
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    let mut filled: Vec<String> = Vec::new();
    for event in &events {
        let place = event["output_index"].as_u64().and_then(|place| usize::try_from(place).ok());
        match event["type"].as_str().unwrap() {
            "response.output_item.added" => {
                assert_eq!(place, Some(begun.len()));
                begun.push(event["item"]["id"].clone());
                filled.push(String::new());
            }
            "response.output_item.done" => {
                assert_eq!(event["item"]["id"], begun[place.unwrap()]);
                ended.push((place.unwrap(), event["item"].clone()));
            }
            kind if kind.ends_with(".delta") => {
                assert_eq!(event["item_id"], begun[place.unwrap()]);
                filled[place.unwrap()].push_str(event["delta"].as_str().unwrap());
            }
            _ => {}
        }
    }
    assert_eq!(ended.iter().map(|(place, _)| *place).collect::<Vec<_>>(), (0..begun.len()).collect::<Vec<_>>());
    for (place, item) in &ended {
        let text = ["/arguments", "/input", "/summary/0/text", "/content/0/text"]
            .into_iter()
            .find_map(|path| item.pointer(path));
        assert_eq!(text.and_then(Value::as_str).unwrap_or_default(), filled[*place], "{item}");
    }
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"], ended.into_iter().map(|(_, item)| item).collect::<Value>());
    let answer = pair.answer(whole.to_string().as_bytes(), reply).unwrap();
    assert_eq!(last, &serde_json::from_slice::<Value>(&answer.body).unwrap());
    types
}

#[test]
fn chunks_become_events() {
    let types = check(CHAT, &to(CHAT), &chunks(&all_of_a_chat()), &whole_chat());
    let want = [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.done",
        "output_item.done",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(types, want.map(|kind| format!("response.{kind}")));
}

#[test]
fn streams_that_stop_early() {
    for (reason, refusal) in [("length", false), ("content_filter", true)] {
        let field = if refusal { "refusal" } else { "content" };
        let given = [chunk(json!({field: "a"}), Value::Null), chunk(json!({field: "b"}), json!(reason))];
        let whole = json!({"model": "llama", "choices": [{"finish_reason": reason, "message": {field: "ab"}}]});
        let types = check_unfilled(&chunks(&given), &whole);
        assert_eq!(types.last().unwrap(), "response.incomplete");
    }
}

fn check_unfilled(bytes: &[u8], whole: &Value) -> Vec<String> {
    let events = events(&at_every_cut(CHAT, &reply(), bytes).0);
    let answer = CHAT.answer(whole.to_string().as_bytes(), &reply()).unwrap();
    assert_eq!(events.last().unwrap()["response"], serde_json::from_slice::<Value>(&answer.body).unwrap());
    events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn streams_of_other_dialects_become_events() {
    let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let block =
        |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    let given = [
        json!({"type": "message_start", "message": {"id": "m", "model": "claude", "usage": {"input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "ping"}),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "h"})),
        delta(0, json!({"type": "thinking_delta", "thinking": "m"})),
        delta(0, json!({"type": "signature_delta", "signature": "S"})),
        stop(0),
        block(1, json!({"type": "redacted_thinking", "data": "R"})),
        stop(1),
        block(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": "a"})),
        stop(2),
        block(3, json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "{\"x\":1}"})),
        stop(3),
        block(4, json!({"type": "tool_use", "id": "t2", "name": "patch", "input": {}})),
        delta(4, json!({"type": "input_json_delta", "partial_json": "{\"input\":\"p\"}"})),
        stop(4),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ];
    let whole = json!({"id": "m", "model": "claude", "stop_reason": "tool_use", "usage": {"input_tokens": 10, "output_tokens": 7}, "content": [
        {"type": "thinking", "thinking": "hm", "signature": "S"}, {"type": "redacted_thinking", "data": "R"}, {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1}}, {"type": "tool_use", "id": "t2", "name": "patch", "input": {"input": "p"}},
    ]});
    let pair = Pair::ResponsesToMessages;
    let types = check(pair, &to(pair), &named(&given), &whole);
    assert_eq!(types.last().unwrap(), "response.completed");
    let call = json!({"functionCall": {"id": "c", "name": "f", "args": {"x": 1}}, "thoughtSignature": "G"});
    let part = |part: &Value, reason: Value| json!({"modelVersion": "gemini", "candidates": [{"content": {"parts": [part]}, "finishReason": reason}], "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3}});
    let thought = json!({"text": "hm", "thought": true});
    let given = [part(&thought, Value::Null), part(&call, json!("STOP"))];
    let bytes: String = given.iter().map(|event| format!("data: {event}\n\n")).collect();
    let mut whole = part(&thought, json!("STOP"));
    whole["candidates"][0]["content"]["parts"] = json!([thought, call]);
    let pair = Pair::ResponsesToGemini;
    let types = check(pair, &to(pair), bytes.as_bytes(), &whole);
    assert_eq!(types.last().unwrap(), "response.completed");
}

#[test]
fn faults() {
    let content = format!("data: {}\n\n", chunk(json!({"content": "a"}), Value::Null));
    let error = r#"data: {"error":{"message":"m","type":"rate_limit_error"}}"#;
    let cases = [
        (format!("{error}\n\n"), Gate::Reject(Fault::ErrorEvent), "rate_limit_exceeded", "m"),
        (
            String::new() + "data: [DONE]\n\n",
            Gate::Reject(Fault::EmptyStream),
            "upstream_stream_interrupted",
            "ended before",
        ),
        (format!("{content}{error}\n\n"), Gate::Commit, "rate_limit_exceeded", "m"),
        (content.clone(), Gate::Commit, "upstream_stream_interrupted", "ended before"),
        (format!("{content}data: <\n\n"), Gate::Commit, "upstream_answer_unreadable", "could not be read"),
    ];
    for (bytes, want, code, message) in cases {
        let (out, gate) = at_every_cut(CHAT, &reply(), bytes.as_bytes());
        assert_eq!(gate, want, "{bytes}");
        let events = events(&out);
        let last = events.last().unwrap();
        assert_eq!((&events[0]["type"], &last["type"]), (&json!("response.created"), &json!("response.failed")));
        assert_eq!((&last["response"]["status"], &last["response"]["error"]["code"]), (&json!("failed"), &json!(code)));
        assert!(last["response"]["error"]["message"].as_str().unwrap().contains(message), "{last}");
    }
    let overloaded =
        b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"o\"}}\n\n";
    let (out, gate) = at_every_cut(Pair::ResponsesToMessages, &reply(), overloaded);
    assert_eq!(gate, Gate::Reject(Fault::ErrorEvent));
    assert_eq!(events(&out).last().unwrap()["response"]["error"]["message"], "o");
}

#[test]
fn an_answer_too_long_to_keep_fails() {
    let piece = format!("data: {}\n\n", chunk(json!({"content": "x".repeat(1 << 20)}), Value::Null)).into_bytes();
    let (out, _) = run(CHAT, &reply(), &piece.repeat(5), piece.len());
    assert_eq!(events(&out).last().unwrap()["type"], "response.failed");
}
