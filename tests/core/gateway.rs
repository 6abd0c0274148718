use std::time::Duration;

use serde_json::{json, Value};
use sluice::connect_failure::{ConnectFailure, LastFailure};
use sluice::endpoint::{classify, Dialect, RequestTarget};
use sluice::gateway::{ejection_time, list, models, tags, Command, UpstreamStatus};
use sluice::health::{AttemptEnd, Blame, ClusterHealth, Policy, Verdict};

use crate::routing::upstream;

#[test]
fn commands() {
    let eject = |cluster: &str| RequestTarget::Gateway(Command::Eject(cluster.into()));
    let cases = [
        ("GET", "/gateway/upstreams", RequestTarget::Gateway(Command::Upstreams)),
        ("GET", "/gateway/upstreams?x=1", RequestTarget::Gateway(Command::Upstreams)),
        ("POST", "/gateway/upstreams", RequestTarget::WrongMethod("GET")),
        ("POST", "/gateway/upstreams/a/eject", eject("a")),
        ("POST", "/gateway/upstreams/a%2Fb/eject", eject("a/b")),
        ("POST", "/gateway/upstreams/a/b/eject", eject("a/b")),
        ("POST", "/gateway/upstreams/a/restore", RequestTarget::Gateway(Command::Restore("a".into()))),
        ("GET", "/gateway/upstreams/a/eject", RequestTarget::WrongMethod("POST")),
        ("POST", "/gateway/upstreams/a", RequestTarget::Unknown),
        ("POST", "/gateway/upstreams/eject", RequestTarget::Unknown),
        ("GET", "/gateway/upstreamsx", RequestTarget::Unknown),
        ("GET", "/gateway", RequestTarget::Unknown),
        ("GET", "/ping", RequestTarget::Gateway(Command::Ping)),
        ("HEAD", "/healthz", RequestTarget::Gateway(Command::Health)),
        ("GET", "/gateway/ui", RequestTarget::Gateway(Command::Page)),
        ("HEAD", "/gateway/ui?x=1", RequestTarget::Gateway(Command::Page)),
        ("POST", "/gateway/ui", RequestTarget::WrongMethod("GET")),
        ("POST", "/ping", RequestTarget::WrongMethod("GET")),
        ("GET", "/v1/models", RequestTarget::Gateway(Command::Models)),
        ("HEAD", "/v1/models", RequestTarget::WrongMethod("GET")),
        ("POST", "/v1/models", RequestTarget::WrongMethod("GET")),
        ("GET", "/v1/models/meta%2Fllama", RequestTarget::Gateway(Command::Model("meta/llama".into()))),
        ("GET", "/v1/models/meta/llama", RequestTarget::Gateway(Command::Model("meta/llama".into()))),
        ("GET", "/api/tags", RequestTarget::Gateway(Command::Tags)),
        ("GET", "/tags", RequestTarget::Gateway(Command::Tags)),
        ("GET", "/api/version", RequestTarget::Gateway(Command::Version)),
        ("GET", "/api/ps", RequestTarget::Gateway(Command::Running)),
        ("POST", "/api/version", RequestTarget::WrongMethod("GET")),
        ("GET", "/gateway/whoami", RequestTarget::Gateway(Command::WhoAmI)),
        ("DELETE", "/gateway/whoami", RequestTarget::WrongMethod("GET")),
        ("GET", "/gateway/limits", RequestTarget::Gateway(Command::Limits)),
        ("POST", "/gateway/usage", RequestTarget::WrongMethod("GET")),
        ("GET", "/gateway/usage/x", RequestTarget::Unknown),
        ("GET", "/gateway/usage?by=day", RequestTarget::Gateway(Command::Usage)),
        ("GET", "/gateway/recent", RequestTarget::Gateway(Command::Recent)),
        ("POST", "/gateway/recent", RequestTarget::WrongMethod("GET")),
        ("GET", "/gateway/keys", RequestTarget::Gateway(Command::Keys)),
        ("POST", "/gateway/keys", RequestTarget::Gateway(Command::IssueKey)),
        ("PATCH", "/gateway/keys", RequestTarget::WrongMethod("GET, POST")),
        ("DELETE", "/gateway/keys/a%20b", RequestTarget::Gateway(Command::RevokeKey("a b".into()))),
        ("GET", "/gateway/keys/a", RequestTarget::WrongMethod("DELETE")),
        ("DELETE", "/gateway/keys/a/restore", RequestTarget::Gateway(Command::RevokeKey("a/restore".into()))),
        ("POST", "/gateway/keys/a%20b/restore", RequestTarget::Gateway(Command::RestoreKey("a b".into()))),
        ("POST", "/gateway/keys/a/restore/restore", RequestTarget::Gateway(Command::RestoreKey("a/restore".into()))),
        ("GET", "/gateway/keys/a/restore", RequestTarget::WrongMethod("POST")),
    ];
    for (method, path, want) in cases {
        assert_eq!(classify(method, path, "/gateway"), want, "{method} {path}");
    }
}

