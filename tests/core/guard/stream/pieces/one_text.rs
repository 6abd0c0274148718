//! One JSON text that is too large to hold: an answer with images, or Gemini's stream as an array.

use serde_json::Value;
use sluice::endpoint::{Endpoint, Further};
use sluice::guard::api::Failure;
use sluice::guard::stream::{Limits, Mode, StreamGuard, Unchecked};
use sluice::usage::Framing;

use super::super::{text, NOW};
use super::{LIMITS, WHOLE};

const IMAGES: Endpoint = Endpoint::Further(Further::Images);
const ARRAY: Endpoint = Endpoint::StreamGenerateContent;

/// What the client gets, with a block at the first window with a bad thing.
fn blocked(endpoint: Endpoint, limits: Limits, answer: &str, chunk: usize) -> String {
    let mut guard = StreamGuard::new(endpoint, Framing::Json, Mode::Window, limits);
    let (mut out, mut is_blocked) = (Vec::new(), false);
    let chunks: Vec<&[u8]> = answer.as_bytes().chunks(chunk).collect();
    for (index, chunk) in chunks.iter().enumerate() {
        out.extend(guard.chunk(chunk, index + 1 == chunks.len(), NOW));
        while let Some(window) = guard.ready() {
            is_blocked |= window.text.contains("bad");
            out.extend(match is_blocked {
                true => guard.block(),
                false => guard.release(window.id, &[]),
            });
        }
    }
    assert!(is_blocked && guard.is_finished());
    text(&out)
}

#[test]
fn a_blocked_image_stays_json() {
    let data = "QUJD".repeat(60);
    for shift in 0..80 {
        let space = " ".repeat(shift);
        let first = format!(r#"{{"revised_prompt":"A cat.","b64_json":"{data}"}}"#);
        let second = format!(r#"{{"b64_json":"{data}","revised_prompt":"A {space} bad dog {space}."}}"#);
        let answer = format!(r#"{{"created":1,"data":[{first},{space}{second},{first}]}}"#);
        for chunk in [7, 100, 10_000] {
            let out = blocked(IMAGES, LIMITS, &answer, chunk);
            assert!(!out.contains("bad"), "{shift}: {out}");
            let shown: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{shift}: {out}"));
            assert_eq!(shown["data"][0]["revised_prompt"], "A cat.");
            assert_eq!(shown["data"][0]["b64_json"], data);
        }
    }
}

#[test]
fn a_blocked_array_ends_like_a_filtered_answer() {
    let element = |say: &str| format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{say}"}}]}},"index":0}}]}}"#);
    for shift in 0..80 {
        let space = " ".repeat(shift);
        for start in ["", "fine words and more. "] {
            let (first, second) = (element(&start.repeat(9)), element("a bad thing. "));
            let answer = format!("[{space}{first},{space}{second},{space}{first}]");
            for chunk in [7, 100, 10_000] {
                let out = blocked(ARRAY, LIMITS, &answer, chunk);
                assert!(!out.contains("bad"), "{shift}: {out}");
                let shown: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{shift}: {out}"));
                let last = shown.as_array().unwrap().last().unwrap();
                assert_eq!(last["candidates"][0]["finishReason"], "SAFETY", "{out}");
            }
        }
    }
}

#[test]
fn an_answer_of_which_nothing_was_shown() {
    let array = r#"[{"candidates":[{"content":{"parts":[{"text":"a bad thing. "}]}}]}]"#;
    let out = blocked(ARRAY, WHOLE, array, 1);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown[0]["candidates"][0]["finishReason"], "SAFETY", "{out}");
    let chat = r#"{"choices":[{"index":0,"message":{"content":"a bad thing. "}}]}"#;
    let out = blocked(Endpoint::ChatCompletions, WHOLE, chat, 1);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["choices"][0]["finish_reason"], "content_filter", "{out}");
}

/// What waits when the answer has ended can be given up, too.
#[test]
fn too_much_waits_at_the_end() {
    let data = "QUJD".repeat(60);
    let answer = format!(r#"{{"data":[{{"revised_prompt":"A cat.","b64_json":"{data}"}}]}}"#);
    for unchecked in [Unchecked::Block, Unchecked::Pass] {
        let limits = Limits { unchecked, ..LIMITS };
        let mut guard = StreamGuard::new(IMAGES, Framing::Json, Mode::Window, limits);
        let mut out = guard.chunk(answer.as_bytes(), true, NOW);
        assert!(guard.ready().is_some() && guard.waiting() > data.len());
        out.extend(guard.overflow());
        assert!(guard.is_finished() && guard.waiting() == 0);
        assert_eq!(guard.unchecked(), Some(Failure::Busy));
        match unchecked {
            Unchecked::Block => assert_eq!(text(&out), "{}", "nothing of it was shown"),
            Unchecked::Pass => assert_eq!(text(&out), answer),
        }
    }
}
