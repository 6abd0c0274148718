use sluice::usage::{EventKind, Format, Framing, TokenUsage, UsageReading, UsageSource};

use super::tokens;

#[test]
fn kinds() {
    use EventKind::{Content, Error, Failure, Garbage, Preliminary, Terminal, UsageOnly};
    let cases = [
        ("{}", Content),
        (r#"{"choices":[]}"#, Preliminary),
        (r#"{"choices":[],"usage":null}"#, Preliminary),
        (r#"{"choices":[5]}"#, Content),
        (r#"{"choices":[{}],"usage":{}}"#, Content),
        (r#"{"choices":null,"usage":{}}"#, UsageOnly),
        (r#"{"usage":{}}"#, UsageOnly),
        (r#"{"id":"i","object":"chat.completion.chunk","created":1,"model":"m","usage":{}}"#, UsageOnly),
        (r#"{"response":"","usage":{}}"#, Content),
        (r#"{"choices":[{"delta":{}}],"usage":{}}"#, Content),
        (r#"{"choices":[],"usage":{}}"#, UsageOnly),
        (r#"{"usage":{"prompt_tokens":1},"choices":[ ]}"#, UsageOnly),
        (r#"{"error":{}}"#, Error),
        (r#"{"error":"m"}"#, Error),
        (r#"{"error":null}"#, Content),
        (r#"{"error":false}"#, Content),
        (r#"{"error":""}"#, Content),
        (r#"{"object":"error","message":"m","code":400}"#, Error),
        (r#"{"object":"chat.completion.chunk"}"#, Content),
        (r#"{"type":"error","code":"server_error","message":"m"}"#, Error),
        (r#"{"choices":[{"finish_reason":"error"}],"error":{"code":502}}"#, Error),
        (r#"{"choices":[],"usage":{},"error":{}}"#, Error),
        (r#"{"done":true}"#, Terminal),
        (r#"{"done":false}"#, Content),
        (r#"{"done":"true"}"#, Content),
        (r#"{"type":"message_stop"}"#, Terminal),
        (r#"{"type":"message_delta"}"#, Content),
        (r#"{"type":"response.completed"}"#, Terminal),
        (r#"{"type":"response.incomplete"}"#, Terminal),
        (r#"{"type":"response.failed"}"#, Failure),
        (r#"{"type":"response.created"}"#, Preliminary),
        (r#"{"type":"response.in_progress"}"#, Preliminary),
        (r#"{"type":"response.queued"}"#, Preliminary),
        (r#"{"type":"response.output_item.added"}"#, Content),
        (r#"{"type":"message_start","message":{"usage":{}}}"#, Preliminary),
        (r#"{"type":"transcript.text.done"}"#, Terminal),
        (r#"{"type":"transcript.text.delta"}"#, Content),
        (r#"{"type":"speech.audio.done"}"#, Terminal),
        (r#"{"type":"image_generation.completed"}"#, Terminal),
        (r#"{"type":"image_generation.partial_image"}"#, Content),
        (r#"{"type":"image_edit.completed"}"#, Terminal),
        (r#"{"type":"ping"}"#, Preliminary),
        (r#"{"type":"keepalive"}"#, Preliminary),
        (r#"{"type":["ping"]}"#, Content),
        (r#"{"candidates":[{"finishReason":"STOP"}]}"#, Terminal),
        (r#"{"candidates":[{},{"finishReason":"MAX_TOKENS"}]}"#, Terminal),
        (r#"{"candidates":[{"finishReason":null}]}"#, Content),
        (r#"{"candidates":[{"finishReason":""}]}"#, Content),
        (r#"{"candidates":{}}"#, Content),
        (r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, Terminal),
        (r#"{"promptFeedback":{"safetyRatings":[]}}"#, Content),
        (r#"{"promptFeedback":null}"#, Content),
        (r#"[{"candidates":[{"finishReason":"STOP"}]}]"#, Terminal),
        ("[]", Content),
        ("", Garbage),
        ("{", Garbage),
        ("{} x", Garbage),
        ("5", Garbage),
        ("null", Garbage),
        ("[DONE]", Garbage),
        ("<html>", Garbage),
    ];
    for (text, want) in cases {
        assert_eq!(UsageReading::default().read(text.as_bytes()), want, "{text}");
    }
}

#[test]
fn events() {
    use EventKind::{Content, Done, Error, Garbage, Preliminary, Terminal};
    use Framing::{Ndjson, Sse};
    let cases = [
        ("a comment", Sse, ": ping\n\n", None),
        ("a blank line", Sse, "\n", None),
        ("no data", Sse, "event: error\nretry: 5\n\n", None),
        ("empty data", Sse, "data:\ndata: \n\n", None),
        ("content", Sse, "data: {\"x\":1}\n\n", Some(Content)),
        ("null", Sse, "data: null\n\n", Some(Preliminary)),
        ("an empty object", Sse, "data: { }\n\n", Some(Preliminary)),
        ("null in a line", Ndjson, "null\n", Some(Preliminary)),
        ("garbage", Sse, "data: {\n\n", Some(Garbage)),
        ("the end", Sse, "data: [DONE]\n\n", Some(Done)),
        ("the end and white space", Sse, "data:  [DONE] \t\r\n\r\n", Some(Done)),
        ("no end", Sse, "data: [DONE] x\n\n", Some(Garbage)),
        ("an error's name", Sse, "event: error\ndata: {}\n\n", Some(Error)),
        ("an error's name after the data", Sse, "data: overloaded\nevent:error\n\n", Some(Error)),
        ("another name", Sse, "event: errors\ndata: {\"x\":1}\n\n", Some(Content)),
        ("the last name counts", Sse, "event: error\nevent: message\ndata: {\"x\":1}\n\n", Some(Content)),
        ("a ping's name", Sse, "event: ping\ndata: {}\n\n", Some(Preliminary)),
        ("a ping that says pong", Sse, "event: ping\ndata: pong\n\n", Some(Preliminary)),
        ("a ping that is an error", Sse, "event: ping\ndata: {\"error\":1}\n\n", Some(Error)),
        ("a line", Ndjson, "{\"done\":true}\r\n", Some(Terminal)),
        ("an empty line", Ndjson, " \r\n", None),
        ("no fields in lines", Ndjson, "data: {}\n", Some(Garbage)),
    ];
    for (name, framing, event, want) in cases {
        assert_eq!(UsageReading::default().read_event(framing, event.as_bytes()), want, "{name}");
    }
}

#[test]
fn finished_choices() {
    let cases: &[(&str, &[&str], bool)] = &[
        ("none", &["{}"], false),
        ("no reason yet", &[r#"{"choices":[{"index":0,"finish_reason":null}]}"#], false),
        ("an empty reason", &[r#"{"choices":[{"finish_reason":""}]}"#], false),
        ("a reason", &[r#"{"choices":[{"index":0,"finish_reason":"stop"}]}"#], true),
        ("a reason, then usage", &[r#"{"choices":[{"finish_reason":"stop"}]}"#, r#"{"choices":[],"usage":{}}"#], true),
        (
            "a reason, then a chunk without",
            &[r#"{"choices":[{"finish_reason":"stop"}]}"#, r#"{"choices":[{"finish_reason":null}]}"#],
            true,
        ),
        (
            "one of two",
            &[r#"{"choices":[{"index":0},{"index":1}]}"#, r#"{"choices":[{"index":1,"finish_reason":"stop"}]}"#],
            false,
        ),
        (
            "both",
            &[
                r#"{"choices":[{"index":0,"finish_reason":"stop"}]}"#,
                r#"{"choices":[{"index":1}]}"#,
                r#"{"choices":[{"finish_reason":"length","index":1}]}"#,
            ],
            true,
        ),
        ("absurd indices", &[r#"{"choices":[{"index":1e300,"finish_reason":"stop"},{"index":9999999}]}"#], false),
        ("garbage", &[r#"{"choices":[{"finish_reason":"stop"}]"#], false),
    ];
    for (name, texts, want) in cases {
        let mut reading = UsageReading::default();
        for text in *texts {
            reading.read(text.as_bytes());
        }
        assert_eq!(reading.is_finished(), *want, "{name}");
    }
}

#[test]
fn counts_are_set_never_added() {
    let cases: &[(&str, &[&str], TokenUsage)] = &[
        (
            "the last wins",
            &[r#"{"usage":{"prompt_tokens":5}}"#, r#"{"usage":{"prompt_tokens":3}}"#],
            tokens(3, 0, [0; 5]),
        ),
        (
            "what is not repeated stays",
            &[r#"{"usage":{"prompt_tokens":5}}"#, r#"{"usage":{"completion_tokens":3}}"#],
            tokens(5, 3, [0; 5]),
        ),
        (
            "null changes nothing",
            &[r#"{"usage":{"prompt_tokens":5}}"#, r#"{"usage":{"prompt_tokens":null}}"#, r#"{"usage":null}"#],
            tokens(5, 0, [0; 5]),
        ),
        (
            "garbage changes nothing",
            &[r#"{"usage":{"prompt_tokens":5}}"#, r#"{"usage":{"prompt_tokens":9}} x"#],
            tokens(5, 0, [0; 5]),
        ),
        (
            "negative changes nothing",
            &[r#"{"usage":{"prompt_tokens":5}}"#, r#"{"usage":{"prompt_tokens":-1}}"#],
            tokens(5, 0, [0; 5]),
        ),
        (
            "a later zero of output is a count: a refusal",
            &[r#"{"message":{"usage":{"input_tokens":5,"output_tokens":1}}}"#, r#"{"usage":{"output_tokens":0}}"#],
            tokens(5, 0, [0; 5]),
        ),
        (
            "a later zero erases nothing",
            &[r#"{"usage":{"prompt_tokens":5}}"#, r#"{"usage":{"prompt_tokens":0}}"#],
            tokens(5, 0, [0; 5]),
        ),
        (
            "sums do not overflow",
            &[r#"{"usage":{"input_tokens":18446744073709551615,"cache_read_input_tokens":5}}"#],
            tokens(u64::MAX, 0, [5, 0, 0, 0, 0]),
        ),
        (
            "of two names, the one that includes the cache",
            &[r#"{"usage":{"input_tokens":9,"prompt_tokens":5,"output_tokens":0,"completion_tokens":4}}"#],
            tokens(5, 4, [0; 5]),
        ),
        (
            "the cache beside a prompt is a part of it",
            &[r#"{"usage":{"prompt_tokens":9,"cache_read_input_tokens":5,"cache_creation_input_tokens":2}}"#],
            tokens(9, 0, [5, 2, 0, 0, 0]),
        ),
        (
            "the cache by the time it is kept",
            &[r#"{"usage":{"input_tokens":9,"cache_creation":{"ephemeral_5m_input_tokens":5,"x":1}}}"#],
            tokens(14, 0, [0, 5, 0, 0, 0]),
        ),
        (
            "a part is no larger than its whole",
            &[r#"{"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":10,"audio_tokens":1e15}}}"#],
            tokens(9, 0, [9, 0, 0, 9, 0]),
        ),
        ("details alone", &[r#"{"usage":{"prompt_tokens_details":{"cached_tokens":10}}}"#], tokens(0, 0, [0; 5])),
        (
            "an array that is cut keeps its complete answers",
            &[r#"[{"usageMetadata":{"promptTokenCount":5}},{"usageMetadata":{"promptTokenCount":6}"#],
            tokens(5, 0, [0; 5]),
        ),
        (
            "an array that is broken keeps nothing",
            &[r#"[{"usageMetadata":{"promptTokenCount":5}},}"#],
            tokens(0, 0, [0; 5]),
        ),
        (
            "details that are no objects",
            &[r#"{"usage":{"prompt_tokens":5,"prompt_tokens_details":[1],"completion_tokens_details":"x"}}"#],
            tokens(5, 0, [0; 5]),
        ),
        (
            "only the fields meant",
            &[r#"{"prompt_tokens":5,"x":{"usage":{"prompt_tokens":5}},"message":{"prompt_tokens":5}}"#],
            tokens(0, 0, [0; 5]),
        ),
    ];
    for (name, texts, want) in cases {
        let mut reading = UsageReading::default();
        for text in *texts {
            reading.read(text.as_bytes());
        }
        assert_eq!(reading.tokens(), *want, "{name}");
    }
}

#[test]
fn totals_and_labels() {
    let usage = TokenUsage { image_input: 6, image_output: 7, ..tokens(10, 20, [1, 2, 3, 4, 5]) };
    assert_eq!(usage.total(), 30);
    assert_eq!(tokens(u64::MAX, 1, [0; 5]).total(), u64::MAX);
    let labelled = usage.labelled().map(|(label, count)| format!("{label} {count}"));
    let want = [
        "input 10",
        "output 20",
        "cached_input 1",
        "cache_write_input 2",
        "reasoning_output 3",
        "audio_input 4",
        "audio_output 5",
        "image_input 6",
        "image_output 7",
    ];
    assert_eq!(labelled, want);
    assert_eq!(UsageSource::ALL.map(UsageSource::label), ["reported", "partial", "counted", "estimated", "missing"]);
}

#[test]
fn formats() {
    let all = concat!(
        r#"{"usage":{"prompt_tokens":1,"input_tokens":2,"cache_read_input_tokens":3},"#,
        r#""prompt_eval_count":4,"usageMetadata":{"promptTokenCount":5},"#,
        r#""message":{"usage":{"output_tokens":6}},"response":{"usage":{"output_tokens":7}}}"#,
    );
    let cases = [
        (Format::Auto, tokens(5, 7, [3, 0, 0, 0, 0])),
        (Format::OpenAi, tokens(1, 7, [1, 0, 0, 0, 0])),
        (Format::Anthropic, tokens(5, 6, [3, 0, 0, 0, 0])),
        (Format::Ollama, tokens(4, 0, [0; 5])),
        (Format::Gemini, tokens(5, 0, [0; 5])),
        (Format::Converse, tokens(5, 0, [3, 0, 0, 0, 0])),
    ];
    for (format, want) in cases {
        let mut reading = UsageReading::of(format);
        reading.read(all.as_bytes());
        assert_eq!(reading.tokens(), want, "{format:?}");
        assert_eq!(Format::parse(format.name()), Some(format));
        assert_eq!(UsageReading::of(format).read(br#"{"error":{}}"#), EventKind::Error, "{format:?}");
    }
    let openai = UsageReading::of(Format::OpenAi).read(br#"{"done":true,"candidates":[{"finishReason":"STOP"}]}"#);
    assert_eq!(openai, EventKind::Content, "another format's end is none");
}
