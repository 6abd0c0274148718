//! Texts extracted in slices: the same as in one step, and each step is a small part of the work.

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::guard::checks::{PassageRewrite, RewriteMode};
use sluice::guard::pii::{Entity, Patterns, Vault};
use sluice::guard::rewriting::BodyRewriting;
use sluice::guard::texts::{answer_passages, passages, Extraction, Passage, Unreadable, MAX_PASSAGES};
use sluice::json::JsonError;
use sluice::parsed_request::{self, ParsedRequest};

use crate::generate::{json_like, json_text};

type Read = fn(&[u8]) -> Result<Vec<Passage>, Unreadable>;
const KINDS: [(Read, fn() -> Extraction); 2] =
    [(passages, Extraction::of_request), (answer_passages, Extraction::of_answer)];

fn in_steps(mut extraction: Extraction, body: &[u8], size: usize) -> (Result<Vec<Passage>, Unreadable>, usize) {
    let mut steps = 1;
    loop {
        match extraction.step(body, size) {
            Ok(true) => return (Ok(extraction.finish().passages), steps),
            Ok(false) => steps += 1,
            Err(problem) => return (Err(problem), steps),
        }
    }
}

fn check(body: &[u8], sizes: impl Iterator<Item = usize> + Clone) {
    for (read, begin) in KINDS {
        let want = read(body);
        for size in sizes.clone() {
            let (found, _) = in_steps(begin(), body, size);
            assert!(found == want, "steps of {size}: {found:?}\nwant {want:?}\n{}", String::from_utf8_lossy(body));
        }
    }
}

/// Members with a meaning of their own, in bodies of any shape.
fn members() -> impl Strategy<Value = String> {
    const NAMES: &str = "messages content role name id type text tool_calls function arguments input index choices \
                         candidates message delta output response item part refusal thinking signature thought source \
                         data url documents system tools parameters properties enum logprobs metadata brand_new a@b.co \
                         output_index summary_index parts functionResponse args contents prompt ro\\u006ce INDEX";
    const VALUES: &str = r#""hi" "user" "assistant" "tool" "function_call" "thinking" "a@b.co" "text" "" 1 null true
                            "tool_result" "response.audio.delta" "\u0061\u00e9\ud83d\ude00" "{\"a\":\"x\\ny\"}"
                            "\ud83d" "a\\n" "\"q\\\\t\"" 4111111111111111 "https://x.org/ü" "x_1" "\ude00\u0012""#;
    let leaf = prop::sample::select(VALUES.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let names = || prop::sample::select(NAMES.split_whitespace().collect::<Vec<_>>());
    let value = leaf.prop_recursive(5, 24, 4, move |inner| {
        let object = vec((names(), inner.clone()), 0..4).prop_map(|members| object(&members));
        let array = vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(", ")));
        prop_oneof![object, array]
    });
    vec((names(), value), 0..4).prop_map(|members| object(&members))
}

