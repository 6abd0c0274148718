//! What traces are told of an answer, in every dialect and at every cut.

use sluice::usage::{Framing, ResponseDetails};

const CASES: [(&str, Framing, &str, Option<&str>, &str); 12] = [
    ("chat", Framing::Json, r#"{"id":"c-1","choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]}"#, Some("c-1"), "stop,length"),
    (
        "chat, streamed",
        Framing::Sse,
        "data: {\"id\":\"c-2\",\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\r\n\r\n\
         data: {\"id\":\"c-2\",\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\r\n\r\ndata: [DONE]\r\n\r\n",
        Some("c-2"),
        "tool_calls",
    ),
    ("messages", Framing::Json, r#"{"id":"msg_1","type":"message","stop_reason":"end_turn"}"#, Some("msg_1"), "end_turn"),
    (
        "messages, streamed",
        Framing::Sse,
        "event: message_start\ndata: {\"message\":{\"id\":\"msg_2\",\"stop_reason\":null}}\n\n\
         event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"max_tokens\"}}\n\n",
        Some("msg_2"),
        "max_tokens",
    ),
    (
        "responses, streamed",
        Framing::Sse,
        "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\"}}\n\n\
         data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}\n\n\
         data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\"}}\n\n",
        Some("resp_1"),
        "completed",
    ),
    ("gemini", Framing::Json, r#"[{"responseId":"g","candidates":[{"finishReason":"STOP"}]}]"#, Some("g"), "STOP"),
    ("ollama", Framing::Ndjson, "{\"message\":{\"content\":\"a\"}}\n{\"done\":true,\"done_reason\":\"stop\"}\n", None, "stop"),
    ("converse", Framing::Json, r#"{"stopReason":"end_turn"}"#, None, "end_turn"),
    ("embeddings", Framing::Json, r#"{"data":[{"id":"no"}]}"#, None, ""),
    ("broken", Framing::Json, r#"{"id":"c-3","choices":[{"finish_"#, Some("c-3"), ""),
    ("no text", Framing::Json, r#"{"id":7,"choices":[{"finish_reason":{}}]}"#, None, ""),
    ("no JSON", Framing::Sse, "data: <html>\n\n: ping\n\n", None, ""),
];

#[test]
fn ids_and_reasons() {
    for (name, framing, answer, id, reasons) in CASES {
        for cut in 0..=answer.len() {
            let mut details = ResponseDetails::new(framing);
            let (first, second) = answer.as_bytes().split_at(cut);
            details.chunk(first, false);
            details.chunk(second, true);
            assert_eq!((details.id(), details.finish_reasons().as_str()), (id, reasons), "{name}, cut at {cut}");
        }
    }
}

#[test]
fn large_events_are_skipped() {
    let mut details = ResponseDetails::new(Framing::Sse);
    details.chunk(format!("data: {{\"id\":\"{}\"}}\n\n", "x".repeat(70_000)).as_bytes(), false);
    details.chunk(b"data: {\"id\":\"c\",\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n", true);
    assert_eq!((details.id(), details.finish_reasons().as_str()), (Some("c"), "stop"));
    let mut many = ResponseDetails::new(Framing::Json);
    let choice = r#"{"finish_reason":"stop"},"#.repeat(100);
    many.chunk(format!(r#"{{"choices":[{choice}{{"finish_reason":"{}"}}]}}"#, "x".repeat(200)).as_bytes(), true);
    assert_eq!(many.finish_reasons(), ["stop"; 8].join(","));
}
