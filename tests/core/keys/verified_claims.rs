use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{json, Value};
use sluice::keys::{Oidc, Property, Role, Roles};

use crate::generate::of_characters;

/// A value as Envoy serialises it for a filter; `None` if it cannot.
fn serialized(value: &Value) -> Option<Vec<u8>> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => vec![u8::from(*flag)],
        Value::Number(number) => number.as_f64()?.to_le_bytes().to_vec(),
        Value::String(text) => text.clone().into_bytes(),
        Value::Array(values) => {
            let elements = values.iter().map(serialized).collect::<Option<Vec<_>>>()?;
            pairs(elements.into_iter().map(|element| (element, Vec::new())).collect())
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| Some((name.clone().into_bytes(), serialized(value)?));
            pairs(fields.iter().map(field).collect::<Option<Vec<_>>>()?)
        }
    })
}

fn pairs(pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in &pairs {
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        bytes.extend([name, vec![0], value, vec![0]].concat());
    }
    bytes
}

/// Envoy's state after it has verified a token with these claims.
fn envoy(claims: &Value) -> impl Fn(&[&str]) -> Property + '_ {
    move |path| {
        let found = path.iter().try_fold(claims, |inner, name| inner.get(name));
        match found {
            None => Property::Missing,
            Some(value) => serialized(value).map_or(Property::Unreadable, Property::Is),
        }
    }
}

fn oidc() -> Oidc {
    Oidc { roles_claim: "realm_access.roles".into(), default_role: Some(Role::User), ..Oidc::new("jwt") }
}

#[test]
fn relevant_claims_are_read() {
    let cases = [
        (
            "usual",
            json!({"sub": "a", "realm_access": {"roles": ["x", "y"]}, "exp": 12.0}),
            json!({"sub": "a", "realm_access.roles": ["x", "y"], "exp": 12.0}),
        ),
        (
            "a name with a point",
            json!({"sub": "a", "realm_access.roles": "x"}),
            json!({"sub": "a", "realm_access.roles": "x"}),
        ),
        ("nothing", json!({}), json!({})),
        ("what does not matter", json!({"sub": "a", "x": null, "y": [null]}), json!({"sub": "a"})),
        ("a list of no models", json!({"sub": "a", "models": []}), json!({"sub": "a", "models": []})),
        ("an empty text", json!({"sub": "a", "models": ""}), json!({"sub": "a", "models": ""})),
        ("beyond ASCII", json!({"sub": "Zoë", "models": ["ß", ""]}), json!({"sub": "Zoë", "models": ["ß", ""]})),
        ("a null", json!({"sub": null, "models": null}), json!({"sub": false, "models": false})),
        ("a null in a list", json!({"models": ["x", null]}), json!({"models": false})),
        ("a number", json!({"sub": 17, "models": 17}), json!({"sub": false, "models": false})),
        ("a flag", json!({"sub": true, "models": false}), json!({"sub": false, "models": false})),
        ("an object", json!({"sub": {"a": "b"}, "models": {"a": "b"}}), json!({"sub": false, "models": false})),
        ("numbers in a list", json!({"models": ["x", 1]}), json!({"models": false})),
        ("lists in a list", json!({"models": [["x"]]}), json!({"models": false})),
        ("a text as time", json!({"exp": "soon"}), json!({"exp": false})),
        ("a control character", json!({"sub": "a\nb", "models": ["a\nb"]}), json!({"sub": false, "models": false})),
    ];
    for (name, claims, want) in cases {
        assert_eq!(oidc().verified_claims(&envoy(&claims)), Some(want), "{name}");
    }
    assert_eq!(oidc().verified_claims(&|_| Property::Missing), None, "no token");
}

#[test]
fn unreadable_claims_grant_nothing() {
    let usual = json!({"sub": "a", "models": ["m"]});
    for models in [json!(null), json!(["m", null]), json!(7), json!({"m": true})] {
        let mut claims = usual.clone();
        claims["models"] = models;
        let claims = oidc().verified_claims(&envoy(&claims)).unwrap();
        assert!(oidc().identity(&claims, &Roles::default()).is_err(), "{claims}");
    }
    let claims = oidc().verified_claims(&envoy(&usual)).unwrap();
    let identity = oidc().identity(&claims, &Roles::default()).unwrap();
    assert!(identity.models.matches("m") && !identity.models.matches("n"));
}

#[test]
fn expired_tokens() {
    let is = |text: &str| Oidc::is_expired(&Property::Is(text.into()));
    assert!(is("Jwt is expired"));
    assert!(!is("Jwt verification fails") && !is(""));
    assert!(!Oidc::is_expired(&Property::Missing) && !Oidc::is_expired(&Property::Unreadable));
}

proptest! {
    /// Any bytes are read or refused.
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..64)) {
        let claims = oidc().verified_claims(&|_| Property::Is(bytes.clone()));
        prop_assert!(claims.is_some());
    }

    #[test]
    fn lists_are_read_completely_or_not_at_all(words in vec(of_characters("ab*-", 0..5), 0..5), cut in 0usize..100, extra in any::<u8>()) {
        let whole = serialized(&json!(words)).unwrap();
        let models = |bytes: &[u8]| oidc().verified_claims(&|_| Property::Is(bytes.to_vec())).unwrap()["models"].clone();
        prop_assert_eq!(models(&whole), json!(words));
        let part = &whole[..cut.min(whole.len() - 1)];
        prop_assert!(part.is_empty() || models(part) == json!(false));
        let longer = [&whole[..], &[extra]].concat();
        prop_assert_eq!(models(&longer), json!(false));
    }
}
