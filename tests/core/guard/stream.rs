mod bounds;
mod large;
mod pieces;
mod properties;
mod restoring;
mod within;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{json, Value};
use sluice::endpoint::Endpoint;
use sluice::guard::stream::{Flow, Limits, Mode, Replacement, StreamGuard, Unchecked, Window};
use sluice::guard::texts::PassageKind;
use sluice::usage::Framing;

use crate::usage::transcripts::TRANSCRIPTS;

const NOW: Duration = Duration::from_secs(1_000);

/// A check's result for a window.
enum Verdict {
    Release(Vec<Replacement>),
    Block,
}

fn released(_: &Window) -> Verdict {
    Verdict::Release(Vec::new())
}

/// Passes chunks through the guard; each window is judged as soon as it is ready.
fn run(guard: &mut StreamGuard, chunks: &[&[u8]], mut judge: impl FnMut(&Window) -> Verdict) -> Vec<u8> {
    let mut shown = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        shown.extend(guard.chunk(chunk, index + 1 == chunks.len(), NOW));
        while let Some(window) = guard.ready() {
            shown.extend(match judge(&window) {
                Verdict::Release(replacements) => guard.release(window.id, &replacements),
                Verdict::Block => guard.block(),
            });
        }
    }
    assert!(guard.is_finished(), "nothing waits at the end");
    assert_eq!(guard.held(), 0);
    shown
}

fn guard(endpoint: Endpoint, framing: Framing, mode: Mode) -> StreamGuard {
    StreamGuard::new(endpoint, framing, mode, Limits::default())
}

fn window(limits: Limits) -> StreamGuard {
    StreamGuard::new(Endpoint::ChatCompletions, Framing::Sse, Mode::Window, limits)
}

