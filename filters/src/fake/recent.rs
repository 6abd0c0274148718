//! The list of the last requests: kept by the worker, shared while an administrator looks.

use std::time::Duration;

use serde_json::{json, Value};
use sluice::recent_requests::WATCH;
use sluice::wire_names::{RECENT_REQUESTS, RECENT_REQUESTS_WATCHED};

use super::envoy::{chat, completion, configuration, Envoy, KEY};
use super::{host, in_new_vm};

const ADMIN: &str = "sk-demo-admin";
const ADMIN_HASH: &str = "sha256:a1304128f87ba7aa357d7fe938db628cccb9ad9465ba832773a604aed2cfd54e";
const PATH: &str = "/gateway/recent";

fn started(access_log: bool) -> Envoy {
    let mut settings = configuration();
    let admin = json!({"id": "root", "hash": ADMIN_HASH, "role": "admin"});
    settings["auth"]["keys"].as_array_mut().unwrap().push(admin);
    settings["usage"]["access_log"] = access_log.into();
    Envoy::start("auth+router+usage", &settings).unwrap()
}

fn one(envoy: &Envoy) {
    let failing = |cluster: &str| if cluster == "one" { 500 } else { 200 };
    let answer = envoy.chat(&chat("a secret", false), |attempt| (failing(&attempt.cluster), completion("an answer")));
    assert_eq!(answer.status, 200);
}

fn listed(envoy: &Envoy) -> Vec<Value> {
    let answer = envoy.get(PATH, ADMIN);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(!answer.text().contains("secret") && !answer.text().contains("an answer"));
    serde_json::from_str::<Value>(answer.text()).unwrap()["data"].as_array().unwrap().clone()
}

#[test]
fn what_was_before_the_first_look_is_listed_too() {
    in_new_vm(|| {
        let envoy = started(true);
        one(&envoy);
        envoy.wait(Duration::from_secs(2));
        host(|host| assert!(!host.shared.keys().any(|key| key.starts_with(RECENT_REQUESTS)), "nobody looks"));
        let requests = listed(&envoy);
        let [request] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(request["outcomes"], "one=server_error, two=success");
        assert_eq!([&request["status"], &request["picked_by"]], [&json!(200), &json!("priority")]);
        assert_eq!([&request["key"], &request["cluster"]], ["alice", "two"]);
        assert_eq!([&request["input_tokens"], &request["output_tokens"]], [5, 7]);
        one(&envoy);
        envoy.wait(Duration::from_millis(600));
        let shared = host(|host| host.shared[RECENT_REQUESTS].0.len());
        assert!(shared > 500, "both are shared on a tick: {shared}");
        assert_eq!(listed(&envoy).len(), 2, "and not the calls that look");
    });
}

#[test]
fn without_an_access_log_it_begins_with_the_first_look() {
    in_new_vm(|| {
        let envoy = started(false);
        one(&envoy);
        assert_eq!(listed(&envoy).len(), 0);
        one(&envoy);
        assert_eq!(listed(&envoy).len(), 1);
        envoy.wait(WATCH + Duration::from_secs(1));
        one(&envoy);
        assert_eq!(listed(&envoy).len(), 1, "nobody has looked for long");
    });
}

#[test]
fn refused_requests_are_listed() {
    in_new_vm(|| {
        let envoy = started(true);
        let (call, _) = envoy.begin("/v1/chat/completions", "sk-wrong", &[]);
        envoy.body(call, &chat("a secret", false), true);
        envoy.end(call);
        let requests = listed(&envoy);
        assert_eq!((requests.len(), &requests[0]["status"], &requests[0]["error"]), (1, &json!(401), &json!("401")));
    });
}

#[test]
fn only_administrators_may_look() {
    in_new_vm(|| {
        let envoy = started(true);
        assert_eq!([envoy.get(PATH, KEY).status, envoy.get(PATH, "sk-wrong").status], [403, 401]);
        host(|host| assert!(!host.shared.contains_key(RECENT_REQUESTS_WATCHED)));
    });
}
