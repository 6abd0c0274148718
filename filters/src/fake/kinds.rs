//! Virtual models.

use std::time::Duration;

use serde_json::{json, Value};

use super::envoy::{completion, configuration, Attempt, Call, Envoy, Step, KEY};
use super::requests::metric;
use super::{host, in_new_vm};
use crate::kinds::MAX_CALLS;
use crate::registry;

const PATH: &str = "/v1/chat/completions";

/// A gateway with a virtual model.
fn with(choose: Value) -> Envoy {
    Envoy::start("auth+router+usage", &with_settings(choose)).unwrap()
}

fn with_settings(choose: Value) -> Value {
    let mut configuration = configuration();
    configuration["auth"]["keys"][0]["models"] = json!(["auto", "small", "large"]);
    let model = |name: &str| json!({"name": name, "targets": [{"upstream": "one", "model": name}]});
    let mut settings = json!({"by": "rules", "otherwise": "small", "timeout": "1s"});
    settings.as_object_mut().unwrap().extend(choose.as_object().unwrap().clone());
    configuration["router"]["models"] =
        json!([model("small"), model("large"), model("secret"), {"name": "auto", "choose": settings}]);
    configuration["router"]["default_model"] = "auto".into();
    host(|host| host.service = Some("two".to_owned()));
    configuration
}

fn llm() -> Value {
    json!({"by": "llm", "upstream": "two", "model": "judge", "kinds": [
        {"name": "code", "model": "large", "description": "programs"},
        {"name": "secret", "model": "secret", "description": "secrets"},
    ]})
}

fn embedding() -> Value {
    json!({"by": "embedding", "upstream": "two", "model": "embed", "kinds": [
        {"name": "code", "model": "large", "examples": ["e1", "e2"]},
        {"name": "talk", "model": "small", "examples": ["e3"]},
    ]})
}

fn body(text: &str) -> Vec<u8> {
    json!({"messages": [{"role": "user", "content": text}]}).to_string().into_bytes()
}

fn begin(envoy: &Envoy, body: &[u8]) -> (Call, Step) {
    let (call, _) = envoy.begin(PATH, KEY, &[]);
    let step = envoy.body(call, body, true);
    (call, step)
}

/// The attempt's model; then the request ends, with the kind that its answer names.
fn finish(envoy: &Envoy, call: Call) -> (String, String) {
    let attempt: Attempt = envoy.attempt(call).unwrap();
    let sent: Value = serde_json::from_slice(&attempt.body).unwrap();
    envoy.respond(&attempt, 200, "application/json");
    let Step::Answered(answer) = envoy.send(&attempt, &completion("hi"), true) else { panic!() };
    envoy.end_attempt(&attempt);
    envoy.end(call);
    let kind = answer.header("x-sluice-kind").unwrap_or_default().to_owned();
    (sent["model"].as_str().unwrap().to_owned(), kind)
}

fn pair(model: &str, kind: &str) -> (String, String) {
    (model.to_owned(), kind.to_owned())
}

#[test]
fn rules_ask_nobody() {
    in_new_vm(|| {
        let envoy = with(json!({"kinds": [{"name": "code", "model": "large", "match": {"regex": "code"}}]}));
        for (text, want) in [("some code", pair("large", "code")), ("hello", pair("small", "otherwise"))] {
            let (call, step) = begin(&envoy, &body(text));
            assert!(matches!(step, Step::Passed), "{step:?}");
            assert_eq!(finish(&envoy, call), want);
        }
        assert!(envoy.callout().is_none() && registry::is_idle());
        envoy.wait(Duration::from_secs(1));
        assert_eq!(metric("llm_kinds_total;model=auto;type=code;result=rules"), 1);
        assert_eq!(metric("llm_kinds_total;model=auto;type=otherwise;result=otherwise"), 1);
    });
}

#[test]
fn a_chat_model_names_the_kind_once() {
    in_new_vm(|| {
        let envoy = with(llm());
        let (call, step) = begin(&envoy, &body("write a loop"));
        assert!(matches!(step, Step::Held), "{step:?}");
        let asked = envoy.callout().unwrap();
        assert_eq!(asked.line(), "POST /v1/chat/completions");
        assert!(asked.body.contains("write a loop") && asked.body.contains("\"judge\""), "{}", asked.body);
        envoy.answer_callout(200, &completion(" Code. "));
        assert!(envoy.goes_on(call));
        assert_eq!(finish(&envoy, call), pair("large", "code"));
        // the same prompt again asks nobody
        let (call, step) = begin(&envoy, &body("write a loop"));
        assert!(matches!(step, Step::Passed), "{step:?}");
        assert_eq!(finish(&envoy, call), pair("large", "code"));
        assert!(registry::is_idle());
    });
}

