mod admin;
mod authority;
mod issue;
mod oidc;
mod revocations;
mod timing;
mod token;
mod verified_claims;

use std::time::Duration;

use sluice::keys::{bearer, Identity, KeyError, KeyHash, KeyRing, Role};
use sluice::pattern::{matches, Patterns};

/// SHA-256 of `abc` (FIPS 180-2, B.1).
const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// 2027-01-15T08:00:00Z
const NOW: Duration = Duration::from_secs(1_800_000_000);

fn identity(id: &str) -> Identity {
    Identity::new(id, Role::User, Patterns::any())
}

#[test]
fn hashes() {
    assert!(KeyHash::parse(ABC) == Some(KeyHash::of("abc")));
    let upper = format!("sha256:{}", ABC[7..].to_uppercase());
    assert!(KeyHash::parse(&upper) == Some(KeyHash::of("abc")), "upper case");
    let wrong = [
        ("empty", String::new()),
        ("no prefix", ABC[7..].to_owned()),
        ("another prefix", ABC.replace("sha256", "sha512")),
        ("a digit short", ABC[..ABC.len() - 1].to_owned()),
        ("a digit long", format!("{ABC}0")),
        ("no digit", ABC.replace("ba", "bg")),
        ("not ASCII, of the right length", format!("sha256:{}", "é".repeat(32))),
        ("a sign", ABC.replace("sha256:ba", "sha256:+a")),
        ("a line break", format!("{ABC}\n")),
    ];
    for (name, text) in wrong {
        assert!(KeyHash::parse(&text).is_none(), "{name}");
    }
}

#[test]
fn a_ring_finds_its_keys() {
    let mut ring = KeyRing::default();
    let longest = "k".repeat(4096);
    assert!(ring.insert(KeyHash::of("sk-1"), identity("one")));
    assert!(ring.insert(KeyHash::of("ключ"), identity("two")));
    assert!(ring.insert(KeyHash::of(&longest), identity("long")));
    assert!(ring.insert(KeyHash::of(""), identity("empty")));
    assert!(!ring.insert(KeyHash::of("sk-1"), identity("again")), "the same hash");
    let too_long = format!("{longest}k");
    let cases = [
        ("sk-1", Some("again")),
        ("ключ", Some("two")),
        (longest.as_str(), Some("long")),
        (too_long.as_str(), None),
        ("", None),
        ("sk-2", None),
        ("sk-1 ", None),
        ("SK-1", None),
        (ABC, None),
    ];
    for (key, want) in cases {
        let found = ring.find(key, NOW).map(|identity| identity.id.clone());
        assert_eq!(found.as_deref().ok(), want, "{}", &key[..key.len().min(8)]);
    }
}

#[test]
fn keys_expire() {
    let mut ring = KeyRing::default();
    ring.insert(KeyHash::of("k"), Identity { expires: Some(NOW), ..identity("one") });
    let nanosecond = Duration::from_nanos(1);
    assert!(ring.find("k", NOW - nanosecond).is_ok());
    for now in [NOW, NOW + nanosecond, Duration::MAX] {
        assert_eq!(ring.find("k", now), Err(KeyError::Expired), "{now:?}");
    }
}

#[test]
fn nothing_prints_a_hash() {
    let mut ring = KeyRing::default();
    ring.insert(KeyHash::of("abc"), identity("one"));
    let printed = format!("{ring:?} {:?}", KeyHash::of("abc"));
    assert!(printed.contains("KeyHash(***)"), "{printed}");
    assert!(!printed.contains("ba78") && !printed.contains("186"), "{printed}");
}

#[test]
fn bearers() {
    let cases = [
        ("Bearer k", Some("k")),
        ("bearer k", Some("k")),
        ("BEARER  k ", Some("k")),
        ("Bearer ", Some("")),
        ("Bearer", None),
        ("Bearerk", None),
        ("k", None),
        ("Basic k", None),
        (" Bearer k", None),
        ("", None),
        ("Bearer a b", Some("a b")),
    ];
    for (header, want) in cases {
        assert_eq!(bearer(header), want, "{header:?}");
    }
}

#[test]
fn patterns() {
    let cases = [
        ("gpt-4o", "gpt-4o", true),
        ("gpt-4o", "gpt-4o-mini", false),
        ("gpt-4o", "GPT-4o", false),
        ("gpt-*", "gpt-4o", true),
        ("gpt-*", "gpt-", true),
        ("gpt-*", "gpt", false),
        ("*", "", true),
        ("*", "anything", true),
        ("", "", true),
        ("", "x", false),
        ("a*b", "a*b", true),
        ("a*b", "axb", false),
        ("a**", "a*c", true),
        ("a**", "ab", false),
    ];
    for (pattern, name, want) in cases {
        assert_eq!(matches(pattern, name), want, "{pattern} {name}");
    }
    assert!(!Patterns::new(Vec::new()).matches("m"), "no pattern matches nothing");
}
