use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::endpoint::Endpoint;
use sluice::guard::stream::{Flow, Mode, Rewrite};
use sluice::guard::texts::PassageKind;
use sluice::usage::Framing;

use super::{guard, released, run, text, written};
use crate::generate::{chunks, of_characters};

/// Replaces `<A>` with a value, and holds back what may be its beginning.
#[derive(Default)]
pub struct Restore(BTreeMap<Flow, String>);

const VALUE: &str = "\"Ann\"\n";

impl Rewrite for Restore {
    fn push(&mut self, flow: Flow, text: &str) -> String {
        let held = self.0.entry(flow).or_default();
        held.push_str(text);
        let value = match flow.kind {
            PassageKind::Arguments => r#"\"Ann\"\n"#,
            _ => VALUE,
        };
        let restored = held.replace("<A>", value);
        let open = ["<A", "<"].into_iter().find(|open| restored.ends_with(open)).map_or(0, str::len);
        let (shown, rest) = restored.split_at(restored.len() - open);
        let shown = shown.to_owned();
        *held = rest.to_owned();
        shown
    }

    fn finish(&mut self, flow: Flow) -> String {
        self.0.remove(&flow).unwrap_or_default()
    }

    fn flush(&mut self, flow: Flow) -> String {
        self.finish(flow)
    }
}

/// How a dialect streams a text in pieces, and how a client reads it.
struct Way {
    name: &'static str,
    endpoint: Endpoint,
    say: fn(&str) -> Value,
    hear: fn(&Value) -> &Value,
    end: &'static [&'static str],
    json: bool,
}

const WAYS: &[Way] = &[
    Way {
        name: "chat",
        endpoint: Endpoint::ChatCompletions,
        json: false,
        say: |text| json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}}]}),
        hear: |event| &event["choices"][0]["delta"]["content"],
        end: &[r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#, "[DONE]"],
    },
    Way {
        name: "chat, text in its last chunk",
        endpoint: Endpoint::ChatCompletions,
        json: false,
        say: |text| json!({"choices": [{"index": 0, "delta": {"content": text}}]}),
        hear: |event| &event["choices"][0]["delta"]["content"],
        end: &[r#"{"choices":[{"index":0,"delta":{"content":"<A"},"finish_reason":"stop"}]}"#],
    },
    Way {
        name: "tool calls",
        endpoint: Endpoint::ChatCompletions,
        json: true,
        say: |text| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "i", "function": {"name": "f", "arguments": text}}]}}]}),
        hear: |event| &event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"],
        end: &[r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#],
    },
    Way {
        name: "completions, cut",
        endpoint: Endpoint::Completions,
        json: false,
        say: |text| json!({"choices": [{"index": 0, "text": text}]}),
        hear: |event| &event["choices"][0]["text"],
        end: &[],
    },
    Way {
        name: "responses",
        endpoint: Endpoint::Responses,
        json: false,
        say: |text| json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text}),
        hear: |event| &event["delta"],
        end: &[r#"{"type":"response.output_text.done","output_index":0,"content_index":0}"#],
    },
    Way {
        name: "Anthropic",
        endpoint: Endpoint::Messages,
        json: false,
        say: |text| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        hear: |event| &event["delta"]["text"],
        end: &[r#"{"type":"content_block_stop","index":0}"#, r#"{"type":"message_stop"}"#],
    },
    Way {
        name: "Anthropic, input",
        endpoint: Endpoint::Messages,
        json: true,
        say: |text| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": text}}),
        hear: |event| &event["delta"]["partial_json"],
        end: &[r#"{"type":"message_stop"}"#],
    },
    Way {
        name: "Ollama",
        endpoint: Endpoint::OllamaChat,
        json: false,
        say: |text| json!({"message": {"role": "assistant", "content": text}, "done": false}),
        hear: |event| &event["message"]["content"],
        end: &[r#"{"message":{"content":""},"done":true}"#],
    },
    Way {
        name: "Gemini",
        endpoint: Endpoint::StreamGenerateContent,
        json: false,
        say: |text| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]}),
        hear: |event| &event["candidates"][0]["content"]["parts"][0]["text"],
        end: &[r#"{"candidates":[{"content":{"parts":[{"text":"."}]},"finishReason":"STOP"}]}"#],
    },
];

impl Way {
    fn framing(&self) -> Framing {
        if self.endpoint == Endpoint::OllamaChat {
            Framing::Ndjson
        } else {
            Framing::Sse
        }
    }

