use proptest::collection::vec;
use proptest::prelude::*;
use sluice::endpoint::Endpoint;
use sluice::usage::{
    event_data, interruption, Boundaries, EventKind, Framing, Meter, Pass, UsageReading, UsageSource, MAX_EVENT,
};

use super::meter::stream_like;
use crate::generate::chunks;

const ENDPOINTS: [(Endpoint, Framing, &str); 7] = [
    (Endpoint::ChatCompletions, Framing::Sse, OPENAI),
    (Endpoint::Completions, Framing::Sse, OPENAI),
    (
        Endpoint::Responses,
        Framing::Sse,
        "event: error\ndata: {\"type\":\"error\",\"code\":\"upstream_stream_interrupted\",\"message\":\"The model server's stream ended before it was complete.\",\"param\":null,\"sequence_number\":0}\n\n",
    ),
    (
        Endpoint::Messages,
        Framing::Sse,
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"The model server's stream ended before it was complete.\"}}\n\n",
    ),
    (Endpoint::OllamaChat, Framing::Ndjson, OLLAMA),
    (Endpoint::OllamaGenerate, Framing::Ndjson, OLLAMA),
    (
        Endpoint::StreamGenerateContent,
        Framing::Sse,
        "data: {\"error\":{\"code\":502,\"message\":\"The model server's stream ended before it was complete.\",\"status\":\"UNAVAILABLE\"}}\n\n",
    ),
];
const OPENAI: &str = "data: {\"error\":{\"message\":\"The model server's stream ended before it was complete.\",\"type\":\"server_error\",\"param\":null,\"code\":\"upstream_stream_interrupted\"}}\n\n";
const OLLAMA: &str = "{\"error\":\"The model server's stream ended before it was complete.\"}\n";

/// The client's bytes, and the meter after the end.
fn meter(framing: Framing, strip: bool, chunks: &[&[u8]]) -> (Vec<u8>, Meter) {
    let mut meter = Meter::new(framing, strip);
    let mut out = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        match meter.chunk(chunk, index + 1 == chunks.len()) {
            Pass::Unchanged => out.extend_from_slice(chunk),
            Pass::Replace(replaced) => out.extend_from_slice(replaced),
        }
    }
    (out, meter)
}

#[test]
fn words() {
    for (endpoint, framing, want) in ENDPOINTS {
        let event = interruption(endpoint);
        assert_eq!(String::from_utf8_lossy(event), want, "{endpoint:?}");
        let kind = UsageReading::default().read_event(framing, event);
        assert_eq!(kind, Some(EventKind::Error), "{endpoint:?}");
        let data = match framing {
            Framing::Sse => event_data(event).unwrap().into_owned(),
            Framing::Ndjson | Framing::Json | Framing::EventStream => event.to_vec(),
        };
        assert!(serde_json::from_slice::<serde_json::Value>(&data).is_ok(), "{endpoint:?}");
    }
}

#[test]
fn what_is_appended() {
    use Framing::{EventStream, Json, Ndjson, Sse};
    let none = None;
    let cases: &[(&str, Framing, &str, Option<&str>)] = &[
        ("nothing came", Sse, "", Some("")),
        ("a comment", Sse, ": ping\n\n", Some("")),
        ("content", Sse, "data: {}\n\n", Some("")),
        ("content, CRLF", Sse, "data: {}\r\n\r\n", Some("")),
        ("content, half a CRLF", Sse, "data: {}\r\n\r", Some("")),
        ("no blank line", Sse, "data: {}\n", Some("\n\n")),
        ("no line end", Sse, "data: {}", Some("\n\n")),
        ("cut within an event", Sse, "data: {}\n\ndata: {\"choic", Some("\n\n")),
        ("usage", Sse, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5}}\n\n", Some("")),
        ("the end", Sse, "data: {}\n\ndata: [DONE]\n\n", none),
        ("the end without a line end", Sse, "data: {}\n\ndata: [DONE]", none),
        ("half an end", Sse, "data: {}\n\ndata: [DON", Some("\n\n")),
        ("a finish reason", Sse, "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n", none),
        ("an error", Sse, "data: {\"error\":{}}\n\n", none),
        ("content after an error", Sse, "data: {\"error\":{}}\n\ndata: {}\n\n", none),
        (
            "Anthropic's stop reason",
            Sse,
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
            none,
        ),
        ("no stop reason", Sse, "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null}}\n\n", Some("")),
        ("Anthropic's stop", Sse, "data: {\"type\":\"message_stop\"}\n\n", none),
        ("a failed response", Sse, "data: {\"type\":\"response.failed\"}\n\n", none),
        ("an incomplete response", Sse, "data: {\"type\":\"response.incomplete\"}\n\n", none),
        ("a blocked prompt", Sse, "data: {\"promptFeedback\":{\"blockReason\":\"OTHER\"}}\n\n", none),
        ("no line", Ndjson, "", Some("")),
        ("a line", Ndjson, "{\"done\":false}\n", Some("")),
        ("a line without an end", Ndjson, "{\"done\":false}", Some("\n")),
        ("half a line", Ndjson, "{\"done\":false}\n{\"mess", Some("\n")),
        ("the last line", Ndjson, "{\"done\":false}\n{\"done\":true}", none),
        ("an array that is cut", Json, "[{\"candidates\":[{}]}", none),
    ];
    for (name, framing, text, want) in cases {
        let (endpoint, event) = match framing {
            Sse => (Endpoint::ChatCompletions, OPENAI),
            Ndjson => (Endpoint::OllamaChat, OLLAMA),
            Json | EventStream => (Endpoint::StreamGenerateContent, ""),
        };
        for strip in [false, true] {
            for at in 0..=text.len() {
                let (_, meter) = meter(*framing, strip, &[&text.as_bytes()[..at], &text.as_bytes()[at..]]);
                let appended = meter.interruption(endpoint).map(|bytes| String::from_utf8(bytes).unwrap());
                assert_eq!(appended, want.map(|separator| format!("{separator}{event}")), "{name}, split at {at}");
                assert_eq!(meter.is_interrupted(), want.is_some(), "{name}, split at {at}");
            }
        }
    }
}

