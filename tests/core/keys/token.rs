use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use sluice::base64::{decode_url, encode_url};
use sluice::keys::{Claims, Role, SecretError, Signer, TokenError, TOKEN_PREFIX};
use sluice::limits::Limits;
use sluice::tools::ToolLists;

use super::NOW;
use crate::generate::{of_characters, text};

pub const SECRET: &[u8] = b"the first secret, of 32 bytes or more";
const OLD: &[u8] = b"the secret before it, of 32 bytes too";

pub fn signer() -> Signer {
    Signer::new(SECRET, None).unwrap()
}

pub fn claims(id: &str) -> Claims {
    Claims {
        id: id.to_owned(),
        role: Role::User,
        models: None,
        tools: None,
        exp: NOW.as_secs() + 60,
        iat: NOW.as_secs(),
        limits: Limits::default(),
        labels: BTreeMap::new(),
    }
}

fn all_claims() -> Claims {
    Claims {
        role: Role::Admin,
        models: Some(vec!["gpt-*".to_owned(), "é\"".to_owned()]),
        tools: Some(ToolLists { allow: Some(vec![]), deny: vec!["mcp*".to_owned()] }),
        limits: Limits { requests_per_minute: Some(7), ..Limits::default() },
        labels: [("team".to_owned(), "x y".to_owned())].into(),
        ..claims("alice@example.com")
    }
}

/// A token with this payload, signed as the gateway does.
fn signed(payload: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET).unwrap();
    let tag = mac.chain_update(b"sluice-key-v1.").chain_update(payload.as_bytes()).finalize().into_bytes();
    format!("{TOKEN_PREFIX}{payload}.{}", encode_url(&tag))
}

