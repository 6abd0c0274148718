use sluice::usage::{EventKind, Reading, Source, TokenUsage};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::tokens;

#[test]
fn kinds() {
    use EventKind::{Content, Error, Garbage, Terminal, UsageOnly};
    let cases = [
        ("{}", Content),
        (r#"{"choices":[]}"#, Content),
        (r#"{"choices":[],"usage":null}"#, Content),
        (r#"{"choices":[{}],"usage":{}}"#, Content),
        (r#"{"choices":null,"usage":{}}"#, Content),
        (r#"{"usage":{}}"#, Content),
        (r#"{"choices":[],"usage":{}}"#, UsageOnly),
        (r#"{"usage":{"prompt_tokens":1},"choices":[ ]}"#, UsageOnly),
        (r#"{"error":{}}"#, Error),
        (r#"{"error":"m"}"#, Error),
        (r#"{"error":null}"#, Content),
        (r#"{"choices":[],"usage":{},"error":{}}"#, Error),
        (r#"{"done":true}"#, Terminal),
        (r#"{"done":false}"#, Content),
        (r#"{"done":"true"}"#, Content),
        (r#"{"type":"message_stop"}"#, Terminal),
        (r#"{"type":"message_delta"}"#, Content),
        (r#"{"type":"response.completed"}"#, Terminal),
        (r#"{"type":"response.incomplete"}"#, Terminal),
        (r#"{"type":"response.failed"}"#, Terminal),
        (r#"{"type":"response.created"}"#, Content),
        (r#"{"candidates":[{"finishReason":"STOP"}]}"#, Terminal),
        (r#"{"candidates":[{},{"finishReason":"MAX_TOKENS"}]}"#, Terminal),
        (r#"{"candidates":[{"finishReason":null}]}"#, Content),
        (r#"{"candidates":{}}"#, Content),
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
        assert_eq!(Reading::default().read(text.as_bytes()), want, "{text}");
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
            "zero is a count",
            &[r#"{"usage":{"prompt_tokens":5}}"#, r#"{"usage":{"prompt_tokens":0}}"#],
            tokens(0, 0, [0; 5]),
        ),
        (
            "sums do not overflow",
            &[r#"{"usage":{"input_tokens":18446744073709551615,"cache_read_input_tokens":5}}"#],
            tokens(u64::MAX, 0, [5, 0, 0, 0, 0]),
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
        let mut reading = Reading::default();
        for text in *texts {
            reading.read(text.as_bytes());
        }
        assert_eq!(reading.tokens(), *want, "{name}");
    }
}

#[test]
fn totals_and_labels() {
    let usage = tokens(10, 20, [1, 2, 3, 4, 5]);
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
    ];
    assert_eq!(labelled, want);
    let sources = [Source::Reported, Source::Partial, Source::Missing].map(Source::label);
    assert_eq!(sources, ["reported", "partial", "missing"]);
}