fn written(framing: Framing, events: &[&str], line_end: &str) -> String {
    let end = if framing == Framing::Sse { line_end.repeat(2) } else { line_end.to_owned() };
    events.iter().map(|event| event.trim_start_matches('~').replace('\n', line_end) + &end).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn delta(content: &str) -> String {
    format!("data: {}\n\n", json!({"id": "c", "choices": [{"index": 0, "delta": {"content": content}}]}))
}

/// The content of choice 0 in OpenAI's chunks.
fn content(shown: &[u8]) -> String {
    let events = text(shown);
    let data = events.split("\n\n").filter_map(|event| event.strip_prefix("data: {"));
    data.map(|data| {
        let chunk: Value = serde_json::from_str(&format!("{{{data}")).unwrap();
        chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
    })
    .collect()
}

#[test]
fn released_windows_leave_every_byte() {
    for transcript in TRANSCRIPTS {
        let framing = transcript.framing;
        let line_ends: &[&str] = if framing == Framing::Sse { &["\n", "\r\n", "\r"] } else { &["\n"] };
        for line_end in line_ends {
            let whole = written(framing, transcript.events, line_end);
            for mode in [Mode::Window, Mode::Final, Mode::Pass] {
                let check = |chunks: &[&[u8]]| {
                    let shown = run(&mut guard(Endpoint::ChatCompletions, framing, mode), chunks, released);
                    assert_eq!(text(&shown), whole, "{}, {mode:?}, {line_end:?}", transcript.name);
                };
                let bytes = whole.as_bytes();
                check(&[bytes]);
                check(&[bytes.trim_ascii_end(), &bytes[bytes.trim_ascii_end().len()..], b""]);
                check(&bytes.chunks(1).collect::<Vec<_>>());
                (0..bytes.len()).step_by(7).for_each(|at| check(&[&bytes[..at], &bytes[at..]]));
            }
        }
    }
}

fn flow(choice: u32, part: u32, kind: PassageKind, whole: bool) -> Flow {
    Flow { choice, part, kind, whole }
}

#[test]
fn texts_of_each_dialect() {
    use Endpoint::{
        ChatCompletions, Completions, Messages, OllamaChat, OllamaGenerate, Responses, StreamGenerateContent,
    };
    use PassageKind::{Argument, Arguments, Plain, Reasoning, Refusal, Signed};
    let cases: &[(Endpoint, &[&str], &[(Flow, &str)])] = &[
        (
            ChatCompletions,
            &[
                r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
                r#"data: {"choices":[{"index":0,"delta":{"reasoning_content":"h"}},{"index":1,"delta":{"content":"x"}}]}"#,
                "data: {\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"a\"}}]}",
                r#"data: {"choices":[{"index":0,"delta":{"content":"b","refusal":"n"}}]}"#,
                r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"i","function":{"name":"f","arguments":"{\"a"}}]}}]}"#,
                r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"\":1}"}}]},"finish_reason":"tool_calls"}]}"#,
                "data: [DONE]",
            ],
            &[
                (flow(0, 0, Plain, false), "ab"),
                (flow(0, 0, Reasoning, false), "h"),
                (flow(0, 0, Refusal, false), "n"),
                (flow(0, 2, Arguments, false), "{\"a\":1}"),
                (flow(1, 0, Plain, false), "x"),
            ],
        ),
        (
            Completions,
            &[
                r#"data: {"choices":[{"index":0,"text":"a"}]}"#,
                r#"data: {"choices":[{"index":0,"text":"b","finish_reason":"stop"}]}"#,
            ],
            &[(flow(0, 0, Plain, false), "ab")],
        ),
        (
            Responses,
            &[
                r#"data: {"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"r"}"#,
                r#"data: {"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"a"}"#,
                r#"data: {"type":"response.output_text.done","output_index":1,"content_index":0,"text":"a"}"#,
                r#"data: {"type":"response.function_call_arguments.delta","output_index":2,"delta":"{}"}"#,
                r#"data: {"type":"response.audio.delta","delta":"AAAA"}"#,
                r#"data: {"type":"response.completed","response":{"output":[{"type":"message","content":[{"type":"output_text","text":"a"}]}]}}"#,
            ],
            &[
                (flow(0, 0, Plain, true), "a"),
                (flow(0, 0, Reasoning, false), "r"),
                (flow(1, 0, Plain, false), "a"),
                (flow(1, 0, Plain, true), "a"),
                (flow(2, 0, Arguments, false), "{}"),
            ],
        ),
        (
            Messages,
            &[
                r#"data: {"type":"message_start","message":{"id":"m","role":"assistant","content":[]}}"#,
                r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
                r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"t"}}"#,
                r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"AAAA"}}"#,
                r#"data: {"type":"content_block_stop","index":0}"#,
                r#"data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":"a"}}"#,
                r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"b"}}"#,
                r#"data: {"type":"content_block_stop","index":1}"#,
                r#"data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}}"#,
                r#"data: {"type":"message_stop"}"#,
            ],
            &[(flow(0, 0, Signed, false), "t"), (flow(1, 0, Plain, false), "ab"), (flow(2, 0, Arguments, false), "{}")],
        ),
        (
            OllamaChat,
            &[
                r#"{"message":{"content":"a","thinking":"t"},"done":false}"#,
                r#"{"message":{"content":"b","tool_calls":[{"function":{"name":"f","arguments":{"x":"y","z":"w"}}}]},"done":false}"#,
                r#"{"message":{"content":""},"done":true}"#,
            ],
            &[
                (flow(0, 0, Plain, false), "ab"),
                (flow(0, 0, Reasoning, false), "t"),
                (flow(0, 1, Argument, true), "y\nw"),
            ],
        ),
        (
            OllamaGenerate,
            &[r#"{"response":"a","done":false}"#, r#"{"response":"b","done":true}"#],
            &[(flow(0, 0, Plain, false), "ab")],
        ),
        (
            StreamGenerateContent,
            &[
                r#"data: {"candidates":[{"content":{"parts":[{"text":"t","thought":true},{"text":"a"}]},"index":0}]}"#,
                r#"data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"x":"y"}}},{"text":"b"}]},"finishReason":"STOP"}]}"#,
            ],
            &[(flow(0, 0, Plain, false), "ab"), (flow(0, 0, Reasoning, false), "t"), (flow(0, 0, Argument, true), "y")],
        ),
    ];
    for (endpoint, events, want) in cases {
        let framing = if events[0].starts_with('{') { Framing::Ndjson } else { Framing::Sse };
        let whole = written(framing, events, "\n");
        for mode in [Mode::Window, Mode::Final] {
            let mut texts: BTreeMap<Flow, String> = BTreeMap::new();
            let shown = run(&mut guard(*endpoint, framing, mode), &[whole.as_bytes()], |window| {
                texts.entry(window.flow).or_default().push_str(&window.text[window.fresh..]);
                Verdict::Release(Vec::new())
            });
            assert_eq!(text(&shown), whole, "{endpoint:?}");
            let want: BTreeMap<Flow, String> = want.iter().map(|(flow, text)| (*flow, (*text).to_owned())).collect();
            assert_eq!(texts, want, "{endpoint:?}, {mode:?}");
        }
    }
}

