use std::time::Duration;

use serde_json::{json, Value};
use sluice::date::Timestamp;
use sluice::keys::{admin, Claims, Identity, Issued, Revocation, Role};
use sluice::limits::Limits;
use sluice::pattern::Patterns;

use super::identity;
use super::token::claims;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn rfc3339(seconds: u64) -> String {
    Timestamp(Duration::from_secs(seconds)).to_string()
}

fn limited() -> Claims {
    Claims {
        models: Some(vec!["m".into()]),
        limits: Limits { microusd_per_day: Some(2_500_000), microusd_per_month: Some(9_000_000), ..Limits::default() },
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
    let found = admin::list(configured.iter(), &issued, &|identity| identity.id == "b");
    let entry = |kind: &str, id: &str, role: &str, expires_at: Value, revoked: bool| {
        json!({"id": id, "kind": kind, "role": role, "models": ["*"], "labels": {}, "limits": {},
               "issued_at": null, "issued_at_rfc3339": null,
               "expires_at": expires_at, "expires_at_rfc3339": expires_at.as_u64().map(rfc3339), "revoked": revoked})
    };
    let mut alice = entry("virtual", "alice", "user", json!(1_800_000_060), false);
    alice["issued_at"] = json!(1_800_000_000);
    alice["issued_at_rfc3339"] = json!("2027-01-15T08:00:00Z");
    alice["models"] = json!(["m"]);
    alice["limits"] = json!({"cost_per_day": 2.5, "cost_per_month": 9.0});
    alice["labels"] = json!({"team": "x"});
    let data = [
        alice,
        entry("configured", "b", "admin", Value::Null, true),
        entry("configured", "z\"", "user", json!(2), false),
    ];
    assert_eq!(parsed(&found), json!({"object": "list", "has_more": false, "data": data}));
}

#[test]
fn the_list_is_bounded() {
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
    let all = Revocation::default();
    let before = Revocation { before: Some(Duration::from_secs(1_801_353_600)), ..all };
    let both = Revocation { until: Some(Duration::from_secs(1_832_889_600)), ..before };
    let cases = [
        ("alice", all, r#"revoked: [{id: "alice"}]"#),
        ("alice", before, r#"revoked: [{id: "alice", before: "2027-01-31T00:00:00Z"}]"#),
        ("a\"b", both, r#"revoked: [{id: "a\"b", before: "2027-01-31T00:00:00Z", until: "2028-01-31T00:00:00Z"}]"#),
    ];
    for (id, revocation, config) in cases {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        let (before, until) = (seconds(revocation.before), seconds(revocation.until));
        let want = json!({"id": id, "revoked": true, "known": true, "before": before, "until": until, "config": config,
                          "before_rfc3339": before.map(rfc3339), "until_rfc3339": until.map(rfc3339)});
        assert_eq!(parsed(&admin::revoked(id, revocation, true)), want);
        let unknown = parsed(&admin::revoked(id, revocation, false));
        assert_eq!(unknown["known"], json!(false));
        assert!(unknown["warning"].as_str().unwrap().contains("revoked all the same"));
    }
    assert_eq!(parsed(&admin::restored("a", true)), json!({"id": "a", "revoked": false, "changed": true}));
}

#[test]
fn the_force_parameter() {
    for (query, want) in [("", false), ("?", false), ("?force=true", true), ("?force=false", false)] {
        assert_eq!(admin::is_forced(&format!("/gateway/keys/a{query}")), Ok(want), "{query}");
    }
    for (query, param) in [("?force", Some("force")), ("?force=1", Some("force")), ("?forced=true", None)] {
        let error = admin::is_forced(&format!("/gateway/keys/a{query}")).unwrap_err();
        assert_eq!((error.status, error.param), (400, param), "{query}");
    }
}
