//! Events that are read in pieces: the output is the same as that of a reader that holds them completely.

mod one_text;
mod properties;

use std::time::Duration;

use serde_json::{json, Value};
use sluice::endpoint::{Endpoint, Further};
use sluice::guard::api::Failure;
use sluice::guard::pii::{Entity, Patterns, Vault};
use sluice::guard::rewriting::Restoring;
use sluice::guard::stream::{Limits, Mode, StreamGuard, Unchecked, Window};
use sluice::usage::Framing;

use super::{text, NOW};

const CARD: &str = "4111 1111 1111 1111";
const ADDRESS: &str = "jo@example.com";
const PLACEHOLDER: &str = "<EMAIL_ADDRESS_1>";

/// The smallest pieces.
const LIMITS: Limits = Limits {
    window: 40,
    delay: Duration::from_millis(500),
    overlap: 50,
    collected: 1 << 20,
    held: 1 << 20,
    event: 64,
    unchecked: Unchecked::Block,
};
const WHOLE: Limits = Limits { event: usize::MAX, ..LIMITS };

fn vault() -> Vault {
    let mut vault = Vault::default();
    vault.hide(ADDRESS, &Patterns::new(Entity::ALL, &[]).unwrap().find(ADDRESS)).unwrap();
    vault
}

fn masked(window: &Window) -> Vec<(std::ops::Range<usize>, String)> {
    window.text.match_indices(CARD).map(|(at, card)| (at..at + card.len(), "<CARD>".into())).collect()
}

/// The output, the reason for unchecked parts, and the most that was held.
fn shown(
    endpoint: Endpoint,
    framing: Framing,
    mode: Mode,
    limits: Limits,
    chunks: &[&[u8]],
) -> (Vec<u8>, Vec<Failure>, usize) {
    let mut guard = StreamGuard::new(endpoint, framing, mode, limits).with_rewrite(Box::new(Restoring::new(vault())));
    let (mut out, mut failures, mut held) = (Vec::new(), Vec::new(), 0);
    for (index, chunk) in chunks.iter().enumerate() {
        out.extend(guard.chunk(chunk, index + 1 == chunks.len(), NOW));
        held = held.max(guard.held());
        while let Some(window) = guard.ready() {
            out.extend(guard.release(window.id, &masked(&window)));
        }
        failures.extend(std::iter::from_fn(|| guard.unchecked()));
    }
    assert!(guard.is_finished());
    (out, failures, held)
}

/// Events of each dialect in the providers' format. `$S`: a text, `$I`: JSON with the text, `$D`: data of an image. A
/// space may be replaced by a line end.
const EVENTS: &[(&str, Endpoint, Framing, &str)] = &[
    (
        "chat",
        Endpoint::ChatCompletions,
        Framing::Sse,
        r#"{"id":"c","object":"o","choices":[ {"index":1,"delta":{"role":"assistant","content":$S, "reasoning_content":$S},"logprobs":null}, {"index":0,"delta":{"tool_calls":[{"index":1,"id":"i","function":{"name":"f","arguments":$I}},{"index":0,"function":{ "arguments":$I}}]},"finish_reason":null}],"usage":null}"#,
    ),
    (
        "chat, an image",
        Endpoint::ChatCompletions,
        Framing::Sse,
        r#"{"choices":[{"index":0,"delta":{"content":$S,"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,$D"}}], "refusal":$S}}]}"#,
    ),
    (
        "completions",
        Endpoint::Completions,
        Framing::Sse,
        r#"{"choices":[{"text":$S,"index":0}, {"text":$S,"index":1,"finish_reason":"stop"}]}"#,
    ),
    (
        "responses, a delta",
        Endpoint::Responses,
        Framing::Sse,
        r#"{"type":"response.function_call_arguments.delta","output_index":3, "delta":$I}"#,
    ),
    (
        "responses, all",
        Endpoint::Responses,
        Framing::Sse,
        r#"{"type":"response.completed","sequence_number":7,"response":{"id":"r","instructions":$S,"output":[ {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":$S}],"encrypted_content":"$D"}, {"type":"image_generation_call","id":"ig_1","status":"completed","b64_json":"$D"},{"type":"message","content":[{"type":"output_text","text":$S,"annotations":[{"title":$S}]}]},{"type":"function_call","name":"f","arguments":$I}],"usage":{"input_tokens":1}}}"#,
    ),
    (
        "Anthropic, a delta",
        Endpoint::Messages,
        Framing::Sse,
        r#"{"type":"content_block_delta","index":2, "delta":{"type":"input_json_delta","partial_json":$I}}"#,
    ),
    (
        "Anthropic, thinking",
        Endpoint::Messages,
        Framing::Sse,
        r#"{"type":"content_block_delta","index":2, "delta":{"type":"thinking_delta","thinking":$S}}"#,
    ),
    (
        "Anthropic, a document",
        Endpoint::Messages,
        Framing::Sse,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"web_fetch_tool_result","content":{"type":"web_fetch_result","url":"https://example.com", "content":{"type":"document","source":{"type":"text","media_type":"text/plain","data":$S}}}}}"#,
    ),
    (
        "Gemini",
        Endpoint::StreamGenerateContent,
        Framing::Sse,
        r#"{"candidates":[{"content":{"parts":[ {"thought":true,"text":$S},{"text":$S}, {"inlineData":{"mimeType":"image/png","data":"$D"}},{"text":$S},{"functionCall":{"name":"f","args":{"a":$S,"b":[1,true,null,{"c":$S}],"card":4111111111111111}}}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1},"modelVersion":"m"}"#,
    ),
    (
        "Gemini, an array",
        Endpoint::StreamGenerateContent,
        Framing::Json,
        r#"[{"candidates":[{"content":{"parts":[{"text":$S}]}}]}, {"candidates":[{"content":{"parts":[{"inlineData":{"data":"$D"}},{"text":$S}]}}]}]"#,
    ),
    (
        "an image",
        Endpoint::Further(Further::Images),
        Framing::Json,
        r#"{"created":1,"data":[ {"revised_prompt":$S,"b64_json":"$D"}, {"b64_json":"$D","revised_prompt":$S},{"url":"https://example.com/a.png", "revised_prompt":$S}],"usage":{"total_tokens":1},"output_format":"png"}"#,
    ),
    (
        "Ollama chat",
        Endpoint::OllamaChat,
        Framing::Ndjson,
        r#"{"model":"m","message":{"role":"assistant","content":$S,"thinking":$S,"tool_calls":[{"function":{"name":"f","arguments":{"a":$S}}}]},"done":true}"#,
    ),
    ("Ollama generate", Endpoint::OllamaGenerate, Framing::Ndjson, r#"{"model":"m","response":$S,"done":false}"#),
];

