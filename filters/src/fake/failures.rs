//! Every kind of failure before an answer begins, at one or two of three targets: the client only sees the last target's
//! answer, and every attempt is counted once.

use std::time::Duration;

use serde_json::json;

use super::envoy::{chat, completion, configuration, Attempt, Envoy, Step, KEY};
use super::requests::metric;
use super::{in_new_vm, value};
use crate::registry;

const SSE: &str = "text/event-stream";
const JSON: &str = "application/json";
const CLUSTERS: [&str; 3] = ["one", "two", "three"];
const TOKENS: usize = 7;

/// The faulty target's behaviour.
#[derive(Clone, Copy)]
enum Fault {
    /// Status, content type and body of its answer, and the chunks' size.
    Answer(u16, &'static str, &'static str, usize),
    /// No answer; Envoy's reason if it could not connect.
    Silence(Option<&'static str>),
}

use Fault::{Answer, Silence};

const ERROR: &str = r#"{"error":{"message":"Overloaded"}}"#;
const EVENT: &str = "data: {\"error\":{\"message\":\"Overloaded\"}}\n\n";

/// A failure, whether it is one of a JSON answer and of a stream, and the outcome of the attempt.
const FAULTS: &[(&str, Fault, [bool; 2], &str)] = &[
    ("500", Answer(500, JSON, "{}", 99), [true, true], "server_error"),
    ("502, a web page", Answer(502, "text/html", "<html>", 99), [true, true], "server_error"),
    ("503", Answer(503, JSON, ERROR, 5), [true, true], "server_error"),
    ("503 without a body", Answer(503, JSON, "", 99), [true, true], "server_error"),
    ("529", Answer(529, JSON, ERROR, 99), [true, true], "server_error"),
    ("429", Answer(429, JSON, ERROR, 99), [true, true], "rate_limited"),
    ("408", Answer(408, JSON, ERROR, 99), [true, true], "try_again"),
    ("401", Answer(401, JSON, ERROR, 99), [true, true], "credential"),
    ("a redirect", Answer(302, JSON, "", 99), [true, true], "bad_response"),
    ("an error with status 200", Answer(200, JSON, ERROR, 99), [true, false], "bad_response"),
    ("half a document", Answer(200, JSON, r#"{"choices":["#, 3), [true, false], "bad_response"),
    ("nothing", Answer(200, JSON, "", 99), [true, false], "bad_response"),
    ("an error event", Answer(200, SSE, EVENT, 99), [false, true], "bad_stream"),
    ("an error event in pieces", Answer(200, SSE, EVENT, 1), [false, true], "bad_stream"),
    ("an empty stream", Answer(200, SSE, "", 99), [false, true], "bad_stream"),
    ("garbage", Answer(200, SSE, "data: oops\n\n", 99), [false, true], "bad_stream"),
    ("JSON for a stream", Answer(200, JSON, ERROR, 99), [false, true], "bad_stream"),
    ("a reset", Silence(None), [true, true], "reset"),
    ("no connection", Silence(Some("delayed connect error: Connection refused")), [true, true], "connect_failure"),
];

#[test]
fn the_last_target_answers() {
    for (name, fault, kinds, outcome) in FAULTS {
        for stream in [false, true] {
            for faulty in [1, 2] {
                for text in ["hello", &"long ".repeat(20_000)] {
                    if kinds[usize::from(stream)] {
                        in_new_vm(|| answered_by_the_last(name, *fault, stream, faulty, text, outcome));
                    }
                }
            }
        }
    }
}

/// The same configuration with three targets, none of which leaves the pool.
fn started() -> Envoy {
    let mut settings = configuration();
    settings["router"]["upstreams"]["three"] = json!({"cluster": "three"});
    let third = json!({"upstream": "three", "model": "gpt-three"});
    settings["router"]["models"][0]["targets"].as_array_mut().unwrap().push(third);
    for (tier, target) in settings["router"]["models"][0]["targets"].as_array_mut().unwrap().iter_mut().enumerate() {
        target["tier"] = tier.into();
    }
    settings["router"]["ejection"] = json!({"consecutive_failures": 1000});
    Envoy::start("auth+router+usage", &settings).unwrap()
}

fn answered_by_the_last(name: &str, fault: Fault, stream: bool, faulty: usize, text: &str, outcome: &str) {
    let case = format!("{name}, stream: {stream}, faulty: {faulty}, {} bytes", text.len());
    let envoy = started();
    let (call, _) = envoy.begin("/v1/chat/completions", KEY, &[]);
    let step = envoy.body(call, &chat(text, stream), true);
    assert!(matches!(step, Step::Passed), "{case}: {step:?}");
    for cluster in &CLUSTERS[..faulty] {
        let attempt = envoy.attempt(call).unwrap_or_else(|answer| panic!("{case}: {}", answer.told()));
        assert_eq!(&attempt.cluster, cluster, "{case}");
        fail(&envoy, &attempt, fault, &case);
    }
    let last = envoy.attempt(call).unwrap_or_else(|answer| panic!("{case}: {}", answer.told()));
    assert_eq!(last.cluster, CLUSTERS[faulty], "{case}");
    let own = (faulty == 1).then_some("Bearer key-of-two");
    assert_eq!(value(&last.headers, "authorization"), own, "{case}: another target's key");
    let sent = String::from_utf8_lossy(&last.body);
    assert!(sent.contains(text) && sent.contains(&format!("gpt-{}", CLUSTERS[faulty])), "{case}: another body");
    let length = last.body.len().to_string();
    assert_eq!(value(&last.headers, "content-length"), Some(length.as_str()), "{case}: another length");
    let (content_type, body) = if stream { (SSE, events()) } else { (JSON, completion("from the last")) };
    envoy.respond(&last, 200, content_type);
    let Step::Answered(answer) = envoy.send(&last, &body, true) else { panic!("{case}: no answer") };
    assert_eq!((answer.status, answer.header("x-sluice-cluster")), (200, Some(CLUSTERS[faulty])), "{case}");
    assert!(answer.text().contains("from the last"), "{case}: {}", answer.told());
    envoy.end_attempt(&last);
    envoy.end(call);
    assert!(registry::is_idle(), "{case}");
    envoy.wait(Duration::from_secs(1));
    assert_eq!(metric("llm_in_flight"), 0, "{case}");
    for cluster in &CLUSTERS[..faulty] {
        assert_eq!(metric(&format!("llm_attempts_total;cluster={cluster};outcome={outcome}")), 1, "{case}: {cluster}");
    }
    assert_eq!(metric("llm_attempts_total"), faulty as i64 + 1, "{case}: attempts");
    assert_eq!(metric("llm_requests_total"), 1, "{case}: requests");
    assert_eq!(metric("type=output"), TOKENS as i64, "{case}: tokens");
}

/// The attempt fails, and Envoy's router is asked for another one.
fn fail(envoy: &Envoy, attempt: &Attempt, fault: Fault, case: &str) {
    match fault {
        Silence(reason) => envoy.lose(attempt, reason),
        Answer(status, content_type, body, size) => {
            let mut step = envoy.respond(attempt, status, content_type);
            let mut chunks = body.as_bytes().chunks(size).peekable();
            while matches!(step, Step::Held) {
                let chunk = chunks.next().unwrap_or_default();
                step = envoy.send(attempt, chunk, chunks.peek().is_none());
            }
            assert!(matches!(step, Step::Retried), "{case}: {step:?}");
        }
    }
}

fn events() -> Vec<u8> {
    let delta = json!({"choices": [{"index": 0, "delta": {"content": "from the last"}, "finish_reason": "stop"}]});
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": TOKENS, "total_tokens": 12}});
    format!("data: {delta}\n\ndata: {usage}\n\ndata: [DONE]\n\n").into_bytes()
}
