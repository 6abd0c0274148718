//! Streams, complete and at every cut.

use serde_json::{json, Value};
use sluice::response_gate::{Fault, Gate};
use sluice::translate::{Pair, Reply};
use sluice::usage::Framing;

use super::reply;

/// The output of a stream in chunks of this size, and the gate's first decision.
pub fn run(pair: Pair, reply: &Reply, bytes: &[u8], size: usize) -> (Vec<u8>, Gate) {
    let mut stream = pair.stream(reply);
    let (mut out, mut first) = (Vec::new(), Gate::Hold);
    let mut chunks = bytes.chunks(size).peekable();
    while let Some(chunk) = chunks.next() {
        let gate = stream.chunk(chunk, chunks.peek().is_none());
        if first == Gate::Hold {
            first = gate;
        }
        out.extend_from_slice(stream.written());
        stream.clear();
    }
    (out, first)
}

/// The output at every cut into two and at several sizes: always the same bytes.
pub fn at_every_cut(pair: Pair, reply: &Reply, bytes: &[u8]) -> (Vec<u8>, Gate) {
    let want = run(pair, reply, bytes, bytes.len());
    for size in [1, 2, 3, 7, 64] {
        assert_eq!(run(pair, reply, bytes, size), want, "in chunks of {size}");
    }
    for cut in 1..bytes.len() {
        let mut stream = pair.stream(reply);
        let first = stream.chunk(&bytes[..cut], false);
        let second = stream.chunk(&bytes[cut..], true);
        let gate = if first == Gate::Hold { second } else { first };
        assert_eq!((stream.written(), gate), (want.0.as_slice(), want.1), "cut at {cut}");
    }
    want
}

/// The data of a stream's events.
pub fn events(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data))).collect()
}

/// A stream of named events, in Anthropic's format.
pub fn named(events: &[Value]) -> Vec<u8> {
    events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
        .collect::<String>()
        .into_bytes()
}

/// A stream of chunks, in OpenAI's format.
pub fn chunks(chunks: &[Value]) -> Vec<u8> {
    let events = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n"));
    (events.collect::<String>() + "data: [DONE]\r\n\r\n").into_bytes()
}

pub fn message_start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "content": [], "usage": {
        "input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3, "output_tokens": 1}}})
}

pub fn block(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

pub fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn stop(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn all_of_anthropics() -> Vec<Value> {
    vec![
        message_start(),
        json!({"type": "ping"}),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm 💭"})),
        delta(0, json!({"type": "signature_delta", "signature": "sig"})),
        stop(0),
        block(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Hé"})),
        delta(1, json!({"type": "citations_delta", "citation": {}})),
        delta(1, json!({"type": "text_delta", "text": "llo"})),
        stop(1),
        block(2, json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}})),
        delta(2, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"a\":"})),
        delta(2, json!({"type": "input_json_delta", "partial_json": "1}"})),
        stop(2),
        block(3, json!({"type": "tool_use", "id": "t2", "name": "g", "input": {}})),
        stop(3),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn anthropic_events_become_chunks() {
    let (out, gate) = at_every_cut(Pair::ChatToMessages, &reply(), &named(&all_of_anthropics()));
    assert_eq!(gate, Gate::Commit);
    let events = events(&out);
    assert_eq!(events.last(), Some(&json!("[DONE]")));
    let head = json!({"id": "msg_1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "claude-x"});
    for event in &events[..events.len() - 1] {
        for (name, value) in head.as_object().unwrap() {
            assert_eq!(&event[name], value);
        }
    }
    let deltas: Vec<&Value> =
        events.iter().filter_map(|event| event["choices"].get(0)).map(|choice| &choice["delta"]).collect();
    let call =
        |index: u64, arguments: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]});
    let begun = |index: u64, id: &str, name: &str| json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]});
    let want = [
        json!({"role": "assistant", "content": ""}),
        json!({"reasoning_content": "hm 💭", "thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "hm 💭"}]}),
        json!({"thinking_blocks": [{"index": 0, "type": "thinking", "thinking": "", "signature": "sig"}]}),
        json!({"content": "Hé"}),
        json!({"content": "llo"}),
        begun(0, "t1", "f"),
        call(0, "{\"a\":"),
        call(0, "1}"),
        begun(1, "t2", "g"),
        call(1, "{}"),
        json!({}),
    ];
    assert_eq!(deltas, want.iter().collect::<Vec<_>>());
    let [.., finish, usage, _] = events.as_slice() else { panic!() };
    assert_eq!(finish["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["prompt_tokens"], 18);
    assert_eq!(usage["usage"]["completion_tokens"], 7);
    assert!(String::from_utf8(out).unwrap().starts_with(": ping\n\n"));
    let unasked = Reply { include_usage: false, ..reply() };
    assert!(!String::from_utf8(run(Pair::ChatToMessages, &unasked, &named(&all_of_anthropics()), 99).0)
        .unwrap()
        .contains("usage"));
}

pub fn chunk(delta: Value, finish_reason: Value) -> Value {
    json!({"id": "c1", "model": "m", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})
}

fn calls(calls: Value) -> Value {
    chunk(json!({"tool_calls": calls}), Value::Null)
}

fn all_of_openais() -> Vec<Value> {
    vec![
        json!({"id": "", "choices": [], "prompt_filter_results": []}),
        chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        chunk(json!({"reasoning_content": "hm"}), Value::Null),
        chunk(json!({"content": "Hé"}), Value::Null),
        chunk(json!({"content": "llo"}), Value::Null),
        calls(json!([{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}])),
        calls(json!([{"index": 0, "function": {"arguments": "{\"x\":"}}])),
        calls(json!([{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{\"y\""}}])),
        calls(json!([{"index": 0, "function": {"arguments": "\"}\"}"}}])),
        calls(
            json!([{"index": 1, "function": {"arguments": ":2}"}}, {"index": 2, "id": "c", "function": {"name": "h"}}]),
        ),
        chunk(json!({}), json!("tool_calls")),
        json!({"id": "c1", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}}),
    ]
}

#[test]
fn openai_chunks_become_events() {
    let (out, gate) = at_every_cut(Pair::MessagesToChat, &reply(), &chunks(&all_of_openais()));
    assert_eq!(gate, Gate::Commit);
    let usage = |input: u64, read: u64, output: u64| json!({"input_tokens": input, "cache_read_input_tokens": read, "cache_creation_input_tokens": 0, "output_tokens": output});
    let tool = |id: &str, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    let json_delta = |index: u64, text: &str| delta(index, json!({"type": "input_json_delta", "partial_json": text}));
    let want = vec![
        json!({"type": "message_start", "message": {
            "id": "c1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null,
            "stop_sequence": null, "usage": usage(7, 0, 0)}}),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        stop(0),
        block(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "Hé"})),
        delta(1, json!({"type": "text_delta", "text": "llo"})),
        stop(1),
        block(2, tool("a", "f")),
        json_delta(2, "{\"x\":"),
        json_delta(2, "\"}\"}"),
        stop(2),
        block(3, tool("b", "g")),
        json_delta(3, "{\"y\""),
        json_delta(3, ":2}"),
        stop(3),
        block(4, tool("c", "h")),
        json_delta(4, "{}"),
        stop(4),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": usage(7, 2, 4)}),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(events(&out), want);
    // each event has its name
    let text = String::from_utf8(out).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, want.iter().map(|event| event["type"].as_str().unwrap()).collect::<Vec<_>>());
}

