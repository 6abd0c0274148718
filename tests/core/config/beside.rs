//! The services beside the Envoys.

use std::time::Duration;

use sluice::limits::shared::OnFailure;

use super::auth::{auth, SECRET};
use super::refusal;

#[test]
fn ledger() {
    let service = |fields: &str| auth(&format!(r#"{{"keys":[{{"id":"a","hash":"ABC"}}]{fields}}}"#)).unwrap().ledger;
    assert_eq!(service(""), None);
    let least = service(r#","ledger":{"cluster":"ledger"}"#).unwrap();
    assert_eq!((least.cluster.as_str(), least.start_timeout), ("ledger", Duration::from_secs(2)));
    assert_eq!(least.token, None);
    let all = service(r#","ledger":{"cluster":"l","start_timeout":"500ms","token":{"env":"GOOD"}}"#).unwrap();
    assert_eq!(all.start_timeout, Duration::from_millis(500));
    let token = all.token.as_ref().unwrap();
    assert_eq!(token.authorization(), format!("Bearer {SECRET}GOOD"));
    assert!(!format!("{all:?}").contains(SECRET));
    for name in ["EMPTY", "NONE"] {
        let text =
            format!(r#"{{"keys":[{{"id":"a","hash":"ABC"}}],"ledger":{{"cluster":"l","token":{{"env":"{name}"}}}}}}"#);
        let told = refusal(name, auth(&text));
        assert!(
            told.starts_with(&format!("auth.ledger.token.env: the environment variable {name} is not set")),
            "{told}"
        );
    }
}

#[test]
fn mistakes_about_the_ledger() {
    let cases: [(&str, String); 4] = [
        (r#""ledger":{}"#, "ledger.cluster: missing".into()),
        (
            r#""ledger":{"cluster":"c","start_timeout":"31s"}"#,
            "ledger.start_timeout: must be 30s or less: the first requests wait for it".into(),
        ),
        (
            r#""ledger":{"cluster":"c","timeout":"1s"}"#,
            "ledger.timeout: no such field; there is cluster, start_timeout, token".into(),
        ),
        (
            r#""ledger":{"cluster":"c","token":{"env":"a-secret"}}"#,
            "ledger.token.env: is not the name of an environment variable; put the token itself into the variable"
                .into(),
        ),
    ];
    for (field, want) in cases {
        let text = format!(r#"{{"keys":[{{"id":"a","hash":"ABC"}}],{field}}}"#);
        assert_eq!(refusal(field, auth(&text)), format!("auth.{want}"), "{field}");
    }
}

#[test]
fn shared_limits() {
    let service = |fields: &str| auth(&format!(r#"{{"keys":[{{"id":"a","hash":"ABC"}}]{fields}}}"#)).unwrap().shared;
    assert_eq!(service(""), None);
    let least = service(r#","shared":{"cluster":"ledger"}"#).unwrap();
    assert_eq!((least.cluster.as_str(), least.domain.as_str()), ("ledger", "sluice"));
    assert_eq!((least.timeout, least.on_failure), (Duration::from_millis(20), OnFailure::Local));
    let all = r#","shared":{"cluster":"ratelimit","domain":"llm","timeout":"50ms","on_failure":"deny"}"#;
    let all = service(all).unwrap();
    assert_eq!((all.cluster.as_str(), all.domain.as_str()), ("ratelimit", "llm"));
    assert_eq!((all.timeout, all.on_failure), (Duration::from_millis(50), OnFailure::Deny));
}
