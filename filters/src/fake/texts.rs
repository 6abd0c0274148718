//! Tests of the prompt library and the text endpoints.

use std::time::Duration;

use serde_json::{json, Value};

use super::envoy::{completion, configuration, Call, Envoy, Step, KEY};
use super::{host, in_new_vm, value, Answer, Callout};
use crate::registry;

const TRANSLATE: &str = "/builtin/translate";

fn settings() -> Value {
    let mut settings = configuration();
    settings["router"]["prompts"] = json!({"greeting": {"en": "Greet {{ name }}."}});
    settings["router"]["builtin"] = json!({"model": "gpt-4o", "parallel": 2});
    settings
}

fn started(root_id: &str, settings: &Value) -> Envoy {
    let envoy = Envoy::start(root_id, settings).unwrap();
    host(|host| host.service = Some("sluice-self".to_owned()));
    envoy
}

fn ask(envoy: &Envoy, path: &str, body: &Value, further: &[(&str, &str)]) -> (Call, Step) {
    let body = body.to_string();
    let length = body.len().to_string();
    let headers: Vec<_> = [("content-length", length.as_str())].into_iter().chain(further.iter().copied()).collect();
    let (call, step) = envoy.begin(path, KEY, &headers);
    match step {
        Step::Held => (call, envoy.body(call, body.as_bytes(), true)),
        other => (call, other),
    }
}

/// Serves a request that has passed, with this answer; returns what the model server was asked.
fn serve(envoy: &Envoy, call: Call, says: &str) -> (Value, Answer) {
    let attempt = envoy.attempt(call).unwrap();
    assert_eq!(value(&attempt.headers, ":path"), Some("/v1/chat/completions"));
    let length = value(&attempt.headers, "content-length").unwrap();
    assert_eq!(length, attempt.body.len().to_string());
    let asked = serde_json::from_slice(&attempt.body).unwrap();
    envoy.respond(&attempt, 200, "application/json");
    let Step::Answered(answer) = envoy.send(&attempt, &completion(says), true) else { panic!() };
    envoy.end_attempt(&attempt);
    envoy.end(call);
    (asked, answer)
}