#[test]
fn one_character_at_a_time_shows_no_more_than_was_released() {
    let sentence = "All work and no play makes Jack a dull boy. Ist das die Größe, 真的吗？ ";
    let said: String = sentence.repeat(12);
    for lag in [0, 7, 300, 5000] {
        let mut guard = window(Limits::default());
        let (mut heard, mut checked, mut waiting) = (String::new(), String::new(), Vec::new());
        let first =
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
        assert_eq!(text(&guard.chunk(first.as_bytes(), false, NOW)), first, "nothing is said in it");
        for (step, character) in said.chars().enumerate() {
            for byte in delta(&character.to_string()).as_bytes() {
                heard += &content(&guard.chunk(&[*byte], false, NOW));
            }
            waiting.extend(std::iter::from_fn(|| guard.ready()).map(|window| (step + lag, window)));
            while waiting.first().is_some_and(|(at, _)| *at <= step) {
                let (_, window) = waiting.remove(0);
                let new = &window.text[window.fresh..];
                assert!((200..=400).contains(&new.chars().count()));
                assert!(new.trim_end().ends_with(['.', '？']), "{new}");
                checked.push_str(new);
                heard += &content(&guard.release(window.id, &[]));
            }
            assert_eq!(heard, checked, "lag {lag}: exactly what was released");
        }
        heard += &content(&guard.chunk(b"data: [DONE]\n\n", true, NOW));
        waiting.extend(std::iter::from_fn(|| guard.ready()).map(|window| (0, window)));
        for (_, window) in waiting {
            assert!(!guard.is_finished());
            heard += &content(&guard.release(window.id, &[]));
        }
        assert_eq!(heard, said);
        assert!(guard.is_finished());
    }
}

#[test]
fn windows_end_with_a_sentence_or_at_twice_the_size_or_in_time() {
    let limits = Limits { window: 4, overlap: 2, ..Limits::default() };
    let cases: &[(&str, &[&str], &[(&str, usize)])] = &[
        ("too short", &["a."], &[]),
        ("a sentence", &["abc", "d", ". "], &[("abcd. ", 0)]),
        ("no sentence", &["abcd", "efg", "h"], &[("abcdefgh", 0)]),
        ("the overlap", &["abcd", ".", "éé", "fg\n"], &[("abcd.", 0), ("d.ééfg\n", 2)]),
        ("a long delta", &["abcdefghijklmnopqrstuvw"], &[("abcdefghijklmnopqrstuvw", 0)]),
    ];
    for (name, deltas, want) in cases {
        let mut guard = window(limits);
        for text in *deltas {
            guard.chunk(delta(text).as_bytes(), false, NOW);
        }
        let got: Vec<(String, usize)> =
            std::iter::from_fn(|| guard.ready()).map(|window| (window.text, window.fresh)).collect();
        let want: Vec<(String, usize)> = want.iter().map(|(text, fresh)| ((*text).to_owned(), *fresh)).collect();
        assert_eq!(got, want, "{name}");
    }

    let mut guard = window(limits);
    assert_eq!(guard.deadline(), None);
    guard.chunk(delta("a").as_bytes(), false, NOW);
    guard.chunk(delta("b").as_bytes(), false, NOW + Duration::from_millis(400));
    assert_eq!(guard.deadline(), Some(NOW + Duration::from_millis(500)));
    guard.due(NOW + Duration::from_millis(499));
    assert_eq!(guard.ready(), None);
    guard.due(NOW + Duration::from_millis(500));
    let first = guard.ready().unwrap();
    assert_eq!((first.text.as_str(), guard.deadline()), ("ab", None));
    guard.chunk(delta("c").as_bytes(), false, NOW + Duration::from_millis(600));
    assert_eq!(guard.deadline(), Some(NOW + Duration::from_millis(1100)));
    assert!(guard.chunk(b"", true, NOW + Duration::from_millis(700)).is_empty());
    let tail = guard.ready().unwrap();
    assert!(guard.release(tail.id, &[]).is_empty(), "the first still waits");
    assert!(guard.release(99, &[]).is_empty(), "no such window");
    assert_eq!(content(&guard.release(first.id, &[])), "abc");
    assert!(guard.is_finished());
}