    fn stream(&self, pieces: &[String]) -> String {
        let events = pieces.iter().map(|piece| (self.say)(piece).to_string());
        let events = events.chain(self.end.iter().map(|event| (*event).to_owned()));
        events
            .map(|event| match self.framing() {
                Framing::Sse => format!("data: {event}\n\n"),
                Framing::Ndjson | Framing::Json | Framing::EventStream => format!("{event}\n"),
            })
            .collect()
    }

    /// The client's text; it must arrive before the end.
    fn heard(&self, stream: &str) -> String {
        let lines = stream.lines().map(|line| line.trim_start_matches("data: "));
        let events: Vec<Value> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
        let ends: Vec<Value> = self.end.iter().filter_map(|end| serde_json::from_str(end).ok()).collect();
        let speaks = |event: &Value| (self.hear)(event).as_str().is_some_and(|text| !text.is_empty());
        let ended = events.iter().position(|event| ends.contains(event) && !speaks(event)).unwrap_or(events.len());
        assert!(!events.iter().skip(ended).any(speaks), "{}: {stream}", self.name);
        events.iter().map(|event| (self.hear)(event).as_str().unwrap_or_default()).collect()
    }
}

fn restored(way: &Way, stream: &str, mode: Mode, chunks: &[&[u8]]) -> (String, String) {
    let mut guard = guard(way.endpoint, way.framing(), mode).with_rewrite(Box::<Restore>::default());
    let shown = text(&run(&mut guard, chunks, released));
    let value = if way.json { r#"\"Ann\"\n"# } else { VALUE };
    let want = way.heard(stream).replace("<A>", value);
    assert_eq!(way.heard(&shown), want, "{}, {stream}", way.name);
    (shown, want)
}

#[test]
fn placeholders_are_restored_across_deltas() {
    for way in WAYS {
        for pieces in [&["x<", "A", ">y"][..], &["<A><A", "> <"], &["a<", "b<A"], &["<A>"], &["plain"], &["<"]] {
            let pieces: Vec<String> = pieces.iter().map(|piece| (*piece).to_owned()).collect();
            let stream = way.stream(&pieces);
            let (shown, _) = restored(way, &stream, Mode::Pass, &[stream.as_bytes()]);
            if pieces == ["plain"] && !way.end.iter().any(|end| end.contains("<A")) {
                assert_eq!(shown, stream, "nothing to restore, nothing changed");
            }
            if way.endpoint == Endpoint::ChatCompletions {
                for once in [r#":"assistant""#, r#""id":"i""#, r#""name":"f""#] {
                    let count = |text: &str| text.matches(once).count();
                    assert_eq!(count(&shown), count(&stream), "{}: {once} is not said again", way.name);
                }
            }
        }
    }
}

#[test]
fn whole_texts_are_restored() {
    let events = [
        r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"<A>!<"}"#,
        r#"data: {"type":"response.output_text.done","output_index":0,"text":"<A>!<"}"#,
        r#"data: {"type":"response.function_call_arguments.done","output_index":1,"arguments":"{\"a\":\"<A>\"}"}"#,
    ];
    let whole = written(Framing::Sse, &events, "\n");
    let mut guard = guard(Endpoint::Responses, Framing::Sse, Mode::Window).with_rewrite(Box::<Restore>::default());
    let shown = run(&mut guard, &[whole.as_bytes()], released);
    let want = [
        r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"\"Ann\"\n!"}"#,
        r#"data: {"type":"response.output_text.delta","output_index":0,"delta":"<"}"#,
        r#"data: {"type":"response.output_text.done","output_index":0,"text":"\"Ann\"\n!<"}"#,
        r#"data: {"type":"response.function_call_arguments.done","output_index":1,"arguments":"{\"a\":\"\\\"Ann\\\"\\n\"}"}"#,
    ];
    assert_eq!(text(&shown), written(Framing::Sse, &want, "\n"));
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn restoring_sees_across_deltas(
        way in 0..WAYS.len(),
        pieces in vec(of_characters("<A>b.", 1..5), 0..12),
        lengths in vec(0..60usize, 0..12),
        mode in prop::sample::select(vec![Mode::Window, Mode::Final, Mode::Pass]),
    ) {
        let way = &WAYS[way];
        let stream = way.stream(&pieces);
        restored(way, &stream, mode, &chunks(stream.as_bytes(), &lengths));
    }
}