fn events(say: &str, space: &str) -> Vec<(&'static str, Endpoint, Framing, String)> {
    let inner = json!({"to": [say, {"deep": json!({"say": say}).to_string()}], "number": 12.5}).to_string();
    let written = |template: &str, framing| {
        let space = if framing == Framing::Ndjson { "" } else { space };
        template
            .replace(' ', space)
            .replace("$S", &json!(say).to_string())
            .replace("$I", &json!(inner).to_string())
            .replace("$D", &"QUJD".repeat(60))
    };
    EVENTS
        .iter()
        .map(|(name, endpoint, framing, event)| (*name, *endpoint, *framing, written(event, *framing)))
        .collect()
}

fn framed(framing: Framing, event: &str, line_end: &str) -> String {
    match framing {
        Framing::Sse => {
            let lines: String = event.lines().map(|line| format!("data: {line}{line_end}")).collect();
            format!("event: x{line_end}: a comment{line_end}id: {}{line_end}{lines}{line_end}", "1".repeat(70))
        }
        _ => event.to_owned() + line_end,
    }
}

fn said(shift: usize) -> String {
    let shift = "w ".repeat(shift / 2) + &" ".repeat(shift % 2);
    let words = "one \"two\" é 真的 \u{1f600}\n".repeat(3);
    format!(
        "{shift}{PLACEHOLDER} {words}: {CARD}, {words}{CARD} and {words}{PLACEHOLDER}{PLACEHOLDER}, {ADDRESS} {words}."
    )
}

#[test]
fn each_dialect_wherever_a_piece_ends() {
    for shift in 0..66 {
        for (name, endpoint, framing, event) in events(&said(shift), ["", " ", "\n  "][shift % 3]) {
            let line_end = if framing == Framing::Sse { ["\n", "\r\n", "\r"][shift % 3] } else { "\n" };
            let stream = framed(framing, &event, line_end);
            let stream = if framing == Framing::Json { stream } else { stream.repeat(2) };
            for mode in [Mode::Pass, Mode::Window] {
                let (want, failures, _) = shown(endpoint, framing, mode, WHOLE, &[stream.as_bytes()]);
                assert_eq!(failures, []);
                assert!(text(&want) != stream || name == "Anthropic, thinking", "{name}: something is changed");
                for size in [1 + shift, 50, 1000, usize::MAX >> 1] {
                    let cut: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
                    let (got, failures, _) = shown(endpoint, framing, mode, LIMITS, &cut);
                    assert_eq!(text(&got), text(&want), "{name}, {shift}, {mode:?}, chunks of {size}");
                    assert_eq!(failures, []);
                }
            }
        }
    }
}