#[test]
fn final_checks_in_parts() {
    let mut guard = StreamGuard::new(
        Endpoint::ChatCompletions,
        Framing::Sse,
        Mode::Final,
        Limits { collected: 10, ..Limits::default() },
    );
    let mut windows = Vec::new();
    for _ in 0..7 {
        assert_eq!(text(&guard.chunk(delta("abc.").as_bytes(), false, NOW)), delta("abc."));
        windows.extend(guard.ready());
    }
    guard.chunk(b"", true, NOW);
    assert!(guard.is_finished(), "nobody waits for the check");
    windows.extend(guard.ready());
    let fresh: Vec<&str> = windows.iter().map(|window| &window.text[window.fresh..]).collect();
    assert_eq!(fresh, ["abc.abc.abc.", "abc.abc.abc.", "abc."]);
}

#[test]
fn replacements() {
    let cases: &[(&str, &[&str], &[(usize, usize, &str)], &str)] = &[
        ("within one", &["ab", "cde"], &[(3, 4, "X")], "abcXe"),
        ("across three", &["ab", "c", "de"], &[(1, 4, "X")], "aXe"),
        ("all", &["ab", "c"], &[(0, 3, "")], ""),
        ("two", &["abcd", "ef"], &[(4, 5, "Y"), (1, 2, "X")], "aXcdYf"),
        ("overlapping", &["abcdef"], &[(1, 4, "X"), (2, 5, "Y")], "aXYf"),
        ("nothing", &["ab"], &[(1, 1, "X")], "ab"),
        ("within a character", &["aéb"], &[(2, 3, "X")], "aXb"),
        ("outside", &["ab"], &[(5, 9, "X")], "ab"),
        ("must be escaped", &["ab"], &[(0, 1, "\"\n")], "\"\nb"),
    ];
    for (name, deltas, replacements, want) in cases {
        let whole: String = deltas.iter().map(|text| delta(text)).collect();
        let shown = run(&mut window(Limits::default()), &[whole.as_bytes()], |_| {
            Verdict::Release(replacements.iter().map(|(from, to, new)| (*from..*to, (*new).to_owned())).collect())
        });
        assert_eq!(content(&shown), *want, "{name}");
    }

    let limits = Limits { window: 2, ..Limits::default() };
    let whole = [delta("ab."), delta("cd.")].concat();
    let shown = run(&mut window(limits), &[whole.as_bytes()], |window| match window.fresh {
        0 => Verdict::Release(Vec::new()),
        _ => Verdict::Release(vec![(1..4, "X".into())]),
    });
    assert_eq!(content(&shown), "ab.Xd.", "what was shown stays");

    let chunk = r#"data: {"choices":[{"delta":{"content":"ab"},"logprobs":{"content":[{"token":"ab"}]}}]}"#;
    let shown = run(&mut window(limits), &[chunk.as_bytes()], |_| Verdict::Release(vec![(0..1, "X".into())]));
    assert_eq!(text(&shown), r#"data: {"choices":[{"delta":{"content":"Xb"},"logprobs":null}]}"#);
}

#[test]
fn events_that_are_not_json_stay_in_order() {
    let whole = format!("{}data: <html>\n\n: ping\n\n{}data: {{\"choices\":\n\n", delta("a"), delta("b"));
    let mut open = window(Limits::default());
    let held = open.chunk(whole.as_bytes(), false, NOW);
    assert!(held.is_empty());
    let shown = run(&mut window(Limits::default()), &[whole.as_bytes()], released);
    assert_eq!(text(&shown), whole);

    let mut strict = window(Limits { unchecked: Unchecked::Block, ..Limits::default() });
    let shown = run(&mut strict, &[b"data: <html>\n\n", delta("a").as_bytes()], released);
    assert!(strict.is_unchecked());
    assert_eq!(text(&shown), "data: {\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"content_filter\"}]}\n\ndata: [DONE]\n\n");
}