#[test]
fn the_prefix_of_own_paths() {
    let cases = [
        ("/ops/keys", RequestTarget::Gateway(Command::Keys)),
        ("/gateway/keys", RequestTarget::Unknown),
        ("/ping", RequestTarget::Gateway(Command::Ping)),
        ("/v1/models", RequestTarget::Gateway(Command::Models)),
    ];
    for (path, want) in cases {
        assert_eq!(classify("GET", path, "/ops"), want, "{path}");
    }
}

#[test]
fn the_models_a_caller_may_use() {
    let found: Value = serde_json::from_str(&models(["a", "b\""].into_iter())).unwrap();
    assert_eq!(
        (&found["data"][1]["id"], &found["first_id"], &found["last_id"]),
        (&json!("b\""), &json!("a"), &json!("b\""))
    );
    let none: Value = serde_json::from_str(&models([].into_iter())).unwrap();
    assert_eq!((&none["data"], &none["first_id"]), (&json!([]), &Value::Null));
    let tags: Value = serde_json::from_str(&tags(["a", "b\""].into_iter())).unwrap();
    assert_eq!((&tags["models"][0]["name"], &tags["models"][1]["model"]), (&json!("a"), &json!("b\"")));
}

#[test]
fn the_list() {
    let now = Duration::from_secs(1000);
    let mut ejected = ClusterHealth::default();
    let _ = ejected.eject(Some(Duration::from_millis(1500)), now);
    let mut half_open = ClusterHealth::default();
    let _ = half_open.eject(Some(Duration::from_secs(1)), now - Duration::from_secs(1));
    let state = |health, latency| UpstreamStatus { health, in_flight: 2, uses: 7, latency, connect_failure: None };
    let upstreams = ["a", "b\"", "c"].map(|name| upstream(name, &[Dialect::OpenAi]));
    let mut limited = ClusterHealth::default();
    let ended = AttemptEnd {
        model: "m\"",
        verdict: Verdict::Failure,
        blame: Blame::Model,
        pause: Some(Duration::from_secs(2)),
        held: None,
    };
    let _ = limited.judge(&ended, now, &Policy::default());
    let states = [state(limited, Some(0.0125)), state(ejected, None), state(half_open, None)];
    let entry = |name: &str, state: &str, reason: Value, until: Value, latency: Value| {
        json!({"cluster": name, "upstream": name, "state": state, "reason": reason, "until": until, "in_flight": 2,
               "uses": 7, "consecutive_failures": 0, "latency_ms": latency, "until_rfc3339": null,
               "last_connect_failure": null, "models": []})
    };
    let mut states = states;
    let reason = "a \"certificate\"".to_owned();
    states[0].connect_failure = Some(LastFailure { cause: ConnectFailure::Tls, at: 60, reason });
    let mut want = [
        entry("a", "healthy", Value::Null, Value::Null, json!(12.5)),
        entry("b\"", "ejected", json!("manual"), json!(1001.5), Value::Null),
        entry("c", "half_open", json!("manual"), Value::Null, Value::Null),
    ];
    want[0]["last_connect_failure"] =
        json!({"cause": "tls", "reason": "a \"certificate\"", "at": 60, "at_rfc3339": "1970-01-01T00:01:00Z"});
    want[0]["models"] = json!([{"model": "m\"", "state": "ejected", "reason": "retry_after", "until": 1002.0,
                               "until_rfc3339": "1970-01-01T00:16:42Z", "consecutive_failures": 1}]);
    want[1]["until_rfc3339"] = json!("1970-01-01T00:16:42Z");
    let found: Value = serde_json::from_str(&list(upstreams.iter().zip(states), now)).unwrap();
    assert_eq!(found, json!({"object": "list", "data": want}));
}

#[test]
fn how_long_an_ejection_lasts() {
    let cases = [("", None), ("{}", None), ("{\"time\":null}", None), ("{\"time\":\"10m\"}", Some(600))];
    for (body, want) in cases {
        assert_eq!(ejection_time(body.as_bytes()).unwrap(), want.map(Duration::from_secs), "{body}");
    }
    for (body, want) in [
        ("{", "The body is not valid JSON"),
        ("[]", "body: must be an object, but is a list"),
        ("{\"time\":10}", "body.time: must be a duration such as 500ms, 30s or 2m, but is a number"),
        ("{\"tiem\":\"1s\"}", "body.tiem: no such field; did you mean \"time\"?"),
    ] {
        let error = ejection_time(body.as_bytes()).expect_err(body);
        assert!(error.status == 400 && error.message.starts_with(want), "{body}: {}", error.message);
    }
}
