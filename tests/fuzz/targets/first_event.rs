//! For any cuts of a stream's beginning, the decision is the same, and comes with the same byte.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::response_gate::{is_context_length_exceeded, Document, FirstEvent, Gate, Refusal};
use sluice::endpoint::Endpoint;

const ENDPOINTS: [Endpoint; 4] =
    [Endpoint::Responses, Endpoint::Messages, Endpoint::OllamaChat, Endpoint::StreamGenerateContent];
const CONTENT_TYPES: [Option<&str>; 4] =
    [Some("text/event-stream"), Some("application/x-ndjson"), Some("application/json"), None];

fuzz_target!(|input: (u8, u8, &[u8])| {
    // the first byte chooses the kind of stream, the second the cuts
    let (kind, size, bytes) = input;
    let kind = usize::from(kind);
    let (endpoint, content_type, end) = (ENDPOINTS[kind % 4], CONTENT_TYPES[kind / 4 % 4], kind / 16 % 2 == 1);
    let size = usize::from(size) + 1;
    let (want, position) = watch(endpoint, content_type, 1, bytes, end);
    let (gate, seen) = watch(endpoint, content_type, size, bytes, end);
    assert_eq!(gate, want);
    assert_eq!(seen, if want == Gate::Hold { position } else { position.next_multiple_of(size).min(bytes.len()) });
    is_context_length_exceeded(bytes);
    Document::judge(endpoint, bytes);
    Refusal::judge(403, bytes, "m");
    Refusal::judge_reported(bytes, "m");
});

/// The decision for a stream, and the number of bytes before it.
fn watch(endpoint: Endpoint, content_type: Option<&str>, size: usize, bytes: &[u8], end: bool) -> (Gate, usize) {
    let mut first = match FirstEvent::new(endpoint, content_type) {
        Ok(first) => first,
        Err(fault) => return (Gate::Reject(fault), 0),
    };
    let mut seen = 0;
    for chunk in bytes.chunks(size) {
        seen += chunk.len();
        let gate = first.chunk(chunk, end && seen == bytes.len());
        if gate != Gate::Hold {
            return (gate, seen);
        }
    }
    (Gate::Hold, seen)
}
