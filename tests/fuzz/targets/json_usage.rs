//! Any JSON text passes unchanged, and the record does not depend on the cuts. The tokens equal those from serde_json's
//! tree if both can read the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sluice::usage::{Format, Framing, Meter, Pass, UsageReading, UsageSource, TokenUsage};

fuzz_target!(|input: (u8, &[u8])| {
    // the first byte chooses the cuts
    let (way, bytes) = input;
    let whole = meter(Format::Auto, usize::MAX, bytes);
    assert_eq!(meter(Format::Auto, usize::from(way) + 1, bytes), whole, "cut");
    let (tokens, source) = whole;
    let parts = [tokens.cached_input, tokens.cache_write_input, tokens.audio_input, tokens.image_input];
    assert!(parts.iter().all(|part| *part <= tokens.input), "a part of the input is larger than it");
    assert!(tokens.reasoning_output.max(tokens.audio_output).max(tokens.image_output) <= tokens.output, "a part of the output is larger than it");
    for format in Format::ALL {
        meter(format, usize::from(way) + 1, bytes);
    }
    if source == UsageSource::Reported {
        let mut again = UsageReading::default();
        again.read(bytes);
        let before = again;
        again.read(bytes);
        assert_eq!(again, before, "counts are set, not added");
    }
    // serde_json's output has no repeated names
    if let Ok(tree @ Value::Object(_)) = serde_json::from_slice::<Value>(bytes) {
        if let Some(count) = count(&tree, "prompt_tokens") {
            assert_eq!(meter(Format::OpenAi, usize::MAX, tree.to_string().as_bytes()).0.input, count);
        }
    }
});

fn count(answer: &Value, name: &str) -> Option<u64> {
    if answer.get("response").is_some() {
        return None; // it may hold another value
    }
    answer.get("usage")?.get(name)?.as_u64()
}

fn meter(format: Format, size: usize, bytes: &[u8]) -> (TokenUsage, UsageSource) {
    let mut meter = Meter::new(Framing::Json, true).with_format(format);
    for chunk in bytes.chunks(size) {
        assert_eq!(meter.chunk(chunk, false), Pass::Unchanged);
    }
    assert_eq!(meter.chunk(b"", true), Pass::Unchanged);
    assert_eq!(meter.held(), 0, "held at the end");
    meter.finish()
}
