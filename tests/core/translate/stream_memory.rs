//! The memory of a translated stream.

use serde_json::{json, Value};
use sluice::translate::Pair;

use super::converse_streams::message;
use super::reply;
use super::streams::{block, chunk, delta, message_start, named};

#[test]
fn ten_thousand_events_take_no_more_memory_than_a_hundred() {
    let text = [message_start(), block(0, json!({"type": "text", "text": ""}))];
    let piece = named(&[delta(0, json!({"type": "text_delta", "text": "some words"}))]);
    let openai = format!("data: {}\n\n", chunk(json!({"content": "some words"}), Value::Null)).into_bytes();
    let gemini = json!({"candidates": [{"content": {"parts": [{"text": "some words"}]}}]});
    let converse = message("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": "some words"}}));
    for (pair, start, piece) in [
        (Pair::ChatToMessages, named(&text), piece),
        (Pair::MessagesToChat, Vec::new(), openai),
        (Pair::ChatToGemini, Vec::new(), format!("data: {gemini}\n\n").into_bytes()),
        (Pair::ChatToConverse, Vec::new(), converse),
    ] {
        let mut stream = pair.stream(&reply());
        stream.chunk(&start, false);
        let mut reserved = Vec::new();
        for count in 1..=10_000 {
            stream.chunk(&piece, false);
            stream.clear();
            if count % 100 == 0 {
                reserved.push(stream.reserved());
            }
        }
        assert_eq!(reserved.first(), reserved.last(), "{pair:?}");
    }
}

#[test]
fn large_events_leave_no_large_buffers() {
    let words = "word ".repeat(200_000);
    for (pair, event) in [
        (Pair::MessagesToChat, format!("data: {}\n\n", chunk(json!({"content": words}), Value::Null)).into_bytes()),
        (Pair::ChatToMessages, named(&[message_start(), block(0, json!({"type": "text", "text": words}))])),
    ] {
        let mut stream = pair.stream(&reply());
        let (begin, end) = event.split_at(event.len() / 2);
        stream.chunk(begin, false);
        stream.chunk(end, false);
        assert!(stream.written().len() > 900_000, "{pair:?}");
        stream.clear();
        assert!(stream.reserved() < 200_000, "{pair:?}: {}", stream.reserved());
    }
}
