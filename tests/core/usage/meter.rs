use proptest::collection::vec;
use proptest::prelude::*;
use sluice::endpoint::Endpoint;
use sluice::response_gate::Document;
use sluice::usage::{Framing, Meter, Pass, TokenUsage, UsageSource};

use super::transcripts::{Transcript, TRANSCRIPTS};
use crate::generate::chunks;

/// An answer's record, and its output.
#[derive(Debug, PartialEq)]
struct Metered {
    record: (TokenUsage, UsageSource),
    interrupted: bool,
    out: Vec<u8>,
    unchanged: bool,
}

/// Meters an answer in chunks. `end` comes with the last chunk.
fn meter(framing: Framing, strip: bool, chunks: &[&[u8]]) -> Metered {
    let mut meter = Meter::new(framing, strip);
    let mut out = Vec::new();
    let mut unchanged = true;
    for (index, chunk) in chunks.iter().enumerate() {
        match meter.chunk(chunk, index + 1 == chunks.len()) {
            Pass::Unchanged => out.extend_from_slice(chunk),
            Pass::Replace(replaced) => {
                unchanged = false;
                out.extend_from_slice(replaced);
            }
        }
    }
    assert_eq!(meter.held(), 0, "nothing is held at the end");
    let interrupted = meter.is_interrupted();
    let record = meter.finish();
    assert!(!interrupted || record.1 == UsageSource::Partial, "what is interrupted is partial");
    Metered { record, interrupted, out, unchanged }
}

/// Writes a transcript with one kind of line end, whole and stripped.
fn write(transcript: &Transcript, line_end: &str, bom: bool, last_blank: bool) -> (Vec<u8>, Vec<u8>) {
    let bom = if bom { "\u{feff}" } else { "" };
    let (mut whole, mut stripped) = (bom.to_owned(), bom.to_owned());
    let end = match transcript.framing {
        Framing::Sse => line_end.repeat(2),
        Framing::Ndjson => line_end.to_owned(),
        Framing::Json | Framing::EventStream => String::new(),
    };
    for (index, event) in transcript.events.iter().enumerate() {
        let bare = event.trim_start_matches('~');
        let lines = if transcript.framing == Framing::Sse { bare.replace('\n', line_end) } else { bare.to_owned() };
        let last = index + 1 == transcript.events.len();
        let end = if last && !last_blank { "" } else { &end };
        whole.extend([&lines, end]);
        if bare == *event {
            stripped.extend([&lines, end]);
        } else if index == 0 && !bom.is_empty() {
            stripped.clear(); // the mark is at the start of the event
        }
    }
    (whole.into_bytes(), stripped.into_bytes())
}

/// All ways to write a transcript in its framing.
fn variants(transcript: &Transcript) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let ways: &[(&str, &str, bool, bool)] = &[
        ("LF", "\n", false, true),
        ("CRLF", "\r\n", false, true),
        ("CR", "\r", false, true),
        ("a BOM", "\n", true, true),
        ("no last blank line", "\n", false, false),
        ("no last blank line, CRLF", "\r\n", false, false),
    ];
    let ways = ways.iter().filter(|(way, ..)| match transcript.framing {
        Framing::Sse => true,
        Framing::Ndjson => !matches!(*way, "CR" | "a BOM"),
        Framing::Json | Framing::EventStream => *way == "LF",
    });
    ways.map(|(way, line_end, bom, last_blank)| {
        let (whole, stripped) = write(transcript, line_end, *bom, *last_blank);
        (format!("{}, {way}", transcript.name), whole, stripped)
    })
    .collect()
}

#[test]
fn transcripts_at_every_split() {
    for transcript in TRANSCRIPTS {
        let framing = transcript.framing;
        for (name, whole, stripped) in variants(transcript) {
            for strip in [false, true] {
                let out = if strip { &stripped } else { &whole };
                let check = |chunks: &[&[u8]], how: &str| {
                    let metered = meter(framing, strip, chunks);
                    assert_eq!(metered.record, (transcript.usage, transcript.source), "{name}, {how}");
                    assert_eq!(metered.interrupted, transcript.is_interrupted(), "{name}, {how}");
                    assert!(
                        metered.out == *out,
                        "{name}, strip {strip}, {how}: {:?}",
                        String::from_utf8_lossy(&metered.out)
                    );
                    assert!(metered.unchanged || strip && framing == Framing::Sse, "{name}, {how}: replaced");
                };
                for at in 0..=whole.len() {
                    check(&[&whole[..at], &whole[at..]], &format!("split at {at}"));
                }
                check(&[&whole], "whole");
                check(&[&whole, b""], "an empty chunk at the end");
                let single: Vec<&[u8]> = whole.chunks(1).collect();
                check(&single, "byte by byte");
            }
        }
    }
}

#[test]
fn a_cut_stream_is_partial() {
    for transcript in TRANSCRIPTS.iter().filter(|transcript| transcript.source == UsageSource::Reported) {
        let (whole, _) = write(transcript, "\n", false, true);
        let mut cut = Meter::new(transcript.framing, false);
        for byte in &whole[..whole.len().min(20)] {
            cut.chunk(&[*byte], false);
        }
        assert_eq!(cut.finish().1, UsageSource::Partial, "{}", transcript.name);
    }
    let nothing = Meter::new(Framing::Sse, true);
    assert_eq!(nothing.finish(), (TokenUsage::default(), UsageSource::Partial), "no byte at all");
}

