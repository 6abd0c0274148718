//! The guard's services, and lists of tools: what is asked in several calls, and what becomes of a request.

use serde_json::{json, Value};

use super::envoy::{chat, completion, configuration, Call, Envoy, Step, KEY};
use super::requests::metric;
use super::{host, in_new_vm};
use crate::registry;

fn started(check: &Value) -> Envoy {
    let mut settings = configuration();
    settings["guard"] = json!({"checks": [check], "cache": {"entries": 0}});
    let envoy = Envoy::start("auth+guard+router+usage", &settings).unwrap();
    host(|host| host.service = Some("service".to_owned()));
    envoy
}

fn classification() -> Value {
    json!({"name": "x", "api": "text_classification", "server": "tei", "cluster": "service", "thresholds": {"M": 0.5},
        "batch_size": 2, "pieces": {"characters": 50, "overlap": 10}, "phase": ["request"], "action": "block",
        "on_failure": "deny"})
}

fn guardrail(action: &str) -> Value {
    json!({"name": "x", "api": "generic_guardrail_api", "cluster": "service", "phase": ["request"], "action": action,
        "on_failure": "deny"})
}

fn ask(envoy: &Envoy, body: &[u8]) -> (Call, Step) {
    let (call, step) = envoy.begin("/v1/chat/completions", KEY, &[]);
    assert!(matches!(step, Step::Held), "the body is awaited: {step:?}");
    (call, envoy.body(call, body, true))
}

/// The scores of as many texts as the oldest call has.
fn scores(envoy: &Envoy, score: f64) -> Vec<u8> {
    let asked: Value = serde_json::from_str(&envoy.callout().unwrap().body).unwrap();
    let each = json!([{"label": "M", "score": score}, {"label": "B", "score": 1.0 - score}]);
    json!(vec![each; asked["inputs"].as_array().unwrap().len()]).to_string().into_bytes()
}

/// A text in five pieces is asked in three calls: each of them may decide.
#[test]
fn several_calls() {
    for decisive in 0..4 {
        in_new_vm(|| {
            let envoy = started(&classification());
            let text: String = (0..210).map(|number| char::from(b'a' + number % 26)).collect();
            let (call, step) = ask(&envoy, &chat(&text, false));
            assert!(matches!(step, Step::Held), "{step:?}");
            assert_eq!(host(|host| host.callouts.len()), 3);
            for answered in 0..3 {
                assert!(envoy.reply(call).is_none() && !envoy.goes_on(call));
                let score = if answered == decisive { 0.9 } else { 0.1 };
                envoy.answer_callout(200, &scores(&envoy, score));
                if answered == decisive {
                    break;
                }
            }
            match envoy.reply(call) {
                Some(answer) => {
                    assert!(
                        decisive < 3 && answer.status == 400 && answer.text().contains("`x`: M."),
                        "{}",
                        answer.told()
                    )
                }
                None => assert!(decisive == 3 && envoy.goes_on(call)),
            }
            // what comes later changes nothing
            while envoy.callout().is_some() {
                envoy.answer_callout(200, &scores(&envoy, 0.9));
            }
            envoy.end(call);
            assert!(registry::is_idle());
            assert_eq!(metric("llm_guard_in_flight"), 0);
        });
    }
}

/// One call that fails is enough.
#[test]
fn calls_that_fail() {
    let answers: [(u16, &[u8]); 5] = [
        (0, b""),
        (413, br#"{"error":"too many tokens"}"#),
        (200, b"[]"),
        (200, b"{}"),
        (200, br#"[[{"label":"B","score":1}]]"#),
    ];
    for (status, body) in answers {
        in_new_vm(|| {
            let envoy = started(&classification());
            let (call, _) = ask(&envoy, &chat(&"a".repeat(120), false));
            envoy.answer_callout(200, &scores(&envoy, 0.1));
            envoy.answer_callout(status, body);
            let answer = envoy.reply(call).unwrap();
            assert_eq!(answer.status, 503, "{}", answer.told());
            envoy.end(call);
        });
    }
}

#[test]
fn changed_texts_reach_the_model() {
    in_new_vm(|| {
        let envoy = started(&guardrail("mask"));
        let (call, _) = ask(&envoy, &chat("my name is \"Ann\"", false));
        let asked: Value = serde_json::from_str(&envoy.callout().unwrap().body).unwrap();
        assert_eq!((asked["input_type"].as_str(), &asked["texts"]), (Some("request"), &json!(["my name is \"Ann\""])));
        let answer = json!({"action": "GUARDRAIL_INTERVENED", "texts": ["my name is \"<PERSON>\""]});
        envoy.answer_callout(200, answer.to_string().as_bytes());
        let attempt = envoy.attempt(call).unwrap();
        let body: Value = serde_json::from_slice(&attempt.body).unwrap();
        assert_eq!(body["messages"][0]["content"], "my name is \"<PERSON>\"");
        envoy.respond(&attempt, 200, "application/json");
        envoy.send(&attempt, &completion("hi"), true);
        envoy.end_attempt(&attempt);
        envoy.end(call);
    });
}

#[test]
fn what_a_guardrail_says() {
    let cases = [
        ("mask", json!({"action": "BLOCKED", "blocked_reason": "Ann"}), 400),
        ("block", json!({"action": "GUARDRAIL_INTERVENED", "texts": ["x"]}), 400),
        ("mask", json!({"action": "GUARDRAIL_INTERVENED", "texts": []}), 503),
        ("mask", json!({"action": "GUARDRAIL_INTERVENED", "texts": ["x", "y"]}), 503),
        ("flag", json!({"action": "PERHAPS"}), 503),
    ];
    for (action, said, status) in cases {
        in_new_vm(|| {
            let envoy = started(&guardrail(action));
            let (call, _) = ask(&envoy, &chat("I am Ann", false));
            envoy.answer_callout(200, said.to_string().as_bytes());
            let answer = envoy.reply(call).unwrap();
            assert!(answer.status == status && !answer.text().contains("Ann"), "{said}: {}", answer.told());
            assert!(!host(|host| host.log.join("\n")).contains("Ann"), "{said}");
            envoy.end(call);
        });
    }
}

#[test]
fn lists_of_tools() {
    in_new_vm(|| {
        let mut settings = configuration();
        settings["auth"]["keys"][0]["tools"] = json!({"allow": ["get_*"]});
        settings["auth"]["tools"] = json!({"deny": ["get_secret"]});
        let envoy = Envoy::start("auth+router+usage", &settings).unwrap();
        let body = |name: &str| {
            let tools = json!([{"type": "function", "function": {"name": name}}]);
            json!({"model": "gpt-4o", "messages": [], "tools": tools}).to_string().into_bytes()
        };
        assert_eq!(envoy.chat(&body("get_time"), |_| (200, completion("yes"))).status, 200);
        for name in ["set_time", "get_secret"] {
            let answer = envoy.chat(&body(name), |_| (200, completion("yes")));
            assert_eq!(answer.status, 403);
            assert!(answer.text().contains("tool_not_allowed") && answer.text().contains("tools[0].function.name"));
        }
        assert!(registry::is_idle());
    });
}
