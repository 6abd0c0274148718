//! The model's name and a response's id in real servers' answers, cut at any place.

use proptest::prelude::*;
use sluice::endpoint::Endpoint::{self, *};
use sluice::splice::ModelNameRewriter;

/// Passes an answer in chunks of `size` bytes; returns the output and the id.
fn pass(endpoint: Endpoint, stream: bool, answer: &str, size: usize) -> (String, Option<String>) {
    let mut splice = ModelNameRewriter::new(endpoint, stream, Some("mi\"ne"), endpoint == Responses);
    let (mut out, mut id) = (Vec::new(), None);
    for chunk in answer.as_bytes().chunks(size) {
        match splice.chunk(chunk) {
            Some(written) => out.extend_from_slice(written),
            None => out.extend_from_slice(chunk),
        }
        id = id.or(splice.take_id());
    }
    (String::from_utf8(out).unwrap(), id)
}

/// Endpoint, whether it is a stream, and an answer with `MODEL` in place of the target's name.
const ANSWERS: &[(Endpoint, bool, &str)] = &[
    (
        ChatCompletions,
        false,
        r#"{"id":"c","model":MODEL,"choices":[{"message":{"content":"\"model\":\"x\"","tool_calls":[{"model":"x"}]}}]}"#,
    ),
    (ChatCompletions, false, "\u{feff}{\"model\" : MODEL}\ndata: [DONE]\n"),
    (
        ChatCompletions,
        true,
        "data: {\"model\":MODEL,\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[],\"model\":MODEL}\n\ndata: [DONE]\n\n",
    ),
    (ChatCompletions, true, "\u{feff}: {\"model\":\"x\"}\r\nevent: {\"model\":\"x\"}\r\ndata:{\"model\":MODEL}\r\n\r\n"),
    (ChatCompletions, true, "data: {\ndata: \"model\":\ndata: MODEL}\n\ndata: {\"cut\":{\"\n\ndata: {\"model\":MODEL}\n\n"),
    (Completions, false, r#"{"model":MODEL,"model":MODEL,"choices":[{"text":"\\","model":"x"}]}"#),
    (Embeddings, false, r#"{"data":[{"embedding":[0.1],"model":"x"}],"model":MODEL,"usage":{"model":"x"}}"#),
    (ChatCompletions, false, r#"{"model":null,"a":{"b":["model",{"model":"x"}]},"model":MODEL}"#),
    (
        Responses,
        false,
        r#"{"id":"resp_1","output":[{"id":"msg_1","model":"x"}],"model":MODEL,"tools":[{"type":"t","model":"x"}]}"#,
    ),
    (
        Responses,
        true,
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"model\":MODEL,\"tools\":[{\"model\":\"x\"}]},\"sequence_number\":0}\n\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"id\":\"i\",\"model\":\"x\"}}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"model\":MODEL}}\n\n",
    ),
    (Messages, false, r#"{"type":"message","model":MODEL,"content":[{"type":"text","text":"model","model":"x"}]}"#),
    (
        Messages,
        true,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":MODEL,\"usage\":{\"model\":\"x\"}}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\nevent: content_block_start\ndata: {\"content_block\":{\"model\":\"x\"}}\n\n",
    ),
    (GenerateContent, false, r#"{"candidates":[{"modelVersion":"x"}],"modelVersion":MODEL,"model":"x"}"#),
    (StreamGenerateContent, true, "data: {\"candidates\":[],\"modelVersion\":MODEL}\r\n\r\n"),
    (StreamGenerateContent, true, "[{\"candidates\":[{}],\"modelVersion\":MODEL}\n,\r\n{\"modelVersion\":MODEL}]"),
    (OllamaChat, true, "{\"model\":MODEL,\"message\":{\"content\":\"{\",\"model\":\"x\"}}\n{\"model\":MODEL,\"done\":true}\n"),
    (OllamaGenerate, false, r#"{"model":MODEL,"response":"a","context":[1]}"#),
];

#[test]
fn names_in_every_dialect() {
    for (endpoint, stream, answer) in ANSWERS {
        let sent = answer.replace("MODEL", r#""gpt \"\\ {4o""#);
        let want = answer.replace("MODEL", r#""mi\"ne""#);
        let id = (*endpoint == Responses).then(|| "resp_1".to_owned());
        for size in (1..=sent.len()).take(40).chain([sent.len()]) {
            assert_eq!(pass(*endpoint, *stream, &sent, size), (want.clone(), id.clone()), "{endpoint:?}, by {size}");
        }
    }
}

#[test]
fn answers_without_a_name_are_unchanged() {
    for answer in ["", "{}", "[]", r#"{"model":1}"#, "data: [DONE]\n\n", "no JSON", r#"{"a":{"model":"x"}}"#, "}}]]{"] {
        for stream in [false, true] {
            let mut splice = ModelNameRewriter::new(ChatCompletions, stream, Some("m"), false);
            assert_eq!(splice.chunk(answer.as_bytes()), None, "{answer}");
        }
    }
}

#[test]
fn invalid_ids() {
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(300));
    for (answer, want) in
        [(r#"{"id":7}"#, None), (r#"{"id":""}"#, None), (&long, None), (r#"{"id":"a","id":"b"}"#, Some("a"))]
    {
        let mut splice = ModelNameRewriter::new(Responses, false, None, true);
        assert_eq!(splice.chunk(answer.as_bytes()), None);
        assert_eq!(splice.is_done(), want.is_some(), "{answer}");
        assert_eq!(splice.take_id().as_deref(), want, "{answer}");
    }
}

proptest! {
    #[test]
    fn any_bytes_pass(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1..20_usize, stream in any::<bool>()) {
        let mut splice = ModelNameRewriter::new(Responses, stream, None, true);
        for chunk in bytes.chunks(size) {
            prop_assert_eq!(splice.chunk(chunk), None);
        }
    }
}
