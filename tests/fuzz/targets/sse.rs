//! The record and the output do not depend on the cuts; no byte is lost or invented. An interrupted stream with the
//! appended bytes is a failed one. Skipping deltas changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::endpoint::Endpoint;
use sluice::usage::{Boundaries, Framing, Meter, Pass, UsageReading, UsageSource, TokenUsage, LARGE_EVENT};

/// The tokens and their source, and the bytes to append.
type Record = (TokenUsage, UsageSource, Option<Vec<u8>>);

fuzz_target!(|input: (u8, &[u8])| {
    // the first byte says how the rest is cut
    let (way, bytes) = input;
    let size = usize::from(way) + 1;
    let framing = Framing::Sse;
    let (plain, plain_record) = meter(framing, false, usize::MAX, bytes);
    assert_eq!(plain, bytes);
    let (whole, record) = meter(framing, true, usize::MAX, bytes);
    assert_eq!(record, plain_record, "stripping changes the record");
    let mut rest = bytes.iter();
    assert!(whole.iter().all(|byte| rest.any(|other| other == byte)), "stripping invents bytes");
    assert_eq!(meter(framing, true, size, bytes), (whole, record), "cut");
    if bytes.len() <= LARGE_EVENT {
        assert_eq!(parsed(framing, bytes), plain_record.0, "skipping");
    }
    if let (_, source, Some(appended)) = plain_record {
        assert_eq!(source, UsageSource::Partial);
        let (_, mended) = meter(framing, false, size, &[bytes, &appended].concat());
        assert_eq!((mended.1, mended.2), (UsageSource::Partial, None), "appended to again");
    }
});

/// The tokens if every event is parsed.
fn parsed(framing: Framing, bytes: &[u8]) -> TokenUsage {
    let (mut boundaries, mut reading, mut start) = (Boundaries::default(), UsageReading::default(), 0);
    while start < bytes.len() {
        let end = boundaries.next(framing, bytes).unwrap_or(bytes.len());
        reading.read_event(framing, &bytes[start..end]);
        start = end;
    }
    reading.tokens()
}

fn meter(framing: Framing, strip: bool, size: usize, bytes: &[u8]) -> (Vec<u8>, Record) {
    let mut meter = Meter::new(framing, strip);
    let mut out = Vec::new();
    let mut pass = |chunk: &[u8], end| match meter.chunk(chunk, end) {
        Pass::Unchanged => out.extend_from_slice(chunk),
        Pass::Replace(replaced) => {
            assert!(strip, "replaced without stripping");
            out.extend_from_slice(replaced);
        }
    };
    for chunk in bytes.chunks(size) {
        pass(chunk, false);
    }
    pass(b"", true);
    assert_eq!(meter.held(), 0, "held at the end");
    let (tokens, source) = meter.finish();
    (out, (tokens, source, meter.interruption(Endpoint::ChatCompletions)))
}