fn object(members: &[(&str, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", members.join(","))
}

proptest! {
    #[test]
    fn bodies_in_steps(body in members(), size in 1..60_usize, cut in 0..200_usize) {
        check(body.as_bytes(), [1, 2, size].into_iter());
        let broken = body.as_bytes().get(..cut).unwrap_or(body.as_bytes());
        check(broken, [1, size].into_iter());
        check(format!("[{body},{body}]").as_bytes(), [1, size].into_iter());
    }

    #[test]
    fn any_json_in_steps(body in json_text(), size in 1..20_usize) {
        check(format!(r#"{{"messages": {body}, "choices": [{body}], "delta": {body}}}"#).as_bytes(), [size].into_iter());
    }

    #[test]
    fn anything_in_steps(body in json_like(), size in 1..20_usize) {
        check(&body, [size].into_iter());
    }
}

#[test]
fn bytes_that_are_no_text_in_steps() {
    let strings: [&[u8]; 6] = [
        b"\xe2\x82",
        b"\xe2\x82\xac\x80\x80\x80\x80\x80",
        b"a\x80\x80\x80\x80\\u0061\x80\xf0\x9f\x98\x80\xf0\x9f\x98",
        b"\xe2\\u00e9\xa9\\ud83d\\ude00\\ud83d\xe2",
        b"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xff\xfe\xc0\xaf",
        b"\\ud83d\\ud83d\\ude00\\u00e9\\/\\b\\f",
    ];
    for string in strings {
        let body = [b"{\"message\": {\"content\": \"", string, b"\"}}"].concat();
        check(&body, 1..body.len());
    }
}

/// Whatever a large body is made of, each step is a small part of the work, and the result is the same.
#[test]
fn a_step_is_a_small_part() {
    const SIZE: usize = 4 << 10;
    let texts = [
        "some words ".repeat(20_000),
        r"\u0061".repeat(40_000),
        r"a\n".repeat(60_000),
        r#"{\"a\": \"b\\u0061c\\n\", \"d\": [1, 2]}\n"#.repeat(5_000),
        "é".repeat(100_000),
    ];
    let strings = texts.iter().map(|text| format!("\"{text}\""));
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let lists = [deep, "1".into(), "[]".into(), "{}".into(), r#"{"a": 1}"#.into(), "true".into()]
        .map(|value| format!("[{}]", vec![value.as_str(); 200_000 / (value.len() + 1)].join(",")));
    for content in strings.chain(lists) {
        let call = format!(r#"[{{"index": 1, "content": {content}}}]"#);
        for body in [
            format!(r#"{{"messages": [{{"content": [{{"content": {content}, "role": "tool"}}]}}]}}"#),
            format!(r#"{{"choices": [{{"message": {{"tool_calls": {call}}}, "logprobs": {content}}}]}}"#),
            format!(r#"{{"unknown": {content}, "input": {{"a": {content}}}, "usage": {content}}}"#),
        ] {
            for (read, begin) in KINDS {
                let (found, steps) = in_steps(begin(), body.as_bytes(), SIZE);
                assert!(found == read(body.as_bytes()));
                assert!(steps >= body.len() / SIZE / 2, "{steps} steps: {}", &body[..80]);
            }
        }
    }
}

#[test]
fn too_many_texts_end_it() {
    let body = format!(r#"{{"input": [{}]}}"#, vec![r#""a""#; 10 * MAX_PASSAGES].join(","));
    let (found, steps) = in_steps(Extraction::of_request(), body.as_bytes(), 1000);
    assert_eq!(found, Err(Unreadable::TooMany));
    assert!(steps < 2 * 4 * MAX_PASSAGES / 1000, "{steps} steps: the rest is not read");
    let broken = format!("{}x", &body[..811]);
    let (found, _) = in_steps(Extraction::of_request(), broken.as_bytes(), 10);
    assert_eq!(found, Err(Unreadable::Json(JsonError::Unexpected { at: 811 })));
}

/// A rewritten request is not read anew: its positions move.
#[test]
fn what_is_known_of_a_request_moves_with_its_texts() {
    let bodies = [
        r#"{"messages": [{"role": "user", "content": "a@b.co and jo@example.com"}], "model": "m", "n": 2}"#,
        r#" {"model":"m","user":"a@b.co","stream":true,"stream_options":{"note":"a@b.co"},"messages":[{"content":"x"}]}"#,
        r#"{"stream_options": "a@b.co", "stream": true, "model": "m", "prompt": "a@b.co", "user": "a@b.co", "user": "a@b.co"}"#,
        r#"{"stop":"a@b.co","stream_options":{"include_usage":"a@b.co"},"stream":true,"input":["a@b.co"],"model":"m"}"#,
        r#"{"model": "jo@example.com", "messages": [{"content": "\u0061@b.co", "logprobs": {"a": "a@b.co"}}], "max_tokens": 7}"#,
        r#"{"stream_options": {}, "model": "m", "system": "a@b.co", "tools": [{"description": "a@b.co"}], "input": "x"}"#,
    ];
    let patterns = Patterns::new(Entity::ALL, &[]).unwrap();
    for body in bodies {
        for mode in [RewriteMode::Mask, RewriteMode::Restore] {
            let read = |body: &[u8]| parsed_request::read(sluice::endpoint::Endpoint::ChatCompletions, None, body);
            let mut extraction = Extraction::of_request();
            while !extraction.step(body.as_bytes(), 100).unwrap() {}
            let texts = extraction.finish();
            let find = |text: &Passage| vec![PassageRewrite::new(patterns.find(&text.text), mode)];
            let rewrites = texts.passages.iter().map(find).collect();
            let mut rewriting = BodyRewriting::of_request(body.as_bytes().to_vec(), texts, rewrites);
            while !rewriting.step(&mut Vault::default(), usize::MAX).unwrap() {}
            let (rewritten, changes) = rewriting.finish_changes();
            assert!(!changes.is_empty() && !String::from_utf8_lossy(&rewritten).contains("@b.co"));
            let before = read(body.as_bytes()).unwrap();
            let changed = before.changed(&changes, &rewritten).unwrap();
            let want = read(&rewritten).unwrap();
            // the end user stays the same, and short texts outside the prompt are no part of an estimate
            let mut want = ParsedRequest { user: before.user, ..want };
            assert!(changed.layout.text.abs_diff(want.layout.text) < 60, "{changed:?}\n{want:?}");
            (want.layout.text, want.text_length) = (changed.layout.text, changed.text_length);
            assert_eq!(changed, want, "{body}\n{}", String::from_utf8_lossy(&rewritten));
        }
    }
}