#[test]
fn complete_calls_and_calls_without_an_index() {
    let given = [
        calls(
            json!([{"id": "a", "function": {"name": "f", "arguments": "{}"}}, {"id": "b", "function": {"name": "f", "arguments": "{\"x\":1}"}}]),
        ),
        calls(json!([{"index": 0, "id": "d", "function": {"name": "g", "arguments": {"o": 1}}}])),
        chunk(json!({"content": "after"}), json!("stop")),
    ];
    let out = events(&at_every_cut(Pair::MessagesToChat, &reply(), &chunks(&given)).0);
    let begun: Vec<_> = out
        .iter()
        .filter_map(|event| event.get("content_block"))
        .map(|block| block.get("id").and_then(Value::as_str).unwrap_or("text"))
        .collect();
    assert_eq!(begun, ["a", "b", "d", "text"]);
    let json: Vec<_> = out.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(json, ["{}", "{\"x\":1}", "{\"o\":1}"]);
    assert_eq!(out[out.len() - 2]["delta"]["stop_reason"], "tool_use");
}

#[test]
fn faults() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let anthropic = |events: &[Value], tail: &str| [named(events), tail.as_bytes().to_vec()].concat();
    let start = [message_start(), json!({"type": "ping"})];
    let begun = [
        message_start(),
        block(0, json!({"type": "text", "text": ""})),
        delta(0, json!({"type": "text_delta", "text": "a"})),
    ];
    let pair = Pair::ChatToMessages;
    let failed = format!("event: error\ndata: {error}\n\n");
    let cases = [
        (anthropic(&start, &failed), Gate::Reject(Fault::ErrorEvent), "Overloaded"),
        (anthropic(&start, ""), Gate::Reject(Fault::EmptyStream), "ended before it was complete"),
        (anthropic(&start, "data: {\"type\"\n\n"), Gate::Reject(Fault::Garbage), "could not be read"),
        (anthropic(&begun, &failed), Gate::Commit, "Overloaded"),
        (anthropic(&begun, ""), Gate::Commit, "ended before it was complete"),
        (anthropic(&begun, "data: <html>\n\n"), Gate::Commit, "could not be read"),
    ];
    for (bytes, want, message) in cases {
        let (out, gate) = at_every_cut(pair, &reply(), &bytes);
        assert_eq!(gate, want, "{}", String::from_utf8_lossy(&bytes));
        let last = events(&out).pop().unwrap();
        assert!(last["error"]["message"].as_str().unwrap().contains(message), "{last}");
    }
    let openai = |text: &str| format!("data: {}\n\n{text}", chunk(json!({"content": "a"}), Value::Null)).into_bytes();
    let cases = [
        (
            b"data: {\"error\":{\"message\":\"m\",\"code\":429,\"type\":\"rate_limit_error\"}}\n\n".to_vec(),
            Gate::Reject(Fault::ErrorEvent),
            "rate_limit_error",
            "m",
        ),
        (b"data: [DONE]\n\n".to_vec(), Gate::Reject(Fault::EmptyStream), "api_error", "ended before"),
        (openai("data: {\"error\":{\"message\":\"m\"}}\n\n"), Gate::Commit, "api_error", "m"),
        (openai(""), Gate::Commit, "api_error", "ended before"),
    ];
    for (bytes, want, kind, message) in cases {
        let (out, gate) = at_every_cut(Pair::MessagesToChat, &reply(), &bytes);
        assert_eq!(gate, want);
        let last = events(&out).pop().unwrap();
        assert_eq!((last["type"].as_str(), last["error"]["type"].as_str()), (Some("error"), Some(kind)));
        assert!(last["error"]["message"].as_str().unwrap().contains(message), "{last}");
    }
    // some servers send nothing after the finish reason
    let finished = format!("data: {}\n\n", chunk(json!({"content": "a"}), json!("stop")));
    let last = events(&at_every_cut(Pair::MessagesToChat, &reply(), finished.as_bytes()).0).pop().unwrap();
    assert_eq!(last["type"], "message_stop");
}

