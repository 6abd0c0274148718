use proptest::prelude::*;
use serde_json::json;
use sluice::usage::{Framing, Meter, Pass, Source, MAX_EVENT, MAX_EVENTS, MAX_JSON};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::generate;

const USAGE: &[u8] = b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7}}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Meters an answer in chunks of `size`. Returns what passed, the most that was held, and the meter.
fn meter(framing: Framing, strip: bool, bytes: &[u8], size: usize) -> (Vec<u8>, usize, Meter) {
    let mut meter = Meter::new(framing, strip);
    let mut out = Vec::with_capacity(bytes.len());
    let mut held = 0;
    for chunk in bytes.chunks(size) {
        match meter.chunk(chunk, false) {
            Pass::Unchanged => out.extend_from_slice(chunk),
            Pass::Replace(replaced) => out.extend_from_slice(replaced),
        }
        held = held.max(meter.held());
    }
    match meter.chunk(b"", true) {
        Pass::Unchanged => {}
        Pass::Replace(replaced) => out.extend_from_slice(replaced),
    }
    (out, held, meter)
}

/// An event of exactly `length` bytes, its blank line included.
fn event(length: usize) -> Vec<u8> {
    let (head, tail) = (&b"data: {\"x\":\""[..], &b"\"}\n\n"[..]);
    [head, &vec![b'x'; length - head.len() - tail.len()], tail].concat()
}

#[test]
fn large_events() {
    let cases = [
        ("at the limit", MAX_EVENT, Source::Reported, 7),
        ("beyond it", MAX_EVENT + 1, Source::Partial, 0),
        ("far beyond it", 3 * MAX_EVENT, Source::Partial, 0),
    ];
    for (name, length, source, input) in cases {
        let large = event(length);
        let bytes = [DONE, &large, USAGE, DONE].concat();
        let stripped = [DONE, &large, DONE].concat();
        for strip in [false, true] {
            for size in [16_384, 1 << 20, usize::MAX] {
                let what = format!("{name}, strip {strip}, chunks of {size}");
                let (out, held, meter) = meter(Framing::Sse, strip, &bytes, size);
                let want = if strip && source == Source::Reported { &stripped } else { &bytes };
                assert!(out == *want, "{what}: bytes");
                let (usage, found) = meter.finish();
                assert_eq!((usage.input, found), (input, source), "{what}");
                assert!(held <= MAX_EVENT, "{what}: held {held}");
                assert_eq!(meter.held(), 0, "{what}: released");
            }
        }
    }
}

#[test]
fn many_events() {
    let cases = [
        ("at the limit", MAX_EVENTS - 2, Source::Reported, 7),
        ("beyond it", MAX_EVENTS - 1, Source::Partial, 7),
        ("usage beyond it", MAX_EVENTS, Source::Partial, 0),
    ];
    for (name, count, source, input) in cases {
        // comments are no events
        let bytes = [&b"data: 1\n\n: c\n\n".repeat(count as usize)[..], USAGE, DONE].concat();
        for strip in [false, true] {
            for size in [9_999, usize::MAX] {
                let what = format!("{name}, strip {strip}, chunks of {size}");
                let (out, _, meter) = meter(Framing::Sse, strip, &bytes, size);
                let (usage, found) = meter.finish();
                assert_eq!((usage.input, found), (input, source), "{what}");
                let missing = if strip && input > 0 { USAGE.len() } else { 0 };
                assert_eq!(out.len(), bytes.len() - missing, "{what}");
                assert_eq!(meter.held(), 0, "{what}: released");
            }
        }
    }
}

#[test]
fn large_documents() {
    let (head, tail) = (&b"{\"usage\":{\"prompt_tokens\":7},\"x\":["[..], &b"1]}"[..]);
    let row = |length: usize| b"{\"text\":\"x\",\"of\":[1,2]},".repeat(length / 25);
    let word = b"0.0123,".repeat(30 << 17);
    let text = [b"\"".to_vec(), b"\\\"[{".repeat(2 << 20), b"\",".to_vec()].concat();
    let cases = [
        ("at once", row(1000), Source::Reported, 7),
        ("large", row(3 << 20), Source::Reported, 7),
        ("what is left is too large", row(8 << 20), Source::Partial, 0),
        ("27 MB of numbers", word, Source::Reported, 7),
        ("10 MB of text", text, Source::Reported, 7),
        ("no JSON", [row(3 << 20), b"]".to_vec()].concat(), Source::Partial, 0),
    ];
    for (name, middle, source, input) in cases {
        let bytes = [head, &middle, tail].concat();
        for size in [7777, 65_536, usize::MAX] {
            let (out, held, meter) = meter(Framing::Json, true, &bytes, size);
            let (usage, found) = meter.finish();
            assert_eq!((usage.input, found), (input, source), "{name}, chunks of {size}");
            assert!(out == bytes && held <= MAX_JSON && meter.held() == 0, "{name}, chunks of {size}");
        }
    }
}

/// The usage stands behind them, as in what OpenAI's SDK gets: one text of base64 for each.
#[test]
fn many_embeddings() {
    let embedding = |values: &str| format!(r#"{{"object":"embedding","index":0,"embedding":{values}}}"#);
    for values in [format!("[{}]", ["-0.012345678"; 1536].join(", ")), format!("{:?}", "QUJD".repeat(2048))] {
        let data = vec![embedding(&values); 2048].join(",");
        let usage = r#""usage":{"prompt_tokens":8191,"total_tokens":8191}"#;
        let bytes = format!(r#"{{"object":"list","data":[{data}],"model":"m",{usage}}}"#);
        let (_, held, meter) = meter(Framing::Json, false, bytes.as_bytes(), 16_384);
        let (tokens, source) = meter.finish();
        assert_eq!((tokens.input, tokens.output, source), (8191, 0, Source::Reported), "{} bytes", bytes.len());
        assert!(held <= MAX_JSON);
    }
}

proptest! {
    /// What a large answer reports is what it would report if it were small, wherever it is cut.
    #[test]
    fn a_large_answer_reports_the_same(
        fields in prop::collection::vec((generate::text(), generate::json()), 0..4),
        input in 0..1000_u64,
        details in prop::option::of(0..10_u64),
        place in 0..4_usize,
        size in 1..70_000_usize,
    ) {
        let usage = json!({ "prompt_tokens": input, "prompt_tokens_details": { "cached_tokens": details } });
        let mut texts: Vec<String> = fields
            .iter()
            .filter(|(name, _)| !["usage", "error", "object", "type", "response", "message"].contains(&name.as_str()))
            .map(|(name, value)| format!("{}:{value}", json!(name)))
            .collect();
        texts.insert(place.min(texts.len()), format!("\"usage\":{usage}"));
        let document = |padding: usize| format!("{{{},\"padding\":[{}1]}}", texts.join(","), "1, ".repeat(padding));
        let of = |text: &str| meter(Framing::Json, false, text.as_bytes(), size).2.finish();
        let small = of(&document(1));
        prop_assert_eq!(small.1, Source::Reported);
        prop_assert_eq!(of(&document(400_000)), small);
    }
}
