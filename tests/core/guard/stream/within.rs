//! JSON inside the texts of a stream: it is decoded like by its reader, for any splits, and stays valid JSON.

mod forms;

use std::time::Duration;

use serde_json::{json, Value};
use sluice::endpoint::Endpoint;
use sluice::guard::checks::{PassageRewrite, RewriteMode};
use sluice::guard::pii::Vault;
use sluice::guard::pii::{Entity, Patterns};
use sluice::guard::rewriting::replacements;
use sluice::guard::stream::{Limits, Mode, StreamGuard};
use sluice::usage::Framing;

const NOW: Duration = Duration::from_secs(1_800_000_000);

/// A tool's arguments, and the client's version of them.
const ARGUMENTS: &[(&str, &str)] = &[
    (
        r#"{"body":"Hello,\nmario@example.com\n123-45-6789\n4111 1111 1111 1111"}"#,
        r#"{"body":"Hello,\n<EMAIL_ADDRESS>\n<US_SSN>\n<CREDIT_CARD>"}"#,
    ),
    (r#"{"note":"Data:\n123-45-6789"}"#, r#"{"note":"Data:\n<US_SSN>"}"#),
    (r#"{"a":"{\"b\":\"x\\nmario@example.com\"}"}"#, r#"{"a":"{\"b\":\"x\\n<EMAIL_ADDRESS>\"}"}"#),
    (
        r#"{"a":"mario\u0040example.com","b":"\u0034111 1111 1111 1111"}"#,
        r#"{"a":"<EMAIL_ADDRESS>","b":"<CREDIT_CARD>"}"#,
    ),
    (
        r#"{"html":"<a>mario&#64;example&period;com</a> &#52;111&nbsp;1111 1111 1111"}"#,
        r#"{"html":"<a><EMAIL_ADDRESS></a> <CREDIT_CARD>"}"#,
    ),
    (r"To mario&commat;example.com.", r"To <EMAIL_ADDRESS>."),
    (
        r#"{"url":"mailto:mario%40example.com?cc=jo%2540example.com"}"#,
        r#"{"url":"mailto:<EMAIL_ADDRESS>?cc=<EMAIL_ADDRESS>"}"#,
    ),
    ("[Mario](mailto:mario%40example.com)", "[Mario](mailto:<EMAIL_ADDRESS>)"),
    (r#"{"card":4111111111111111,"n":1}"#, r#"{"card":"<CREDIT_CARD>","n":1}"#),
    (
        r#"{"mario@example.com":[true,"\ud83d\ude00 123-45-6789"]}"#,
        r#"{"<EMAIL_ADDRESS>":[true,"\ud83d\ude00 <US_SSN>"]}"#,
    ),
    (r#"Data:\n4111 1111 1111 1111, \"mario@example.com\""#, r#"Data:\n<CREDIT_CARD>, \"<EMAIL_ADDRESS>\""#),
];

/// An event of a dialect with a fragment in it, and the fragment's place.
struct Dialect {
    endpoint: Endpoint,
    framing: Framing,
    event: fn(&str) -> Value,
    place: &'static str,
    end: fn() -> Value,
}

const DIALECTS: &[Dialect] = &[
    Dialect {
        endpoint: Endpoint::ChatCompletions,
        framing: Framing::Sse,
        event: |text| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}}]}),
        place: "/choices/0/delta/tool_calls/0/function/arguments",
        end: || json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
    },
    Dialect {
        endpoint: Endpoint::ChatCompletions,
        framing: Framing::Sse,
        event: |text| json!({"choices": [{"index": 0, "delta": {"content": text}}]}),
        place: "/choices/0/delta/content",
        end: || json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    },
    Dialect {
        endpoint: Endpoint::Responses,
        framing: Framing::Sse,
        event: |text| json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": text}),
        place: "/delta",
        end: || json!({"type": "response.completed", "response": {}}),
    },
    Dialect {
        endpoint: Endpoint::Messages,
        framing: Framing::Sse,
        event: |text| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": text}}),
        place: "/delta/partial_json",
        end: || json!({"type": "content_block_stop", "index": 0}),
    },
    Dialect {
        endpoint: Endpoint::StreamGenerateContent,
        framing: Framing::Sse,
        event: |text| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]}),
        place: "/candidates/0/content/parts/0/text",
        end: || json!({"candidates": [{"finishReason": "STOP"}]}),
    },
    Dialect {
        endpoint: Endpoint::OllamaChat,
        framing: Framing::Ndjson,
        event: |text| json!({"message": {"content": text}, "done": false}),
        place: "/message/content",
        end: || json!({"message": {"content": ""}, "done": true}),
    },
];

