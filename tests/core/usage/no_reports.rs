//! Usage that stands in an answer, and is no report of it.

use sluice::usage::{complete, EstimateInput, Framing, Meter, UsageSource};

/// Servers that do not count, and write zeros all the same.
#[test]
fn zeros_are_no_report_of_a_text() {
    const ZEROS: &str = r#""usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;
    let known = |unreported| EstimateInput { prompt: Some(40), unreported, encoded: false };
    let chat =
        |text: &str| format!(r#"{{"choices":[{{"message":{{"content":"{text}"}},"finish_reason":"stop"}}],{ZEROS}}}"#);
    let stream = |text: &str| {
        let piece = format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}},"finish_reason":"stop"}}],{ZEROS}}}"#);
        format!("data: {piece}\n\ndata: {{\"choices\":[],{ZEROS}}}\n\ndata: [DONE]\n\n")
    };
    let line = |text: &str| {
        format!("{{\"message\":{{\"content\":\"{text}\"}},\"done\":true,\"prompt_eval_count\":0,\"eval_count\":0}}\n")
    };
    let gemini = |text: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}},"finishReason":"STOP"}}],"usageMetadata":{{"promptTokenCount":0,"totalTokenCount":0}}}}"#
        )
    };
    let text = "one two three four five six";
    for (framing, answer, silence) in [
        (Framing::Json, chat(text), chat("")),
        (Framing::Sse, stream(text), stream("")),
        (Framing::Ndjson, line(text), line("")),
        (Framing::Json, gemini(text), gemini("")),
    ] {
        for (body, want) in [(answer, (10, 7, UsageSource::Estimated)), (silence, (0, 0, UsageSource::Reported))] {
            let mut meter = Meter::new(framing, false);
            meter.chunk(body.as_bytes(), true);
            let (tokens, source) = complete(meter.finish(), known(meter.unreported()));
            assert_eq!((tokens.input, tokens.output, source), want, "{body}");
        }
    }
}

/// Servers that report their usage as they begin, and what they say in the end: the output that is charged then.
#[test]
fn what_is_reported_before_there_is_an_answer() {
    const START: &str = r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}}"#;
    const CREATED: &str = r#"{"type":"response.created","response":{"usage":{"input_tokens":10,"output_tokens":1}}}"#;
    const DELTA: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"one two three four five six"}}"#;
    const TEXT: &str = r#"{"type":"response.output_text.delta","delta":"one two three four five six"}"#;
    let stop = |usage: &str| [r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"}"#, usage, "}"].concat();
    let done = |usage: &str| format!(r#"{{"type":"response.completed","response":{{"usage":{usage}}}}}"#);
    let end = r#"{"type":"message_stop"}"#.to_owned();
    let known = |unreported| EstimateInput { prompt: Some(40), unreported, encoded: false };
    for (name, events, want) in [
        ("in the end", vec![START.into(), DELTA.into(), stop(r#","usage":{"output_tokens":9}"#), end.clone()], 9),
        ("none", vec![START.into(), DELTA.into(), stop(r#","usage":{"output_tokens":0}"#), end.clone()], 0),
        ("no more", vec![START.into(), DELTA.into(), stop(""), end.clone()], 7),
        ("null", vec![START.into(), DELTA.into(), stop(r#","usage":null"#), end.clone()], 7),
        ("null tokens", vec![START.into(), DELTA.into(), stop(r#","usage":{"output_tokens":null}"#), end.clone()], 7),
        ("an empty object", vec![START.into(), DELTA.into(), stop(r#","usage":{}"#), end.clone()], 7),
        ("the input again", vec![START.into(), DELTA.into(), stop(r#","usage":{"input_tokens":10}"#), end], 7),
        ("Responses", vec![CREATED.into(), TEXT.into(), done(r#"{"input_tokens":10,"output_tokens":9}"#)], 9),
        ("Responses, null", vec![CREATED.into(), TEXT.into(), done("null")], 7),
    ] {
        let mut meter = Meter::new(Framing::Sse, false);
        let stream: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        meter.chunk(stream.as_bytes(), true);
        let (tokens, source) = complete(meter.finish(), known(meter.unreported()));
        let told = if want == 7 { UsageSource::Estimated } else { UsageSource::Reported };
        assert_eq!((tokens.input, tokens.output, source), (10, want, told), "{name}");
    }
}
