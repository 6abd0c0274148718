use proptest::prelude::*;
use sluice::endpoint::Dialect;
use sluice::usage::{event_data, Boundaries, Framing};

/// Splits chunked text into events, and the incomplete rest.
fn split(framing: Framing, chunks: &[&str]) -> (Vec<String>, String) {
    let mut boundaries = Boundaries::default();
    let mut buffer: Vec<u8> = Vec::new();
    let mut events: Vec<String> = Vec::new();
    for chunk in chunks {
        buffer.extend_from_slice(chunk.as_bytes());
        while let Some(end) = boundaries.next(framing, &buffer) {
            let event: Vec<u8> = buffer.drain(..end).collect();
            boundaries.consume(end);
            let event = String::from_utf8(event).unwrap();
            match events.last_mut() {
                // the LF of a split CRLF
                Some(last) if framing == Framing::Sse && event == "\n" && last.ends_with('\r') => last.push('\n'),
                _ => events.push(event),
            }
        }
    }
    (events, String::from_utf8(buffer).unwrap())
}

#[test]
fn boundaries() {
    use Framing::{Json, Ndjson, Sse};
    let cases: &[(&str, Framing, &str, &[&str], &str)] = &[
        ("LF", Sse, "data: a\n\ndata: b\n\n", &["data: a\n\n", "data: b\n\n"], ""),
        ("CRLF", Sse, "data: a\r\n\r\ndata: b\r\n\r\n", &["data: a\r\n\r\n", "data: b\r\n\r\n"], ""),
        ("CR", Sse, "data: a\r\rdata: b\r\r", &["data: a\r\r", "data: b\r\r"], ""),
        ("mixed", Sse, "a\r\n\nb\n\rc\r\r\n", &["a\r\n\n", "b\n\r", "c\r\r\n"], ""),
        ("CRLF is one line end", Sse, "a\r\nb\r\n\r\n", &["a\r\nb\r\n\r\n"], ""),
        ("several lines", Sse, "event: x\ndata: a\n\n: c\n\n", &["event: x\ndata: a\n\n", ": c\n\n"], ""),
        ("blank lines", Sse, "\n\na\n\n\n", &["\n", "\n", "a\n\n", "\n"], ""),
        ("no blank line yet", Sse, "a\n\nb\n", &["a\n\n"], "b\n"),
        ("half a line", Sse, "a", &[], "a"),
        ("LF", Ndjson, "{}\n{}\n", &["{}\n", "{}\n"], ""),
        ("CRLF", Ndjson, "{}\r\n\r\n{", &["{}\r\n", "\r\n"], "{"),
        ("CR is no line end", Ndjson, "a\rb\n", &["a\rb\n"], ""),
        ("one text", Json, "{}\n\n", &[], "{}\n\n"),
    ];
    for (name, framing, text, events, rest) in cases {
        let want = (events.iter().map(|event| (*event).to_owned()).collect(), (*rest).to_owned());
        for at in 0..=text.len() {
            assert_eq!(split(*framing, &[&text[..at], &text[at..]]), want, "{framing:?}, {name}: split at {at}");
        }
        let single: Vec<&str> = text.split_inclusive(|_: char| true).collect();
        assert_eq!(split(*framing, &single), want, "{framing:?}, {name}: byte by byte");
    }
}

#[test]
fn data() {
    let cases: &[(&str, &[u8], Option<&[u8]>)] = &[
        ("a space", b"data: a\n\n", Some(b"a")),
        ("no space", b"data:a\n\n", Some(b"a")),
        ("two spaces", b"data:  a\n\n", Some(b" a")),
        ("a tab is no space", b"data:\ta\n\n", Some(b"\ta")),
        ("colons", b"data: a:b\n\n", Some(b"a:b")),
        ("several lines", b"data: a\ndata:b\n\n", Some(b"a\nb")),
        ("several lines with others between", b"data: a\nid: 1\n: c\ndata: b\n\n", Some(b"a\nb")),
        ("three lines", b"data: a\ndata\ndata: c\n\n", Some(b"a\n\nc")),
        ("CRLF", b"event: x\r\ndata: a\r\n\r\n", Some(b"a")),
        ("CR", b"event: x\rdata: a\rdata: b\r\r", Some(b"a\nb")),
        ("no line end", b"data: a", Some(b"a")),
        ("empty", b"data:\n\n", Some(b"")),
        ("no colon", b"data\n\n", Some(b"")),
        ("a BOM", b"\xef\xbb\xbfdata: a\n\n", Some(b"a")),
        ("a comment", b": data: a\n\n", None),
        ("another field", b"event: data\nretry: 5\n\n", None),
        ("a longer name", b"database: a\n\n", None),
        ("another case", b"Data: a\n\n", None),
        ("a space in front", b" data: a\n\n", None),
        ("a blank line", b"\n", None),
        ("nothing", b"", None),
        ("invalid UTF-8", b"data: \xff\n\n", Some(b"\xff")),
    ];
    for (name, event, want) in cases {
        assert_eq!(event_data(event).as_deref(), *want, "{name}");
    }
}

#[test]
fn content_types() {
    let cases = [
        ("text/event-stream", Framing::Sse),
        ("Text/Event-Stream ; charset=utf-8", Framing::Sse),
        ("application/x-ndjson", Framing::Ndjson),
        ("application/x-ndjson; charset=utf-8", Framing::Ndjson),
        ("application/jsonl", Framing::Ndjson),
        ("application/json", Framing::Json),
        ("text/event-stream-x", Framing::Json),
        ("", Framing::Json),
    ];
    for (content_type, want) in cases {
        assert_eq!(Framing::of_content_type(content_type), want, "{content_type}");
    }
}

#[test]
fn answers() {
    use Dialect::{Anthropic, Gemini, Ollama, OpenAi};
    use Framing::{Json, Ndjson, Sse};
    let cases: &[(&str, Dialect, bool, &[u8], Framing)] = &[
        ("no stream", OpenAi, false, b"data: {}", Json),
        ("no stream of Ollama's", Ollama, false, b"{}", Json),
        ("a stream", OpenAi, true, b"data: {}", Sse),
        ("a stream of named events", Anthropic, true, b"event: x", Sse),
        ("a stream that starts with a comment", OpenAi, true, b": ping", Sse),
        ("a stream that starts with a BOM", OpenAi, true, b"\xef\xbb\xbfdata: {}", Sse),
        ("an error instead of a stream", Anthropic, true, b"\n{\"type\":\"error\"}", Json),
        ("Gemini's array", Gemini, true, b"[{", Json),
        ("Gemini's events", Gemini, true, b"data: {", Sse),
        ("Ollama's lines", Ollama, true, b"{\"done\"", Ndjson),
        ("Ollama's lines after null", Ollama, true, b"null\n", Ndjson),
    ];
    for (name, dialect, streamed, beginning, want) in cases {
        assert_eq!(Framing::of_answer(*dialect, *streamed, beginning), *want, "{name}");
    }
}

fn lines() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec!["a", "é", "\r", "\n", "\r\n", "data:", ": "]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn cuts_change_no_boundary(text in lines(), lengths in prop::collection::vec(0..6usize, 0..12)) {
        let mut chunks = Vec::new();
        let mut rest = text.as_str();
        for length in lengths {
            let at = (0..=length.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
            let (chunk, tail) = rest.split_at(at);
            chunks.push(chunk);
            rest = tail;
        }
        chunks.push(rest);
        prop_assert_eq!(split(Framing::Sse, &chunks), split(Framing::Sse, &[&text]));
    }
}