#[test]
fn tokens_are_compact() {
    let token = signer().sign(&claims("a"));
    let payload = token.strip_prefix(TOKEN_PREFIX).unwrap().split_once('.').unwrap().0;
    let json = String::from_utf8(decode_url(payload).unwrap()).unwrap();
    assert_eq!(json, r#"{"id":"a","exp":1800000060,"iat":1800000000}"#);
    assert_eq!(token, signed(payload), "and the tag is over what the module says");
}

#[test]
fn keys_are_valid_until_they_expire() {
    for claims in [claims("a"), all_claims()] {
        let token = signer().sign(&claims);
        assert_eq!(signer().verify(&token, NOW), Ok(claims.clone()));
        assert_eq!(signer().verify(&token, Duration::ZERO), Ok(claims.clone()), "a clock behind");
        assert_eq!(signer().verify(&token, claims.expires() - Duration::from_nanos(1)), Ok(claims.clone()));
        assert_eq!(signer().verify(&token, claims.expires()), Err(TokenError::Expired));
    }
}

#[test]
fn secrets_rotate() {
    let before = Signer::new(OLD, None).unwrap();
    let between = Signer::new(SECRET, Some(OLD)).unwrap();
    let after = signer();
    let old = before.sign(&claims("a"));
    let new = between.sign(&claims("a"));
    let cases = [
        ("old, before", &before, &old, Ok(claims("a"))),
        ("old, between", &between, &old, Ok(claims("a"))),
        ("old, after", &after, &old, Err(TokenError::BadSignature)),
        ("new, before", &before, &new, Err(TokenError::BadSignature)),
        ("new, between", &between, &new, Ok(claims("a"))),
        ("new, after", &after, &new, Ok(claims("a"))),
    ];
    for (name, signer, token, want) in cases {
        assert_eq!(signer.verify(token, NOW), want, "{name}");
    }
    for (first, second) in [(&SECRET[..31], None), (b"", None), (SECRET, Some(&OLD[..31])), (SECRET, Some(b""))] {
        let length = second.map_or(first.len(), <[u8]>::len);
        assert_eq!(Signer::new(first, second).err(), Some(SecretError { length }), "too short");
    }
    assert!(Signer::new(&SECRET[..32], Some(&OLD[..32])).is_ok());
    assert_eq!(format!("{between:?}"), "Signer(***)");
}

#[test]
fn invalid_keys() {
    let payload = |json: &str| signed(&encode_url(json.as_bytes()));
    let token = signer().sign(&claims("a"));
    let (head, tag) = token.split_once('.').unwrap();
    let models = |count: usize| serde_json::to_string(&vec!["m"; count]).unwrap();
    let cases = [
        ("nothing", String::new(), TokenError::NotAToken),
        ("another key", "sk-1".to_owned(), TokenError::NotAToken),
        ("another case", token.replace("sk-", "SK-"), TokenError::NotAToken),
        ("a space before", format!(" {token}"), TokenError::NotAToken),
        ("the beginning", TOKEN_PREFIX.to_owned(), TokenError::Malformed),
        ("no tag", head.to_owned(), TokenError::Malformed),
        ("an empty tag", format!("{head}."), TokenError::Malformed),
        ("a second tag", format!("{token}.{tag}"), TokenError::Malformed),
        ("padding", format!("{token}="), TokenError::Malformed),
        ("a longer tag", format!("{token}AAAA"), TokenError::Malformed),
        ("a space", format!("{token} "), TokenError::Malformed),
        ("no payload, another's tag", format!("{TOKEN_PREFIX}.{tag}"), TokenError::BadSignature),
        ("a tag over nothing", signed(""), TokenError::Malformed),
        ("no base64", signed("é"), TokenError::Malformed),
        ("padded base64", signed("e30="), TokenError::Malformed),
        ("too long", format!("{TOKEN_PREFIX}{}.{tag}", "A".repeat(4096)), TokenError::NotAToken),
        ("no JSON", payload("{"), TokenError::Malformed),
        ("no fields", payload("{}"), TokenError::Malformed),
        ("no end", payload(r#"{"id":"a","iat":1}"#), TokenError::Malformed),
        ("an unknown field", payload(r#"{"id":"a","exp":1900000000,"iat":1,"x":1}"#), TokenError::Malformed),
        ("a field twice", payload(r#"{"id":"a","id":"a","exp":1900000000,"iat":1}"#), TokenError::Malformed),
        ("an unknown role", payload(r#"{"id":"a","exp":1900000000,"iat":1,"role":"root"}"#), TokenError::Malformed),
        ("an unknown limit", payload(r#"{"id":"a","exp":1900000000,"iat":1,"limits":{"x":1}}"#), TokenError::Malformed),
        ("an id of two lines", payload(r#"{"id":"a\n","exp":1900000000,"iat":1}"#), TokenError::Malformed),
        ("an end before its beginning", payload(r#"{"id":"a","exp":1,"iat":1}"#), TokenError::Malformed),
        ("no model", payload(r#"{"id":"a","exp":1900000000,"iat":1,"models":[]}"#), TokenError::Malformed),
        (
            "many models",
            payload(&format!(r#"{{"id":"a","exp":1900000000,"iat":1,"models":{}}}"#, models(65))),
            TokenError::Malformed,
        ),
        ("ended", payload(r#"{"id":"a","exp":2,"iat":1}"#), TokenError::Expired),
    ];
    for (name, token, want) in cases {
        assert_eq!(signer().verify(&token, NOW), Err(want), "{name}");
    }
    let most = payload(&format!(r#"{{"id":"a","exp":1900000000,"iat":1,"models":{}}}"#, models(64)));
    assert!(signer().verify(&most, NOW).is_ok());
}

#[test]
fn unverified_claims() {
    let token = Signer::new(OLD, None).unwrap().sign(&all_claims());
    assert_eq!(Claims::unverified(&token), Ok(all_claims()));
    assert_eq!(Claims::unverified("sk-1"), Err(TokenError::NotAToken));
    assert_eq!(Claims::unverified("sk-sluice-e30.x"), Err(TokenError::Malformed));
}

#[test]
fn the_largest_claims_fit_into_a_key() {
    let mut claims = all_claims();
    while claims.check().is_ok() {
        claims.models.as_mut().unwrap().push("m".repeat(100));
    }
    claims.models.as_mut().unwrap().pop();
    let token = signer().sign(&claims);
    assert!((3900..=4096).contains(&token.len()), "{}", token.len());
    assert_eq!(signer().verify(&token, NOW), Ok(claims));
}

proptest! {
    #![proptest_config(crate::cases(2000))]

    /// Exactly one text is the key: any changed, removed or added bit or byte makes it invalid.
    #[test]
    fn changed_keys_are_invalid(
        at in any::<prop::sample::Index>(),
        kind in 0..6_u8,
        value in any::<u8>(),
        large in any::<bool>(),
    ) {
        let token = signer().sign(&if large { all_claims() } else { claims("a") });
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] ^= 1 << (value % 8),
            1 => bytes[at] = value,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, value),
            4 => drop(bytes.remove(at)),
            _ => bytes.push(value),
        }
        if let Some(text) = String::from_utf8(bytes).ok().filter(|text| *text != token) {
            prop_assert!(signer().verify(&text, NOW).is_err(), "{}", text);
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_refused(text in text(), prefixed in any::<bool>()) {
        let text = if prefixed { format!("{TOKEN_PREFIX}{text}") } else { text };
        prop_assert!(signer().verify(&text, NOW).is_err());
    }

    #[test]
    fn round_trip(
        id in of_characters("aZ09@:/.!~{}\"\\", 1..=128),
        admin in any::<bool>(),
        models in prop::option::of(prop::collection::vec(of_characters("abcé\"*", 1..12), 1..64)),
        life in 1..u64::from(u32::MAX),
        requests in prop::option::of(1..u64::MAX),
        labels in prop::collection::btree_map(of_characters("a-_.Z9", 1..8), of_characters("a€\\ ", 1..8), 0..16),
    ) {
        let claims = Claims {
            role: if admin { Role::Admin } else { Role::User },
            models,
            exp: NOW.as_secs() + life,
            limits: Limits { requests_per_minute: requests, ..Limits::default() },
            labels,
            ..claims(&id)
        };
        prop_assert_eq!(claims.check(), Ok(()));
        prop_assert_eq!(signer().verify(&signer().sign(&claims), NOW), Ok(claims));
    }
}