#[test]
fn escapes_are_never_cut() {
    let say = said(0).replace('o', "\u{0}o");
    for shift in 0..70 {
        let text_of = json!({"choices": [{"delta": {"content": say}}]}).to_string();
        let escaped: String = text_of
            .chars()
            .flat_map(|next| match next.is_ascii() {
                true => next.to_string().encode_utf16().map(|_| next.to_string()).collect::<Vec<_>>(),
                false => next.to_string().encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
            })
            .collect();
        let stream = format!("data: {}{escaped}\n\n", " ".repeat(shift));
        let read = |limits| {
            let (out, failures, _) =
                shown(Endpoint::ChatCompletions, Framing::Sse, Mode::Window, limits, &[stream.as_bytes()]);
            assert_eq!(failures, []);
            let out = text(&out);
            let event: Value = serde_json::from_str(out.trim().strip_prefix("data:").unwrap()).unwrap();
            event["choices"][0]["delta"]["content"].as_str().unwrap().to_owned()
        };
        assert_eq!(read(LIMITS), read(WHOLE));
    }
}

/// A text that continues from one event to the next, with large ones among them.
#[test]
fn a_text_goes_on_in_a_large_event() {
    let delta = |say: &str| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": say}}]}));
    let (first, rest) = PLACEHOLDER.split_at(8);
    let long = "word ".repeat(40);
    for size in [1, 7, 100, 10_000] {
        let stream =
            [delta(&format!("a {first}")), delta(&format!("{rest}: {long}4111 11")), delta("11 1111 1111.")].concat();
        let cut: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
        let limits = Limits { event: 100, ..LIMITS };
        let (got, ..) = shown(Endpoint::ChatCompletions, Framing::Sse, Mode::Window, limits, &cut);
        assert_eq!(super::content(&got), format!("a {ADDRESS}: {long}<CARD>."));
    }
}

/// A value in arguments is escaped for them, even if they begin in a large event.
#[test]
fn arguments_go_on_after_a_large_event() {
    let mut vault = Vault::default();
    let quoted = "\"jo\"";
    vault.hide(quoted, &Patterns::new(&[], &[("QUOTED", "\"jo\"")]).unwrap().find(quoted)).unwrap();
    let event = |piece: &str| {
        let call = json!({"index": 0, "function": {"arguments": piece}});
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
    };
    let words = "word ".repeat(4000);
    let stream = event(&format!("{{\"a\":\"{words}")) + &event("<QUOTED_1>\"}");
    for limits in [LIMITS, WHOLE] {
        let guard = StreamGuard::new(Endpoint::ChatCompletions, Framing::Sse, Mode::Pass, limits);
        let mut guard = guard.with_rewrite(Box::new(Restoring::new(vault.clone())));
        let out = text(&guard.chunk(stream.as_bytes(), true, NOW));
        let pieces = out.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
        let arguments: String = pieces
            .map(|event| serde_json::from_str::<Value>(event).unwrap())
            .map(|event| {
                event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"a": format!("{words}{quoted}")}));
    }
}

#[test]
fn an_event_of_any_size_takes_little_memory() {
    let limits = Limits { unchecked: Unchecked::Block, ..Limits::default() };
    let words = format!("{} {CARD} {PLACEHOLDER}, ", "lorem ipsum ".repeat(80));
    let count = if cfg!(debug_assertions) { 7 } else { 40 } * (1 << 20) / words.len();
    let event = |say: &str, image: &str| {
        format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{say}\"}},{{\"inlineData\":{{\"data\":\"{image}\"}}}},{{\"text\":\"{say}\"}}]}}}}]}}\n\n")
    };
    let stream = event(&words.repeat(count), "") + &event(&words, &"QUJD".repeat(count * words.len() / 4));
    let want = stream.replace(CARD, "<CARD>").replace(PLACEHOLDER, ADDRESS);
    for mode in [Mode::Window, Mode::Pass] {
        let cut: Vec<&[u8]> = stream.as_bytes().chunks(64 << 10).collect();
        let (got, failures, held) = shown(Endpoint::StreamGenerateContent, Framing::Sse, mode, limits, &cut);
        let want = if mode == Mode::Window { want.clone() } else { stream.replace(PLACEHOLDER, ADDRESS) };
        let (got, at) = (text(&got), got.iter().zip(want.bytes()).position(|(one, other)| *one != other));
        assert!(
            got == want,
            "{mode:?}: {:?}",
            at.map(|at| [&got, &want].map(|text| text.get(at.saturating_sub(80)..at + 80)))
        );
        assert_eq!(failures, []);
        println!("{mode:?}: {} bytes, {held} held at most", stream.len());
        assert!(held < 5 << 20, "{held}");
    }
}