fn refused((call, step): (Call, Step), envoy: &Envoy) -> (u16, Value) {
    let Step::Answered(answer) = step else { panic!("{step:?}") };
    envoy.end(call);
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[test]
fn a_prompt_of_the_library_stands_before_the_messages() {
    in_new_vm(|| {
        let envoy = started("auth+router+usage", &settings());
        let user = json!({"role": "user", "content": "Hi"});
        let body = json!({"model": "gpt-4o", "messages": [user], "prompt": {"name": "greeting", "variables": {"name": "Ada"}}});
        let (call, step) = ask(&envoy, "/v1/chat/completions", &body, &[]);
        assert!(matches!(step, Step::Passed), "{step:?}");
        let (asked, answer) = serve(&envoy, call, "Hello Ada");
        assert_eq!(asked["messages"], json!([{"role": "system", "content": "Greet Ada."}, user]));
        assert_eq!((asked.get("prompt"), answer.body), (None, completion("Hello Ada")));

        let unknown = json!({"model": "gpt-4o", "prompt": {"name": "other"}});
        let (status, error) = refused(ask(&envoy, "/v1/chat/completions", &unknown, &[]), &envoy);
        assert_eq!((status, &error["error"]["param"]), (400, &json!("prompt.name")));
        assert!(registry::is_idle());
    });
}

#[test]
fn without_a_library_a_prompt_goes_on() {
    in_new_vm(|| {
        let envoy = started("auth+router+usage", &configuration());
        let body = json!({"model": "gpt-4o", "messages": [], "prompt": {"name": "greeting"}});
        let (call, _) = ask(&envoy, "/v1/chat/completions", &body, &[]);
        let (asked, _) = serve(&envoy, call, "Hello");
        assert_eq!(asked["prompt"], body["prompt"]);
        let (status, _) = refused(ask(&envoy, TRANSLATE, &json!({"texts": ["a"]}), &[]), &envoy);
        assert_eq!(status, 404);
    });
}

#[test]
fn one_text_becomes_a_chat_request_and_its_answer_the_endpoints() {
    for root_id in ["auth+router+usage", "router+usage", "auth+guard+router+usage"] {
        in_new_vm(|| {
            let mut settings = settings();
            if root_id.contains("guard") {
                settings["guard"] =
                    json!({"checks": [{"name": "pii", "api": "patterns", "phase": ["request"], "action": "restore"}]});
            }
            if !root_id.contains("auth") {
                settings.as_object_mut().unwrap().remove("auth");
            }
            let envoy = started(root_id, &settings);
            let (call, step) = ask(&envoy, TRANSLATE, &json!({"texts": ["An alice@example.com"]}), &[]);
            assert!(matches!(step, Step::Passed), "{root_id}: {step:?}");
            let text = if root_id.contains("guard") { "<EMAIL_ADDRESS_1>" } else { "alice@example.com" };
            let (asked, answer) = serve(&envoy, call, &format!("To {text}"));
            assert_eq!(asked["messages"][1]["content"], format!("An {text}"));
            assert_eq!((answer.status, answer.header("content-length")), (200, None), "{}", answer.told());
            let told: Value = serde_json::from_slice(&answer.body).unwrap();
            let want = json!([{"original": "An alice@example.com", "translated": "To alice@example.com"}]);
            assert_eq!(told["response"], want, "{root_id}");
            assert!(registry::is_idle());
        });
    }
}

#[test]
fn errors_and_streams_pass_as_they_are() {
    in_new_vm(|| {
        let envoy = started("auth+router+usage", &settings());
        let (call, _) = ask(&envoy, TRANSLATE, &json!({"texts": ["a"], "stream": true}), &[]);
        let attempt = envoy.attempt(call).unwrap();
        envoy.respond(&attempt, 200, "text/event-stream");
        let event = format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": "x"}}]}));
        for part in [event.as_str(), "data: [DONE]\n\n"] {
            let Step::Answered(answer) = envoy.send(&attempt, part.as_bytes(), part.contains("DONE")) else { panic!() };
            assert_eq!(answer.text(), part);
        }
        envoy.end_attempt(&attempt);
        envoy.end(call);

        let (call, _) = ask(&envoy, TRANSLATE, &json!({"texts": ["a"]}), &[]);
        let attempt = envoy.attempt(call).unwrap();
        envoy.respond(&attempt, 400, "application/json");
        let error = json!({"error": {"message": "no"}}).to_string();
        let Step::Answered(answer) = envoy.send(&attempt, error.as_bytes(), true) else { panic!() };
        assert_eq!((answer.status, answer.text()), (400, error.as_str()));
        envoy.end_attempt(&attempt);
        envoy.end(call);
        assert!(registry::is_idle());
    });
}

/// A part's answer.
fn translated(callout: &Callout) -> String {
    let asked: Value = serde_json::from_str(&callout.body).unwrap();
    json!({"response": [{"original": asked["texts"][0], "translated": "x"}], "generation_time": 1}).to_string()
}

#[test]
fn several_texts_are_requests_of_the_gateway_to_itself() {
    in_new_vm(|| {
        let envoy = started("auth+router+usage", &settings());
        let (call, step) = ask(&envoy, TRANSLATE, &json!({"texts": ["a", "b", "c"]}), &[]);
        assert!(matches!(step, Step::Held), "{step:?}");
        let open = || host(|host| host.callouts.len());
        assert_eq!(open(), 2, "`parallel`");
        let first = envoy.callout().unwrap();
        assert_eq!(first.line(), "POST /builtin/translate");
        assert_eq!(value(&first.headers, "authorization"), None);
        envoy.answer_callout(200, translated(&first).as_bytes());
        assert_eq!(open(), 2, "the next one has been sent");
        envoy.answer_callout(0, b"");
        let last = envoy.callout().unwrap();
        envoy.answer_callout(200, translated(&last).as_bytes());
        let answer = envoy.reply(call).expect("the client is answered");
        envoy.end(call);
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        let response = told["response"].as_array().unwrap();
        assert_eq!((answer.status, response.len()), (200, 3));
        assert_eq!(response[0], json!({"original": "a", "translated": "x"}));
        assert_eq!((&response[1]["original"], response[1]["error"].is_object()), (&json!("b"), true));
        assert_eq!(response[2], json!({"original": "c", "translated": "x"}));
        assert!(registry::is_idle());
    });
}

#[test]
fn a_part_is_its_callers() {
    in_new_vm(|| {
        let envoy = started("auth+router+usage", &settings());
        let (parent, _) = ask(&envoy, TRANSLATE, &json!({"texts": ["a", "b"]}), &[]);
        let part = envoy.callout().unwrap();
        let token = value(&part.headers, "x-sluice-text").unwrap().to_owned();
        let body: Value = serde_json::from_str(&part.body).unwrap();
        let with = |token: &str| [("authorization", ""), ("x-sluice-text", token)].map(|(a, b)| (a, b.to_owned()));
        let as_part = |path: &str, body: &Value, token: &str| {
            let headers = with(token);
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            ask(&envoy, path, body, &headers)
        };
        let (call, step) = as_part(TRANSLATE, &body, &token);
        assert!(matches!(step, Step::Passed), "{step:?}");
        let (asked, _) = serve(&envoy, call, "x");
        assert_eq!(asked["messages"][1]["content"], "a");

        // another token, another path, several texts, too late
        let chat = json!({"model": "gpt-4o", "messages": []});
        assert_eq!(refused(as_part(TRANSLATE, &body, &format!("{token}x")), &envoy).0, 401);
        assert_eq!(refused(as_part("/v1/chat/completions", &chat, &token), &envoy).0, 401);
        let several = json!({"texts": ["a", "b"]});
        assert_eq!(refused(as_part(TRANSLATE, &several, &token), &envoy).0, 400);
        envoy.wait(Duration::from_secs(31));
        assert_eq!(refused(as_part(TRANSLATE, &body, &token), &envoy).0, 401);

        // the client leaves: nothing is left of its request
        envoy.end(parent);
        envoy.tick();
        envoy.answer_callout(200, b"{}");
        envoy.answer_callout(200, b"{}");
        assert_eq!(host(|host| host.callouts.len()), 0);
        assert!(registry::is_idle());
    });
}

#[test]
fn a_missing_cluster_is_told() {
    in_new_vm(|| {
        let envoy = Envoy::start("auth+router+usage", &settings()).unwrap();
        let (status, error) = refused(ask(&envoy, TRANSLATE, &json!({"texts": ["a", "b"]}), &[]), &envoy);
        assert_eq!(status, 500);
        assert!(error["error"]["message"].as_str().unwrap().contains("one at a time"));
        assert!(host(|host| host.log.iter().any(|line| line.contains("sluice-self"))));
        assert!(registry::is_idle());
    });
}

#[test]
fn other_methods_are_refused() {
    in_new_vm(|| {
        let envoy = started("auth+router+usage", &settings());
        assert_eq!(envoy.get(TRANSLATE, KEY).status, 405);
        let (status, error) = refused(ask(&envoy, TRANSLATE, &json!({"texts": []}), &[]), &envoy);
        assert_eq!((status, &error["error"]["param"]), (400, &json!("texts")));
    });
}
