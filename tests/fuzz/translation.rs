//! What the targets of translation have in common. Any request, answer or stream can be translated: the output is JSON,
//! and a stream's output does not depend on the cuts.

use sluice::response_gate::Gate;
use sluice::eventstream::encode;
use sluice::translate::{Pair, Platform, Reply, Target, MAX_OUTPUT_TOKENS};
use sluice::usage::Framing;

const MODELS: [&str; 5] = ["claude-3-haiku", "claude-sonnet-4-6", "gemini-3-pro", "gpt-5", "amazon.nova-2-lite-v1:0"];
/// The names of Converse's messages; the last one is an error.
const NAMES: [&str; 7] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "throttlingException",
];

/// The first byte chooses the model and what the client asked for, the second the size of a stream's pieces.
pub fn translates(pair: Pair, (kind, size, bytes): (u8, u8, &[u8])) {
    let (kind, size) = (usize::from(kind), usize::from(size) + 1);
    let target = Target {
        model: MODELS[kind % MODELS.len()],
        stream: kind & 64 != 0,
        include_usage: kind & 128 != 0,
        max_output_tokens: MAX_OUTPUT_TOKENS,
        platform: Platform::Own,
    };
    let mut reply = Reply { include_usage: true, ..Reply::default() };
    if let Ok(translated) = pair.request(bytes, &target) {
        assert_json(&translated.body);
        reply.notes = translated.notes;
    }
    if let Ok(answer) = pair.answer(bytes, &reply) {
        assert_json(&answer.body);
    }
    assert_json(&pair.error(400, bytes));
    check(pair, &reply, bytes, size);
    if pair.framing() == Framing::EventStream {
        check(pair, &reply, &messages(bytes), size);
    }
}

fn check(pair: Pair, reply: &Reply, bytes: &[u8], size: usize) {
    assert_eq!(run(pair, reply, bytes, size), run(pair, reply, bytes, bytes.len().max(1)));
}

/// A binary message for each line, whose first byte is its type, because fuzzing cannot guess a checksum.
fn messages(bytes: &[u8]) -> Vec<u8> {
    let message = |line: &[u8]| {
        let (first, payload) = line.split_first().unwrap_or((&0, b"{}"));
        let name = NAMES[usize::from(*first) % NAMES.len()];
        match name.ends_with("Exception") {
            true => encode(&[(":exception-type", name), (":message-type", "exception")], payload),
            false => encode(&[(":event-type", name), (":message-type", "event")], payload),
        }
    };
    bytes.split(|byte| *byte == b'\n').flat_map(message).collect()
}

fn assert_json(bytes: &[u8]) {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).expect("JSON");
}

/// The output of a stream, and its gate's first decision.
fn run(pair: Pair, reply: &Reply, bytes: &[u8], size: usize) -> (Vec<u8>, Gate) {
    let mut stream = pair.stream(reply);
    let (mut out, mut first) = (Vec::new(), Gate::Hold);
    for chunk in bytes.chunks(size) {
        let gate = stream.chunk(chunk, false);
        first = if first == Gate::Hold { gate } else { first };
        out.extend_from_slice(stream.written());
        stream.clear();
    }
    let gate = stream.chunk(b"", true);
    out.extend_from_slice(stream.written());
    (out, if first == Gate::Hold { gate } else { first })
}