/// The client's fragments, joined.
fn shown(dialect: &Dialect, fragments: &[&str], limits: Limits, late: bool) -> String {
    let patterns = Patterns::new(Entity::ALL, &[]).unwrap();
    let mut guard = StreamGuard::new(dialect.endpoint, dialect.framing, Mode::Window, limits);
    let mut out = Vec::new();
    let mut now = NOW;
    let events = fragments.iter().map(|text| (dialect.event)(text)).chain([(dialect.end)()]);
    for (index, event) in events.enumerate() {
        let bytes = match dialect.framing {
            Framing::Sse => format!("data: {event}\n\n"),
            Framing::Ndjson | Framing::Json | Framing::EventStream => format!("{event}\n"),
        };
        now += Duration::from_millis(if late { 600 } else { 1 });
        out.extend(guard.chunk(bytes.as_bytes(), index == fragments.len(), now));
        let mut windows: Vec<_> = std::iter::from_fn(|| guard.ready()).collect();
        windows.reverse(); // verdicts come in any order
        for window in windows {
            let rewrites = [PassageRewrite::new(patterns.find(&window.text), RewriteMode::Mask)];
            let found = replacements(&window.text, window.flow.kind, &rewrites, &mut Vault::default()).unwrap();
            out.extend(guard.release(window.id, &found));
        }
    }
    assert!(guard.is_finished());
    let text = String::from_utf8(out).unwrap();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: ").or(line.strip_prefix('{').map(|_| line)));
    events
        .filter_map(|event| {
            serde_json::from_str::<Value>(event).unwrap().pointer(dialect.place)?.as_str().map(str::to_owned)
        })
        .collect()
}

/// In pieces of every size, in one window.
#[test]
fn split_anywhere() {
    for dialect in DIALECTS {
        for (text, want) in ARGUMENTS {
            for size in (1..9).chain([text.len()]) {
                let fragments: Vec<&str> = pieces(text, size).collect();
                assert_eq!(shown(dialect, &fragments, Limits::default(), false), *want, "{size}");
            }
            for at in 1..text.len() {
                if let Some((one, other)) = text.split_at_checked(at) {
                    assert_eq!(shown(dialect, &[one, other], Limits::default(), false), *want, "{at}");
                }
            }
        }
    }
}

/// Windows end inside long texts; nothing is lost or duplicated, and JSON stays valid.
#[test]
fn in_many_windows() {
    let limits = Limits { window: 40, ..Limits::default() };
    let record = r#"{"note":"said\nmario@example.com, card\t4111 1111 1111 1111, \"quoted\" \u00e9\ud83d\ude00","n":4111111111111111,"m":12345678901}"#;
    let text = format!("[{}]", vec![record; 20].join(","));
    let want: Value = serde_json::from_str(
        &text
            .replace("mario@example.com", "<EMAIL_ADDRESS>")
            .replace("4111 1111 1111 1111", "<CREDIT_CARD>")
            .replace("4111111111111111", "\"<CREDIT_CARD>\""),
    )
    .unwrap();
    for dialect in DIALECTS {
        for size in [1, 2, 3, 5, 7, 50, 1000] {
            let fragments: Vec<&str> = pieces(&text, size).collect();
            let seen = shown(dialect, &fragments, limits, false);
            let read: Value = serde_json::from_str(&seen).unwrap_or_else(|error| panic!("{size}: {error}: {seen}"));
            let both = read.as_array().unwrap().iter().zip(want.as_array().unwrap());
            both.for_each(|(read, want)| assert_eq!(read, want, "{size}"));
        }
    }
}

/// Each piece waits separately: a value that is completed too late is shown, but JSON stays valid.
#[test]
fn one_by_one() {
    for dialect in DIALECTS {
        for (text, _) in ARGUMENTS.iter().filter(|(text, _)| text.starts_with('{')) {
            for size in 1..9 {
                let fragments: Vec<&str> = pieces(text, size).collect();
                let seen = shown(dialect, &fragments, Limits::default(), true);
                assert!(serde_json::from_str::<Value>(&seen).is_ok(), "{size}: {seen}");
            }
        }
    }
}

fn pieces(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = (size.min(rest.len())..=rest.len()).find(|at| rest.is_char_boundary(*at))?;
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
}