#[test]
fn nonsense_failures_and_silence_go_to_otherwise() {
    in_new_vm(|| {
        let envoy = with(llm());
        let nonsense = completion("I would love to help you!");
        for (number, (status, answer)) in
            [(200, nonsense.as_slice()), (500, b"{}"), (200, b"none"), (0, b""), (200, b"")].into_iter().enumerate()
        {
            let (call, step) = begin(&envoy, &body(&format!("prompt {number}")));
            assert!(matches!(step, Step::Held), "{step:?}");
            envoy.answer_callout(status, answer);
            assert!(envoy.goes_on(call), "{number}");
            assert_eq!(finish(&envoy, call), pair("small", "otherwise"));
        }
        // the client leaves meanwhile
        let (call, _) = begin(&envoy, &body("left"));
        envoy.end(call);
        host(|host| host.callouts.clear());
        assert!(registry::is_idle());
        envoy.wait(Duration::from_secs(1));
        assert_eq!(metric("result=failed"), 4);
    });
}

#[test]
fn a_kind_that_the_key_may_not_use_is_none() {
    in_new_vm(|| {
        let envoy = with(llm());
        let (call, _) = begin(&envoy, &body("a secret"));
        envoy.answer_callout(200, &completion("secret"));
        assert_eq!(finish(&envoy, call), pair("small", "otherwise"));
        let mut neither = llm();
        neither["otherwise"] = "secret".into();
        let envoy = with(neither.clone());
        let (call, _) = begin(&envoy, &body("another secret"));
        envoy.answer_callout(200, &completion("secret"));
        let reply = envoy.reply(call).unwrap();
        assert_eq!(reply.status, 403, "{}", reply.text());
        envoy.end(call);
        // nobody is asked in vain
        neither["kinds"][0]["model"] = "secret".into();
        let envoy = with(neither);
        let (call, step) = begin(&envoy, &body("a third secret"));
        let Step::Answered(reply) = step else { panic!("{step:?}") };
        assert_eq!(reply.status, 403, "{}", reply.text());
        assert!(envoy.callout().is_none());
        envoy.end(call);
        assert!(registry::is_idle());
    });
}

#[test]
fn only_conversations_are_asked_for() {
    in_new_vm(|| {
        let mut choose = llm();
        choose["kinds"][0]["match"] = json!({"regex": "code"});
        let envoy = with(choose);
        for (text, want) in [("some code", "large"), ("something", "small")] {
            let (call, _) = envoy.begin("/v1/embeddings", KEY, &[]);
            let step = envoy.body(call, json!({"input": text}).to_string().as_bytes(), true);
            assert!(matches!(step, Step::Passed) && envoy.callout().is_none(), "{step:?}");
            assert_eq!(finish(&envoy, call).0, want);
        }
        // it has said nothing of the conversation
        let more =
            json!({"messages": [{"role": "user", "content": "something"}, {"role": "assistant", "content": "a"}]});
        let (call, step) = begin(&envoy, more.to_string().as_bytes());
        assert!(matches!(step, Step::Held), "{step:?}");
        envoy.answer_callout(200, &completion("code"));
        assert_eq!(finish(&envoy, call), pair("large", "code"));
        assert!(registry::is_idle());
    });
}

#[test]
fn a_worker_makes_so_many_calls_at_a_time() {
    in_new_vm(|| {
        let mut configuration = with_settings(llm());
        configuration["auth"]["keys"][0].as_object_mut().unwrap().remove("limits");
        let envoy = Envoy::start("auth+router+usage", &configuration).unwrap();
        let held: Vec<Call> = (0..MAX_CALLS)
            .map(|number| {
                let (call, step) = begin(&envoy, &body(&format!("prompt {number}")));
                assert!(matches!(step, Step::Held), "{step:?}");
                call
            })
            .collect();
        let (call, step) = begin(&envoy, &body("one more"));
        assert!(matches!(step, Step::Passed), "{step:?}");
        assert_eq!(finish(&envoy, call), pair("small", "otherwise"));
        envoy.wait(Duration::from_secs(1));
        assert_eq!(metric("llm_kinds_total;model=auto;type=otherwise;result=failed"), 1);
        held.into_iter().for_each(|call| envoy.end(call));
        host(|host| host.callouts.clear());
        let (call, step) = begin(&envoy, &body("now"));
        assert!(matches!(step, Step::Held), "{step:?}");
        envoy.end(call);
        assert!(registry::is_idle());
    });
}

#[test]
fn the_chosen_model_has_the_body_checked() {
    in_new_vm(|| {
        let mut configuration =
            with_settings(json!({"kinds": [{"name": "code", "model": "large", "match": {"regex": "code"}}]}));
        configuration["router"]["models"][1]["validate"] = "on".into();
        let envoy = Envoy::start("auth+router+usage", &configuration).unwrap();
        let bad =
            |text: &str| json!({"messages": [{"role": "user", "content": text}], "n": 0}).to_string().into_bytes();
        let (call, step) = begin(&envoy, &bad("code"));
        let Step::Answered(reply) = step else { panic!("{step:?}") };
        assert!(reply.status == 400 && reply.text().contains("`n` must be from 1"), "{}", reply.text());
        envoy.end(call);
        let (call, _) = begin(&envoy, &bad("talk"));
        assert_eq!(finish(&envoy, call), pair("small", "otherwise"));
        envoy.wait(Duration::from_secs(1));
        assert_eq!(metric("llm_invalid_requests_total;model=large"), 1);
        assert!(registry::is_idle());
    });
}