/// After a block, the shown part of an event ends as valid JSON, and the answer in its dialect's way.
#[test]
fn a_blocked_piece_is_closed() {
    let bad = format!("fine words, {}a bad thing {}", "and so on, ".repeat(30), "and so on, ".repeat(30));
    for (name, endpoint, framing, event) in events(&bad, "") {
        if framing == Framing::Json {
            continue;
        }
        // the parts of the request that an answer repeats are not checked
        let given = format!("\"instructions\":{},", json!(bad));
        let stream = framed(framing, &event.replace(&given, ""), "\n");
        let mut guard = StreamGuard::new(endpoint, framing, Mode::Window, LIMITS);
        let mut out = Vec::new();
        for chunk in stream.as_bytes().chunks(40) {
            out.extend(guard.chunk(chunk, false, NOW));
            while let Some(window) = guard.ready() {
                out.extend(match window.text.contains("bad") {
                    true => guard.block(),
                    false => guard.release(window.id, &[]),
                });
            }
        }
        assert!(guard.is_blocked(), "{name}");
        out.extend(guard.chunk(b"", true, NOW));
        let out = text(&out);
        assert!(!out.contains("a bad"), "{name}: {out}");
        assert!(["content_filter", "refusal", "SAFETY"].iter().any(|end| out.contains(end)), "{name}: {out}");
        let data = out.lines().filter_map(|line| match framing {
            Framing::Sse => line.strip_prefix("data: ").filter(|data| *data != "[DONE]"),
            _ => Some(line),
        });
        let events: Vec<Value> =
            data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("{name}: {data}"))).collect();
        assert!(events.len() > 1, "{name}");
    }
}

/// If a piece cannot be read, `on_failure` decides, and the reason is reported.
#[test]
fn unreadable_pieces_are_reported() {
    let long = "words and ".repeat(40);
    let signed_late = json!({"content": [{"t": 1}]})
        .to_string()
        .replace("{\"t\":1}", &format!("{{\"text\":\"{long}\",\"signature\":\"c2ln\"}}"));
    let cases = [
        ("a signature behind its text", signed_late),
        ("a name of any length", format!("{{\"{}\":1}}", "n".repeat(300))),
        ("a number of any length", format!("{{\"n\":{}}}", "1".repeat(300))),
        (
            "the texts again",
            json!({"choices": [{"delta": {"content": long}, "logprobs": {"content": [{"token": long}]}}]}).to_string(),
        ),
        ("too deep", "[".repeat(130) + &"]".repeat(130)),
    ];
    for (name, event) in cases {
        let stream = format!("data: {event}\n\ndata: {{\"response\":\"a {PLACEHOLDER}.\"}}\n\n");
        let read = |mode, unchecked| {
            shown(Endpoint::ChatCompletions, Framing::Sse, mode, Limits { unchecked, ..LIMITS }, &[stream.as_bytes()])
        };
        let (out, failures, _) = read(Mode::Window, Unchecked::Pass);
        assert_eq!(text(&out), stream.replace(PLACEHOLDER, ADDRESS), "{name}");
        assert_eq!(failures, [Failure::Event], "{name}");
        let (out, failures, _) = read(Mode::Window, Unchecked::Block);
        assert!(text(&out).contains("content_filter") && !text(&out).contains(ADDRESS), "{name}");
        assert_eq!(failures, [Failure::Event], "{name}");
        if name != "the texts again" {
            let (out, failures, _) = read(Mode::Pass, Unchecked::Pass);
            assert_eq!(text(&out), stream.replace(PLACEHOLDER, ADDRESS), "{name}");
            assert_eq!(failures, [Failure::Event], "{name}");
            let (out, failures, _) = read(Mode::Pass, Unchecked::Block);
            assert!(text(&out).contains("content_filter"), "{name}");
            assert_eq!(failures, [Failure::Event], "{name}");
        }
    }
    let broken = format!("data: {{\"response\":\"{long}\n\ndata: {{\"response\":\"a {PLACEHOLDER}.\"}}\n\n");
    let (out, failures, _) = shown(
        Endpoint::ChatCompletions,
        Framing::Sse,
        Mode::Window,
        Limits { unchecked: Unchecked::Pass, ..LIMITS },
        &[broken.as_bytes()],
    );
    assert_eq!((text(&out), failures), (broken.replace(PLACEHOLDER, ADDRESS), vec![Failure::Shape]));
    let (out, failures, _) = shown(Endpoint::ChatCompletions, Framing::Sse, Mode::Pass, LIMITS, &[broken.as_bytes()]);
    assert_eq!((text(&out), failures), (broken.replace(PLACEHOLDER, ADDRESS), vec![]), "nothing to restore is lost");
}
