use sluice::usage::{Framing, Meter, Pass, Source, MAX_EVENT, MAX_EVENTS, MAX_JSON};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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
    let (head, tail) = (&b"{\"usage\":{\"prompt_tokens\":7},\"x\":\""[..], &b"\"}"[..]);
    let cases = [("at the limit", MAX_JSON, Source::Reported, 7), ("beyond it", MAX_JSON + 1, Source::Partial, 0)];
    for (name, length, source, input) in cases {
        let bytes = [head, &vec![b'x'; length - head.len() - tail.len()], tail].concat();
        for size in [65_536, usize::MAX] {
            let (out, held, meter) = meter(Framing::Json, true, &bytes, size);
            let (usage, found) = meter.finish();
            assert_eq!((usage.input, found), (input, source), "{name}, chunks of {size}");
            assert!(out == bytes && held <= MAX_JSON && meter.held() == 0, "{name}, chunks of {size}");
        }
    }
}