#[test]
fn without_memory_a_stream_ends_with_an_error() {
    let openai = format!("data: {}\n\n", chunk(json!({"content": "a"}), Value::Null)).into_bytes();
    let anthropic = named(&[message_start(), block(0, json!({"type": "text", "text": "a"}))]);
    let gemini = br#"data: {"candidates":[{"content":{"parts":[{"text":"a"}],"role":"model"}}]}

"#
    .to_vec();
    let endless = [b"data: {\"a\":\"".to_vec(), vec![b'x'; 20_000]].concat();
    for (pair, answer) in
        [(Pair::ChatToMessages, anthropic), (Pair::MessagesToChat, openai), (Pair::ChatToGemini, gemini)]
    {
        for (first, want) in [(Vec::new(), Gate::Reject(Fault::Garbage)), (answer, Gate::Commit)] {
            let mut stream = pair.stream(&reply());
            stream.chunk(&first, false);
            stream.clear();
            stream.leave_room(100_000);
            stream.chunk(&endless, false);
            assert!(!stream.has_failed(), "{pair:?}");
            stream.leave_room(0);
            assert_eq!(stream.chunk(&endless, false), want, "{pair:?}");
            assert!(stream.is_starved() && stream.has_failed());
            assert!(String::from_utf8_lossy(stream.written()).contains("at its memory limit"), "{pair:?}");
            stream.clear();
            assert_eq!(stream.chunk(b"x", true), want);
            assert_eq!(stream.written(), b"", "nothing follows");
        }
        let mut stream = pair.stream(&reply());
        assert_eq!(stream.starve(), Gate::Reject(Fault::Garbage));
        assert!(stream.is_starved());
    }
}

/// A stream of a server that never sends a last event ends normally; one that is cut within an event does not.
#[test]
fn streams_without_a_last_event() {
    let text = |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]});
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}});
    let chunk = json!({"id": "x", "choices": [{"index": 0, "delta": {"content": "Hi"}}]});
    let cases = [
        (Pair::ChatToMessages, &delta, "[DONE]"),
        (Pair::MessagesToChat, &chunk, "message_stop"),
        (Pair::ChatToGemini, &text("Hi"), "[DONE]"),
        (Pair::ResponsesToMessages, &delta, "response.completed"),
        (Pair::ResponsesToChat, &chunk, "response.completed"),
        (Pair::ResponsesToGemini, &text("Hi"), "response.completed"),
    ];
    let of_lines =
        Pair::ALL.into_iter().filter(|pair| pair.framing() == Framing::Sse && *pair != Pair::EmbeddingsToGemini);
    assert_eq!(cases.len(), of_lines.count());
    for (pair, event, last) in cases {
        let begun = match pair {
            Pair::ChatToMessages | Pair::ResponsesToMessages => "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            _ => "",
        };
        let whole = format!("{begun}data: {event}\n\n");
        for (bytes, lenient, complete) in [
            (whole.clone(), true, true),
            (format!("{whole}: bye"), true, true),
            (whole.clone(), false, false),
            (format!("{whole}data: {{\"cand"), true, false),
            (format!("{whole}event: mess"), true, false),
        ] {
            let mut stream = pair.stream(&reply());
            if lenient {
                stream.may_end_without_marker();
            }
            assert_eq!(stream.chunk(bytes.as_bytes(), true), Gate::Commit, "{pair:?}");
            assert_eq!(stream.has_failed(), !complete, "{pair:?}, {bytes}");
            let end = events(stream.written()).pop().unwrap();
            assert_eq!(end == json!(last) || end["type"] == last, complete, "{pair:?}, {bytes}: {end}");
        }
    }
}