#[test]
fn complete_events_are_not_held() {
    let mut meter = Meter::new(Framing::Sse, true);
    let cases: &[(&str, &[u8], Pass, usize)] = &[
        ("an event", b"data: a\n\n", Pass::Unchanged, 0),
        ("an event and a half", b"data: a\n\nda", Pass::Replace(b"data: a\n\n"), 2),
        ("a part of it", b"ta: b\n", Pass::Replace(b""), 8),
        ("its end", b"\n", Pass::Replace(b"data: b\n\n"), 0),
        ("the next", b": c\n\n", Pass::Unchanged, 0),
    ];
    for (name, chunk, want, held) in cases {
        assert_eq!(meter.chunk(chunk, false), *want, "{name}");
        assert_eq!(meter.held(), *held, "{name}");
    }
}

#[test]
fn bytes_after_a_document() {
    let document = &b"{\"usage\":{\"prompt_tokens\":5}}"[..];
    let cases: &[(&str, &[&[u8]], u64, UsageSource)] = &[
        ("nothing", &[document, b""], 5, UsageSource::Reported),
        ("white space", &[document, b"\r\n ", b"\n"], 5, UsageSource::Reported),
        ("white space that is not JSON's", &[document, b"\x0c"], 0, UsageSource::Partial),
        ("the mark of a stream's end", &[document, b"\n\ndata: [DO", b"NE]\n\n"], 5, UsageSource::Reported),
        ("half of it", &[document, b"\n\ndata: [DO", b""], 0, UsageSource::Partial),
        ("another one", &[document, document], 0, UsageSource::Partial),
        ("in the same piece", &[document, b" x", document], 0, UsageSource::Partial),
    ];
    for (name, chunks, input, source) in cases {
        for metered in [meter(Framing::Json, false, chunks), meter(Framing::Json, false, &[&chunks.concat()])] {
            assert_eq!((metered.record.0.input, metered.record.1), (*input, *source), "{name}");
        }
    }
    let mut reset = Meter::new(Framing::Json, false);
    reset.chunk(b"[{\"usageMetadata\":{\"promptTokenCount\":5}},{\"cand", false);
    assert_eq!(
        (reset.finish().0.input, reset.finish().1),
        (5, UsageSource::Partial),
        "a reset keeps what was complete"
    );
}

/// Whether `part` is `whole` with bytes left out.
fn is_subsequence(part: &[u8], whole: &[u8]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|byte| rest.any(|other| other == byte))
}

pub fn stream_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"data: "[..],
        b"data:",
        b"{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}",
        b"{\"choices\":[{}]}",
        b"{\"choices\":[{\"finish_reason\":\"stop\"}]}",
        b"{\"error\":{}}",
        b"event: error",
        b"[DONE]",
        b": ping",
        b"\n",
        b"\n\n",
        b"\r\n\r\n",
        b"\r\r",
        b"\r",
        b"\xef\xbb\xbf",
        b"\xff",
        b"}",
        b"{\"a\":",
    ]);
    vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn any_bytes_pass(
        bytes in prop_oneof![stream_like(), vec(any::<u8>(), 0..80)],
        lengths in vec(0..20usize, 0..10),
        framing in prop::sample::select(vec![Framing::Sse, Framing::Ndjson, Framing::Json]),
    ) {
        let chunks = chunks(&bytes, &lengths);
        let passed = meter(framing, false, &chunks);
        prop_assert!(passed.unchanged);
        let stripped = meter(framing, true, &chunks);
        prop_assert!(is_subsequence(&stripped.out, &bytes));
        prop_assert_eq!(stripped.record, passed.record, "stripping changes no record");
        prop_assert_eq!(stripped.interrupted, passed.interrupted);
        let whole = meter(framing, true, &[&bytes]);
        prop_assert_eq!(
            (stripped.record, stripped.interrupted, stripped.out),
            (whole.record, whole.interrupted, whole.out),
            "cuts change nothing"
        );
    }
}

/// An answer that passes without being held is judged from the bytes read, for any cuts and any size.
#[test]
fn answers_too_large_to_hold() {
    let large = "word ".repeat(1_000_000);
    let answer = |text: &str| format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}]}}"#);
    let cases = [
        ("an answer", answer("Hi"), Some(true)),
        ("a large answer", answer(&large), Some(true)),
        ("with its end", answer(&large) + "\n\ndata: [DONE]\n\n", Some(true)),
        ("and more", answer(&large) + "<html>", Some(false)),
        ("cut", answer("Hi").replace('}', ""), Some(false)),
        ("large and cut", answer(&large).replace('}', ""), Some(false)),
        ("an error", r#"{"error":{"message":"m"}}"#.to_owned(), Some(false)),
        ("a large error", format!(r#"{{"error":{{"message":"{large}"}}}}"#), Some(false)),
        ("another endpoint's", format!(r#"{{"data":["{large}"]}}"#), Some(false)),
        ("a web page", "<html>".to_owned(), Some(false)),
        ("nothing", String::new(), Some(false)),
    ];
    for (name, body, want) in cases {
        for size in [body.len().max(1), 100_000, 64] {
            let mut meter = Meter::new(Framing::Json, false).judged(Endpoint::ChatCompletions, Document::is_answer);
            let mut chunks = body.as_bytes().chunks(size).peekable();
            while let Some(chunk) = chunks.next() {
                meter.chunk(chunk, chunks.peek().is_none());
            }
            if body.is_empty() {
                meter.chunk(b"", true);
            }
            assert_eq!(meter.is_answer(), want, "{name} in chunks of {size}");
        }
        let mut meter = Meter::new(Framing::Json, false);
        meter.chunk(body.as_bytes(), true);
        assert_eq!(meter.is_answer(), None, "{name}: nobody asked");
    }
}
