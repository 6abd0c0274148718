use proptest::prelude::*;
use serde_json::json;
use sluice::usage::{Framing, Meter, Pass, UsageSource, LARGE_EVENT, MAX_JSON};

use crate::generate;

const USAGE: &[u8] = b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7}}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Meters an answer in chunks of `size`. Returns the output, the most that was held, and the meter.
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

/// An event of exactly `length` bytes, including its blank line.
fn event(length: usize) -> Vec<u8> {
    let (head, tail) = (&b"data: {\"x\":\""[..], &b"\"}\n\n"[..]);
    [head, &vec![b'x'; length - head.len() - tail.len()], tail].concat()
}

#[test]
fn large_events() {
    for length in [LARGE_EVENT, LARGE_EVENT + 1, 3 * LARGE_EVENT, 5 << 20] {
        let bytes = [DONE, &event(length), USAGE, DONE].concat();
        let stripped = [DONE, &event(length), DONE].concat();
        for strip in [false, true] {
            for size in [16_384, 1 << 20, usize::MAX] {
                let what = format!("{length} bytes, strip {strip}, chunks of {size}");
                let (out, held, meter) = meter(Framing::Sse, strip, &bytes, size);
                assert!(out == *if strip { &stripped } else { &bytes }, "{what}: bytes");
                let (usage, found) = meter.finish();
                assert_eq!((usage.input, found), (7, UsageSource::Reported), "{what}");
                assert!(held <= LARGE_EVENT, "{what}: held {held}");
                assert_eq!(meter.held(), 0, "{what}: released");
            }
        }
    }
}

#[test]
fn many_events() {
    let bytes = [&b"data: {\"choices\":[{\"index\":0}]}\n\n".repeat(200_000)[..], USAGE, DONE].concat();
    for strip in [false, true] {
        let mut meter = Meter::new(Framing::Sse, strip);
        let (mut passed, mut reserved) = (0, 0);
        for chunk in bytes.chunks(16_384) {
            passed += match meter.chunk(chunk, false) {
                Pass::Unchanged => chunk.len(),
                Pass::Replace(bytes) => bytes.len(),
            };
            reserved = reserved.max(meter.reserved());
        }
        meter.chunk(b"", true);
        assert_eq!(passed, bytes.len() - if strip { USAGE.len() } else { 0 });
        assert_eq!((meter.finish().0.input, meter.finish().1), (7, UsageSource::Reported));
        println!("200,000 events, strip {strip}: at most {reserved} bytes reserved");
        assert!(reserved < 64 << 10);
    }
}

