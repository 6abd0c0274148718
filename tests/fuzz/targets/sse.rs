//! However an answer is cut, the record and what passes are the same; no byte is lost or invented.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::usage::{Framing, Meter, Pass, Source, TokenUsage};

fuzz_target!(|input: (u8, &[u8])| {
    // the first byte says how the rest is framed and cut
    let (way, bytes) = input;
    let framing = if way & 1 == 1 { Framing::Ndjson } else { Framing::Sse };
    let size = usize::from(way >> 1) + 1;
    let (plain, plain_record) = meter(framing, false, usize::MAX, bytes);
    assert_eq!(plain, bytes);
    let (whole, record) = meter(framing, true, usize::MAX, bytes);
    assert_eq!(record, plain_record, "stripping changes the record");
    let mut rest = bytes.iter();
    assert!(whole.iter().all(|byte| rest.any(|other| other == byte)), "stripping invents bytes");
    assert_eq!(meter(framing, true, size, bytes), (whole, record), "cut");
    // the limits and errors of one JSON text
    assert_eq!(meter(Framing::Json, true, size, bytes).0, bytes);
});

fn meter(framing: Framing, strip: bool, size: usize, bytes: &[u8]) -> (Vec<u8>, (TokenUsage, Source)) {
    let mut meter = Meter::new(framing, strip);
    let mut out = Vec::new();
    let mut pass = |chunk: &[u8], end| match meter.chunk(chunk, end) {
        Pass::Unchanged => out.extend_from_slice(chunk),
        Pass::Replace(replaced) => {
            assert!(strip, "replaced without stripping");
            out.extend_from_slice(&replaced);
        }
    };
    for chunk in bytes.chunks(size) {
        pass(chunk, false);
    }
    pass(b"", true);
    assert_eq!(meter.held(), 0, "held at the end");
    let record = meter.finish();
    (out, record)
}
