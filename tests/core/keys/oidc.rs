use std::time::Duration;

use serde_json::{json, Value};
use sluice::keys::{Oidc, OidcError, Role, Roles};

const MODELS: &str = "https://example.com/models";

fn oidc(default_role: Option<Role>) -> Oidc {
    Oidc { roles_claim: "realm_access.roles".into(), models_claim: MODELS.into(), default_role, ..Oidc::new("jwt") }
}

#[test]
fn roles() {
    let user = Some(Role::User);
    let cases = [
        ("a list", json!({"realm_access": {"roles": ["x", "LLM.User"]}}), None, user),
        ("both", json!({"realm_access": {"roles": ["LLM.User", "LLM.Admin"]}}), None, Some(Role::Admin)),
        ("words", json!({"realm_access": {"roles": "LLM.User LLM.Admin"}}), None, Some(Role::Admin)),
        ("a text", json!({"realm_access": {"roles": "LLM.User"}}), None, user),
        ("a claim of that very name", json!({"realm_access.roles": "LLM.User"}), None, user),
        ("none of ours", json!({"realm_access": {"roles": ["admin", "user", "llm.user"]}}), None, None),
        ("none of ours, by default", json!({"realm_access": {"roles": ["admin"]}}), user, user),
        ("an empty list", json!({"realm_access": {"roles": []}}), None, None),
        ("lists in a list", json!({"realm_access": {"roles": [["LLM.Admin"]]}}), None, None),
        ("a claim elsewhere", json!({"roles": ["LLM.Admin"]}), None, None),
        ("no claim", json!({}), None, None),
        ("no claim, by default", json!({}), user, user),
        ("null, by default", json!({"realm_access": {"roles": null}}), user, user),
        ("another type", json!({"realm_access": {"roles": {"LLM.Admin": true}}}), None, None),
        ("a list of more than texts", json!({"realm_access": {"roles": ["LLM.Admin", 1]}}), None, None),
        ("a path that ends early", json!({"realm_access": "LLM.Admin"}), None, None),
    ];
    for (name, mut claims, default, want) in cases {
        claims["sub"] = json!("alice");
        let found = oidc(default).identity(&claims, &Roles::default());
        let want = want.ok_or(OidcError::NoRole("realm_access.roles".into()));
        assert_eq!(found.map(|identity| identity.role), want, "{name}");
    }
    let own = Roles { user: vec!["u".into()], admin: vec!["admin".into()] };
    let claims = json!({"sub": "alice", "realm_access": {"roles": "admin"}});
    assert_eq!(oidc(None).identity(&claims, &own).unwrap().role, Role::Admin);
    let claims = json!({"sub": "alice", "realm_access": {"roles": "LLM.Admin"}});
    assert!(oidc(None).identity(&claims, &own).is_err(), "the operator's names stand in place of the usual ones");
}

#[test]
fn ids() {
    let cases = [
        (json!("auth0|1"), true),
        (json!("é"), true),
        (json!("i".repeat(256)), true),
        (json!("i".repeat(257)), false),
        (json!(""), false),
        (json!("a\nb"), false),
        (json!(7), false),
        (Value::Null, false),
        (json!(["a"]), false),
    ];
    for (id, good) in cases {
        let found = oidc(Some(Role::User)).identity(&json!({"sub": id}), &Roles::default());
        match good {
            true => assert_eq!(json!(found.unwrap().id), id),
            false => assert_eq!(found, Err(OidcError::NoId("sub".into())), "{id}"),
        }
    }
}

#[test]
fn models_and_expiry() {
    let cases = [
        (Value::Null, Some(vec!["*"])),
        (json!(["a", "b-*"]), Some(vec!["a", "b-*"])),
        (json!("a b-*"), Some(vec!["a", "b-*"])),
        (json!([]), Some(vec![])),
        (json!(""), Some(vec![])),
        (json!([1]), None),
        (json!({"a": 1}), None),
        (json!(true), None),
    ];
    for (models, want) in cases {
        let found = oidc(Some(Role::User)).identity(&json!({"sub": "a", MODELS: models}), &Roles::default());
        let want = want.ok_or(OidcError::BadModels(MODELS.into()));
        assert_eq!(
            found.as_ref().map(|found| found.models.iter().collect::<Vec<_>>()).map_err(Clone::clone),
            want,
            "{models}"
        );
    }
    for (exp, want) in [(json!(60.0), Some(60)), (json!(60), Some(60)), (json!(-1), None), (json!("60"), None)] {
        let found = oidc(Some(Role::User)).identity(&json!({"sub": "a", "exp": exp}), &Roles::default()).unwrap();
        assert_eq!(found.expires, want.map(Duration::from_secs), "{exp}");
    }
}
