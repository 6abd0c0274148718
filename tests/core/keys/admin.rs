use std::time::Duration;

use serde_json::{json, Value};
use sluice::keys::{admin, Claims, Identity, Issued, Role};
use sluice::limits::Limits;
use sluice::pattern::Patterns;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::identity;
use super::token::claims;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn limited() -> Claims {
    Claims {
        models: Some(vec!["m".into()]),
        limits: Limits { microusd_per_day: Some(2_500_000), concurrency: Some(3), ..Limits::default() },
        labels: [("team".into(), "x".into())].into(),
        ..claims("alice")
    }
}

#[test]
fn the_list() {
    let mut issued = Issued::default();
    issued.add(limited());
    let configured = [
        Identity { expires: Some(Duration::from_millis(1500)), ..identity("z\"") },
        Identity::new("b", Role::Admin, Patterns::any()),
    ];
    let found = admin::list(configured.iter(), &issued, &|id| id == "b");
    let entry = |kind: &str, id: &str, role: &str, expires_at: Value, revoked: bool| {
        json!({"id": id, "kind": kind, "role": role, "models": ["*"], "labels": {}, "limits": {},
               "expires_at": expires_at, "revoked": revoked})
    };
    let mut alice = entry("virtual", "alice", "user", json!(1_800_000_060), false);
    alice["models"] = json!(["m"]);
    alice["limits"] = json!({"cost_per_day": 2.5, "concurrency": 3});
    alice["labels"] = json!({"team": "x"});
    let data = [
        alice,
        entry("configured", "b", "admin", Value::Null, true),
        entry("configured", "z\"", "user", json!(2), false),
    ];
    assert_eq!(parsed(&found), json!({"object": "list", "has_more": false, "data": data}));
}

#[test]
fn a_list_ends() {
    let many: Vec<Identity> = (0..=admin::MAX_LISTED).map(|index| identity(&index.to_string())).collect();
    let found = parsed(&admin::list(many.iter(), &Issued::default(), &|_| false));
    assert_eq!((found["data"].as_array().unwrap().len(), &found["has_more"]), (admin::MAX_LISTED, &json!(true)));
}

#[test]
fn issued_keys() {
    let found = parsed(&admin::issued("sk-sluice-x.y", &limited()));
    assert_eq!((&found["id"], &found["key"]), (&json!("alice"), &json!("sk-sluice-x.y")));
    assert_eq!((&found["expires_at"], &found["limits"]["cost_per_day"]), (&json!(1_800_000_060), &json!(2.5)));
}

#[test]
fn revocations() {
    let until = Duration::from_secs(1_801_353_600);
    let cases = [
        ("alice", None, Value::Null, r#"revoked: ["alice"]"#),
        ("alice", Some(until), json!(1_801_353_600), r#"revoked: [{id: "alice", until: "2027-01-31T00:00:00Z"}]"#),
        ("a\"b", Some(until), json!(1_801_353_600), r#"revoked: [{id: "a\"b", until: "2027-01-31T00:00:00Z"}]"#),
    ];
    for (id, until, time, config) in cases {
        let want = json!({"id": id, "revoked": true, "until": time, "config": config});
        assert_eq!(parsed(&admin::revoked(id, until)), want);
    }
}