#[test]
fn the_nearest_examples_decide() {
    in_new_vm(|| {
        let envoy = with(embedding());
        let vectors = |vectors: Value| {
            let data: Vec<Value> = vectors
                .as_array()
                .unwrap()
                .iter()
                .enumerate()
                .map(|(index, vector)| json!({"index": index, "embedding": vector}))
                .collect();
            json!({"data": data}).to_string().into_bytes()
        };
        let (call, step) = begin(&envoy, &body("first"));
        let (other, _) = begin(&envoy, &body("second"));
        assert!(matches!(step, Step::Held), "{step:?}");
        assert!(envoy.callout().is_none(), "examples are fetched on a tick");
        envoy.tick();
        assert!(envoy.callout().unwrap().body.contains(r#""input":["e1","e2","e3"]"#));
        envoy.answer_callout(200, &vectors(json!([[1, 0], [1, 0.1], [0, 1]])));
        // both now ask for their own
        for (call, vector, want) in
            [(call, json!([[2, 0.1]]), pair("large", "code")), (other, json!([[0, 3]]), pair("small", "talk"))]
        {
            assert_eq!(envoy.callout().unwrap().line(), "POST /v1/embeddings");
            envoy.answer_callout(200, &vectors(vector));
            assert!(envoy.goes_on(call));
            assert_eq!(finish(&envoy, call), want);
        }
        let (call, _) = begin(&envoy, &body("far away"));
        envoy.answer_callout(200, &vectors(json!([[-1, -1]])));
        assert_eq!(finish(&envoy, call), pair("small", "otherwise"));
        assert!(registry::is_idle());
    });
}

#[test]
fn without_examples_everything_goes_to_otherwise() {
    in_new_vm(|| {
        let envoy = with(embedding());
        let (call, _) = begin(&envoy, &body("first"));
        envoy.tick();
        envoy.answer_callout(503, b"{}");
        assert!(envoy.goes_on(call));
        assert_eq!(finish(&envoy, call), pair("small", "otherwise"));
        let (call, step) = begin(&envoy, &body("at once"));
        assert!(matches!(step, Step::Passed), "{step:?}");
        assert_eq!(finish(&envoy, call), pair("small", "otherwise"));
        // the service does not answer in time
        host(|host| host.now += Duration::from_secs(6));
        let (call, step) = begin(&envoy, &body("slow"));
        assert!(matches!(step, Step::Held), "{step:?}");
        envoy.wait(Duration::from_millis(1200));
        assert!(envoy.goes_on(call));
        assert_eq!(finish(&envoy, call), pair("small", "otherwise"));
        assert!(registry::is_idle());
    });
}

#[test]
fn examples_that_come_at_the_last_moment_are_too_late() {
    in_new_vm(|| {
        let envoy = with(embedding());
        let (call, _) = begin(&envoy, &body("first"));
        envoy.tick();
        host(|host| host.now += Duration::from_secs(1));
        let data: Vec<Value> = (0..3).map(|index| json!({"index": index, "embedding": [1, 0]})).collect();
        envoy.answer_callout(200, json!({"data": data}).to_string().as_bytes());
        assert!(envoy.callout().is_none(), "a call without a timeout");
        assert!(envoy.goes_on(call));
        assert_eq!(finish(&envoy, call), pair("small", "otherwise"));
        assert!(registry::is_idle());
    });
}

#[test]
fn a_conversation_keeps_its_kind() {
    in_new_vm(|| {
        let envoy = with(llm());
        let (call, _) = begin(&envoy, &body("begin"));
        envoy.answer_callout(200, &completion("code"));
        assert_eq!(finish(&envoy, call), pair("large", "code"));
        let more = json!({"messages": [{"role": "user", "content": "begin"}, {"role": "assistant", "content": "hi"},
            {"role": "user", "content": "something else"}]});
        let (call, step) = begin(&envoy, more.to_string().as_bytes());
        assert!(matches!(step, Step::Passed), "{step:?}");
        assert_eq!(finish(&envoy, call), pair("large", "code"));
        envoy.wait(Duration::from_secs(1));
        assert_eq!(metric("type=code;result=kept"), 1);
        // after an hour, it is asked again
        host(|host| host.now += Duration::from_secs(3601));
        let (call, step) = begin(&envoy, more.to_string().as_bytes());
        assert!(matches!(step, Step::Held), "{step:?}");
        envoy.answer_callout(200, &completion("none"));
        assert_eq!(finish(&envoy, call), pair("small", "otherwise"));
    });
}