/// A large event is read through its digest, which finds the values wherever the text is.
#[test]
fn values_in_large_events() {
    let pad = "x".repeat(5 << 20);
    let image = format!(r#"{{"type":"image","result":"{pad}"}}"#);
    let cases = [
        ("a last word", format!(r#"event: response.completed\ndata: {{"type":"response.completed","response":{{"output":[{image},{image}],"usage":{{"input_tokens":7,"output_tokens":3,"total_tokens":10}}}}}}\n\n"#), (7, 3), UsageSource::Reported),
        ("several lines", format!("data: {{\"pad\":\"{pad}\",\r\ndata: \"usageMetadata\":{{\"promptTokenCount\":7}},\r\ndata:\"candidates\":[{{\"finishReason\":\"STOP\"}}]}}\r\n\r\n"), (7, 0), UsageSource::Reported),
        ("a choice that ends", format!(r#"data: {{"choices":[{{"index":0,"delta":{{"content":"{pad}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":7}}}}\n\n"#), (7, 0), UsageSource::Reported),
        ("an error by its name", format!("event: error\ndata: {{\"x\":\"{pad}\"}}\n\n"), (0, 0), UsageSource::Partial),
        ("a comment", format!(": {pad}\n\ndata: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":7}}}}\n\ndata: [DONE]\n\n"), (7, 0), UsageSource::Reported),
    ];
    for (name, text, want, source) in cases {
        let bytes = text.replace("\\n", "\n");
        for size in [1000, 16_384, usize::MAX] {
            let mut meter = Meter::new(Framing::Sse, true);
            let mut reserved = 0;
            for chunk in bytes.as_bytes().chunks(size) {
                meter.chunk(chunk, false);
                reserved = reserved.max(meter.reserved());
            }
            meter.chunk(b"", true);
            let (usage, found) = meter.finish();
            assert_eq!(((usage.input, usage.output), found), (want, source), "{name}, chunks of {size}");
            assert!(size > 16_384 || reserved < 256 << 10, "{name}, chunks of {size}: {reserved} bytes");
        }
    }
}

/// The same for Ollama's lines.
#[test]
fn large_lines() {
    let pad = "x".repeat(5 << 20);
    let last = r#""done":true,"prompt_eval_count":7,"eval_count":3}"#;
    let cases = [
        ("the last line", format!("{{\"message\":{{\"content\":\"{pad}\"}},{last}\n")),
        ("the one before it", format!("{{\"message\":{{\"content\":\"{pad}\"}},\"done\":false}}\n{{{last}\n")),
        ("a last line without an end", format!("{{\"response\":\"{pad}\",{last}")),
    ];
    for (name, text) in cases {
        for size in [1000, 16_384, usize::MAX] {
            let (out, _, meter) = meter(Framing::Ndjson, false, text.as_bytes(), size);
            assert!(out == text.as_bytes() && !meter.is_interrupted(), "{name}, chunks of {size}");
            let (usage, found) = meter.finish();
            assert_eq!((usage.input, usage.output, found), (7, 3, UsageSource::Reported), "{name}, chunks of {size}");
        }
    }
}

#[test]
fn an_event_beyond_even_its_digest_is_no_interruption() {
    let members: String = (0..200_000).map(|n| format!(r#""{n}":0,"#)).collect();
    let bytes = format!("data: {{{members}\"x\":0}}\n\n");
    let (out, _, meter) = meter(Framing::Sse, true, bytes.as_bytes(), 16_384);
    assert!(out == bytes.as_bytes() && !meter.is_interrupted());
    assert_eq!(meter.finish().1, UsageSource::Partial);
}

#[test]
fn large_documents() {
    let (head, tail) = (&b"{\"usage\":{\"prompt_tokens\":7},\"x\":["[..], &b"1]}"[..]);
    let row = |length: usize| b"{\"text\":\"x\",\"of\":[1,2]},".repeat(length / 25);
    let word = b"0.0123,".repeat(30 << 17);
    let text = [b"\"".to_vec(), b"\\\"[{".repeat(2 << 20), b"\",".to_vec()].concat();
    let cases = [
        ("at once", row(1000), UsageSource::Reported, 7),
        ("large", row(3 << 20), UsageSource::Reported, 7),
        ("8 MB of rows", row(8 << 20), UsageSource::Reported, 7),
        ("27 MB of numbers", word, UsageSource::Reported, 7),
        ("10 MB of text", text, UsageSource::Reported, 7),
        ("no JSON", [row(3 << 20), b"]".to_vec()].concat(), UsageSource::Partial, 0),
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

/// Their usage comes last, as in the answers for OpenAI's SDK: one base64 text for each.
#[test]
fn many_embeddings() {
    let embedding = |values: &str| format!(r#"{{"object":"embedding","index":0,"embedding":{values}}}"#);
    for values in [format!("[{}]", ["-0.012345678"; 1536].join(", ")), format!("{:?}", "QUJD".repeat(2048))] {
        let data = vec![embedding(&values); 2048].join(",");
        let usage = r#""usage":{"prompt_tokens":8191,"total_tokens":8191}"#;
        let bytes = format!(r#"{{"object":"list","data":[{data}],"model":"m",{usage}}}"#);
        let (_, held, meter) = meter(Framing::Json, false, bytes.as_bytes(), 16_384);
        let (tokens, source) = meter.finish();
        assert_eq!((tokens.input, tokens.output, source), (8191, 0, UsageSource::Reported), "{} bytes", bytes.len());
        assert!(held <= MAX_JSON);
    }
}

proptest! {
    /// A large answer's report is the same as a small one's, wherever it is cut.
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
        prop_assert_eq!(small.1, UsageSource::Reported);
        prop_assert_eq!(of(&document(400_000)), small);
    }
}