/// For a server that never sends a last event: whether the stream counts as complete, and the usage's source.
#[test]
fn streams_without_a_last_event() {
    use Framing::{Ndjson, Sse};
    use UsageSource::{Partial, Reported};
    const CHAT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    const BEGUN: &str = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"Hello, all of you\"}}\n\n";
    let chat = |rest: &str| format!("{CHAT}{rest}");
    let cases: [(&str, Framing, String, bool, UsageSource); 16] = [
        ("chat", Sse, chat(""), true, Partial),
        ("with a comment at its end", Sse, chat(": bye"), true, Partial),
        ("without the last blank line", Sse, CHAT.trim_end().to_owned(), true, Partial),
        (
            "with usage",
            Sse,
            chat("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n\n"),
            true,
            Reported,
        ),
        (
            "with usage in each chunk",
            Sse,
            CHAT.replace("]}\n", "],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":1}}\n"),
            true,
            Reported,
        ),
        ("cut within an event", Sse, chat("data: {\"choices\":[{\"del"), false, Partial),
        ("cut before an event's data", Sse, chat("event: mess"), false, Partial),
        ("completions", Sse, "data: {\"choices\":[{\"text\":\"Hi\"}]}\n\n".to_owned(), true, Partial),
        (
            "responses",
            Sse,
            "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n".to_owned(),
            true,
            Partial,
        ),
        ("messages: what is reported at the beginning is not all", Sse, BEGUN.to_owned(), true, Partial),
        (
            "messages, with the last usage",
            Sse,
            format!("{BEGUN}data: {{\"type\":\"message_delta\",\"delta\":{{}},\"usage\":{{\"output_tokens\":4}}}}\n\n"),
            true,
            Reported,
        ),
        (
            "generate",
            Sse,
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]}}]}\n\n".to_owned(),
            true,
            Partial,
        ),
        ("Ollama", Ndjson, "{\"message\":{\"content\":\"Hi\"},\"done\":false}\n".to_owned(), true, Partial),
        ("Ollama, without the last line end", Ndjson, "{\"response\":\"Hi\",\"done\":false}".to_owned(), true, Partial),
        (
            "Ollama, cut within a line",
            Ndjson,
            "{\"message\":{\"content\":\"Hi\"},\"done\":false}\n{\"mess".to_owned(),
            false,
            Partial,
        ),
        ("an error", Sse, chat("data: {\"error\":{}}\n\n"), false, Partial),
    ];
    for (name, framing, text, whole, source) in cases {
        for strip in [false, true] {
            for at in 0..=text.len() {
                let (_, mut meter) = meter(framing, strip, &[&text.as_bytes()[..at], &text.as_bytes()[at..]]);
                assert!(!meter.says_its_end() && !meter.is_whole(), "{name}, split at {at}");
                meter.take_for_whole();
                assert_eq!((meter.is_whole(), meter.finish().1), (whole, source), "{name}, split at {at}");
            }
        }
    }
    for text in [
        "data: [DONE]\n\n",
        "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"type\":\"message_stop\"}\n\n",
    ] {
        let (_, meter) = meter(Sse, false, &[chat(text).as_bytes()]);
        assert!(meter.says_its_end(), "{text}");
    }
}

#[test]
fn a_running_stream_is_not_interrupted() {
    let mut meter = Meter::new(Framing::Sse, true);
    meter.chunk(b"data: {}\n\nda", false);
    assert!(!meter.is_interrupted() && meter.interruption(Endpoint::ChatCompletions).is_none());
    assert_eq!(meter.finish().1, UsageSource::Partial, "reset");
}

#[test]
fn beyond_the_limits_the_end_is_unknown() {
    let large = [&b"data: "[..], &vec![b'x'; MAX_EVENT]].concat();
    let (out, meter) = meter(Framing::Sse, true, &[&large, b"data: {}"]);
    assert!(!meter.is_interrupted() && out.len() == large.len() + 8);
}

/// The last event of a stream that has data.
fn last_event(framing: Framing, bytes: &[u8]) -> Vec<u8> {
    let mut boundaries = Boundaries::default();
    let (mut start, mut last) = (0, Vec::new());
    while let Some(end) = boundaries.next(framing, bytes) {
        if UsageReading::default().read_event(framing, &bytes[start..end]).is_some() {
            last = bytes[start..end].to_vec();
        }
        start = end;
    }
    last
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn the_client_gets_its_dialects_error(
        bytes in prop_oneof![stream_like(), vec(any::<u8>(), 0..80)],
        lengths in vec(0..20usize, 0..10),
        strip in any::<bool>(),
        (endpoint, framing, _) in prop::sample::select(ENDPOINTS.to_vec()),
    ) {
        let (mut out, ended) = meter(framing, strip, &chunks(&bytes, &lengths));
        if let Some(appended) = ended.interruption(endpoint) {
            out.extend_from_slice(&appended);
            prop_assert_eq!(last_event(framing, &out), interruption(endpoint));
            let (_, again) = meter(framing, false, &[&out]);
            prop_assert!(!again.is_interrupted(), "another gateway appends nothing");
            prop_assert_eq!(again.finish().1, UsageSource::Partial);
        }
    }
}
