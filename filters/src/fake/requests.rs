//! Ordinary requests, through the exports that Envoy calls.

use std::time::Duration;

use serde_json::{json, Value};

use super::envoy::{chat, completion, configuration, Envoy, Step, KEY};
use super::{host, in_new_vm, value};
use crate::registry;

pub(super) fn started() -> Envoy {
    Envoy::start("auth+router+usage", &configuration()).unwrap()
}

/// The sum of the metrics whose names contain this.
pub(super) fn metric(part: &str) -> i64 {
    host(|host| host.metrics.iter().filter(|(name, _)| name.contains(part)).map(|(_, value)| value).sum())
}

#[test]
fn an_attempt_gets_its_targets_key_model_and_path() {
    in_new_vm(|| {
        let envoy = started();
        let answer = envoy.chat(&chat("hello", false), |attempt| {
            assert_eq!(attempt.cluster, "one");
            assert_eq!(value(&attempt.headers, "authorization"), Some("Bearer key-of-one"));
            let body: Value = serde_json::from_slice(&attempt.body).unwrap();
            assert_eq!(body["model"], "gpt-one");
            (200, completion("hi"))
        });
        assert_eq!((answer.status, answer.text()), (200, std::str::from_utf8(&completion("hi")).unwrap()));
        assert!(registry::is_idle());
        envoy.wait(Duration::from_secs(1));
        assert_eq!(metric("type=output"), 7);
        assert_eq!(metric("llm_in_flight"), 0);
    });
}

#[test]
fn a_failure_is_retried_at_another_cluster_with_its_own_key() {
    in_new_vm(|| {
        let envoy = started();
        let answer = envoy.chat(&chat("hello", false), |attempt| match attempt.cluster.as_str() {
            "one" => (500, b"{}".to_vec()),
            _ => {
                assert_eq!(value(&attempt.headers, "authorization"), Some("Bearer key-of-two"));
                assert!(!String::from_utf8_lossy(&attempt.body).contains("gpt-one"));
                (200, completion("from two"))
            }
        });
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-sluice-cluster"), Some("two"));
        assert!(answer.text().contains("from two"));
        assert!(registry::is_idle());
    });
}

#[test]
fn when_all_fail_the_client_is_told() {
    in_new_vm(|| {
        let envoy = started();
        let answer =
            envoy.chat(&chat("hello", false), |_| (500, json!({"error": {"message": "broken"}}).to_string().into()));
        assert!(answer.status >= 500, "{answer:?}");
        assert!(registry::is_idle());
    });
}

#[test]
fn a_stream_passes_event_by_event() {
    in_new_vm(|| {
        let envoy = started();
        let (call, _) = envoy.begin("/v1/chat/completions", KEY, &[]);
        assert!(matches!(envoy.body(call, &chat("hello", true), true), Step::Passed));
        let attempt = envoy.attempt(call).unwrap();
        assert!(String::from_utf8_lossy(&attempt.body).contains("include_usage"));
        assert!(matches!(envoy.respond(&attempt, 200, "text/event-stream"), Step::Held));
        let delta =
            |text: &str| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
        let mut seen = Vec::new();
        for part in [delta("a"), delta("b"), "data: [DONE]\n\n".to_owned()] {
            let end = part.contains("DONE");
            match envoy.send(&attempt, part.as_bytes(), end) {
                Step::Answered(answer) => seen.extend(answer.body),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(String::from_utf8(seen).unwrap(), delta("a") + &delta("b") + "data: [DONE]\n\n");
        envoy.end_attempt(&attempt);
        envoy.end(call);
        assert!(registry::is_idle());
    });
}

#[test]
fn a_wrong_key_is_answered_at_the_headers() {
    in_new_vm(|| {
        let envoy = started();
        let (call, step) = envoy.begin("/v1/chat/completions", "sk-wrong", &[]);
        // the answer waits for the whole body: a client that is still sending might not read it earlier
        let step = if matches!(step, Step::Held) { envoy.body(call, &chat("hello", false), true) } else { step };
        let Step::Answered(answer) = step else { panic!("{step:?}") };
        assert_eq!(answer.status, 401);
        envoy.end(call);
        assert!(registry::is_idle());
    });
}

#[test]
fn a_wrong_configuration_is_refused_with_its_path() {
    in_new_vm(|| {
        let mut wrong = configuration();
        wrong["router"]["models"][0]["targets"][0]["upstream"] = "three".into();
        let refused = Envoy::start("auth+router+usage", &wrong).err().unwrap();
        assert!(refused.contains("models[0].targets[0].upstream"), "{refused}");
    });
}
