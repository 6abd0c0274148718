//! Models' settings, and requests without a model.

use serde_json::{json, Value};

use super::envoy::{chat, completion, configuration, Envoy, Step, KEY};
use super::{in_new_vm, value};
use crate::registry;

const PATH: &str = "/v1/chat/completions";

/// What the model server gets of a request that passes. Its length is in its headers.
fn sent(envoy: &Envoy, body: &Value) -> Value {
    let body = body.to_string();
    let (call, _) = envoy.begin(PATH, KEY, &[("content-length", &body.len().to_string())]);
    let step = envoy.body(call, body.as_bytes(), true);
    assert!(matches!(step, Step::Passed), "{step:?}");
    let attempt = envoy.attempt(call).unwrap();
    assert_eq!(value(&attempt.headers, "content-length"), Some(attempt.body.len().to_string().as_str()));
    envoy.respond(&attempt, 200, "application/json");
    envoy.send(&attempt, &completion("hi"), true);
    envoy.end_attempt(&attempt);
    envoy.end(call);
    serde_json::from_slice(&attempt.body).unwrap()
}

#[test]
fn limits_count_with_a_models_settings() {
    in_new_vm(|| {
        let mut configuration = configuration();
        configuration["auth"]["keys"][0]["limits"] = json!({"tokens_per_minute": 500});
        configuration["router"]["models"][0]["overrides"] = json!({"max_tokens": 50});
        let envoy = Envoy::start("auth+router+usage", &configuration).unwrap();
        let mut asked: Value = serde_json::from_slice(&chat("hello", false)).unwrap();
        asked["max_tokens"] = 100_000.into();
        assert_eq!(sent(&envoy, &asked)["max_tokens"], 50);
        assert!(registry::is_idle());
    });
}

#[test]
fn a_prompt_of_the_library_needs_no_model() {
    for root_id in ["auth+router+usage", "router+usage", "auth+guard+router+usage"] {
        in_new_vm(|| {
            let mut configuration = configuration();
            if !root_id.contains("auth") {
                configuration.as_object_mut().unwrap().remove("auth");
            }
            configuration["router"]["prompts"] = json!({"greeting": {"en": "Greet {{ name }}."}});
            configuration["router"]["default_model"] = "gpt-4o".into();
            configuration["router"]["models"][0]["defaults"] = json!({"temperature": 0, "system": "From the operator"});
            let envoy = Envoy::start(root_id, &configuration).unwrap();
            let prompt = json!({"name": "greeting", "variables": {"name": "Ada"}});
            let user = json!({"role": "user", "content": "Hi"});
            for (body, system) in [
                (json!({"prompt": prompt, "messages": [user]}), "Greet Ada."),
                (json!({"model": "gpt-4o", "prompt": prompt, "messages": [user]}), "Greet Ada."),
                (json!({"messages": [user]}), "From the operator"),
            ] {
                let sent = sent(&envoy, &body);
                assert_eq!(sent["messages"], json!([{"role": "system", "content": system}, user]), "{root_id}");
                assert!(sent["model"].as_str().is_some_and(|model| model.starts_with("gpt-")), "{sent}");
                assert_eq!(sent["temperature"], 0);
                assert_eq!(sent.get("prompt"), None);
            }
            assert!(registry::is_idle());
        });
    }
}

#[test]
fn lists_of_tools_hold_for_models_with_settings() {
    for settings in [json!({"default_model": "gpt-4o"}), json!({"validate": "warn"})] {
        in_new_vm(|| {
            let mut configuration = configuration();
            configuration["auth"]["keys"][0]["tools"] = json!({"allow": ["get_*"]});
            configuration["router"].as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
            let envoy = Envoy::start("auth+router+usage", &configuration).unwrap();
            for (name, passes) in [("get_time", true), ("delete_all", false)] {
                let tools = json!([{"type": "function", "function": {"name": name}}]);
                let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "tools": tools});
                let (call, _) = envoy.begin(PATH, KEY, &[]);
                let step = envoy.body(call, body.to_string().as_bytes(), true);
                match step {
                    Step::Answered(answer) => assert!(!passes && answer.status == 403, "{}", answer.text()),
                    step => assert!(passes && matches!(step, Step::Passed), "{step:?}"),
                }
                envoy.end(call);
            }
            assert!(registry::is_idle());
        });
    }
}
