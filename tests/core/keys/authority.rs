use std::rc::Rc;
use std::time::Duration;

use sluice::config;
use sluice::keys::{Auth, KeyError, KeyHash};

use super::identity;
use super::token::{claims, signer, SECRET};
use super::NOW;

fn auth(fields: &str) -> Auth {
    let environment = |_: &str| String::from_utf8(SECRET.to_vec()).ok();
    let text = format!(r#"{{"virtual_keys":{{"secrets":[{{"env":"S"}}]}}{fields}}}"#);
    config::auth(text.as_bytes(), &environment).unwrap()
}

#[test]
fn every_kind_of_key_is_known() {
    let ended = KeyHash::of("ended").to_text();
    let own = KeyHash::of("sk-sluice-own").to_text();
    let keys = format!(
        r#","keys":[{{"id":"one","hash":"{ended}","expires":"2020-01-01"}},{{"id":"own","hash":"{own}"}}],"revoked":["own"]"#
    );
    let auth = auth(&keys);
    let token = signer().sign(&claims("alice"));
    let changed = format!("{token}A");
    let cases = [
        ("a virtual key", token.as_str(), NOW, Ok("alice")),
        ("again", token.as_str(), NOW, Ok("alice")),
        ("when it has ended", token.as_str(), NOW + Duration::from_secs(60), Err(KeyError::Expired)),
        ("before that", token.as_str(), NOW, Ok("alice")),
        ("a changed one", changed.as_str(), NOW, Err(KeyError::Unknown)),
        ("a configured key that ended", "ended", NOW, Err(KeyError::Expired)),
        ("a configured key that looks like a virtual one", "sk-sluice-own", NOW, Ok("own")),
        ("no key", "", NOW, Err(KeyError::Unknown)),
        ("another key", "sk-1", NOW, Err(KeyError::Unknown)),
    ];
    for (name, key, now, want) in cases {
        assert_eq!(
            auth.identify(key, now).as_ref().map(|found| found.id.as_str()).map_err(|error| *error),
            want,
            "{name}"
        );
    }
    assert!(auth.is_revoked(&identity("own"), NOW) && !auth.is_revoked(&identity("alice"), NOW));
    let late = signer().sign(&claims("late"));
    assert_eq!(auth.identify(&late, NOW + Duration::from_secs(60)), Err(KeyError::Expired), "never seen before");
    let printed = format!("{auth:?}");
    assert!(
        !printed.contains("first secret") && !printed.contains(&token) && !printed.contains(&own[7..]),
        "{printed}"
    );
}

#[test]
fn keys_in_use_stay_cached() {
    let auth = auth("");
    let often = signer().sign(&claims("often"));
    let rarely = signer().sign(&claims("rarely"));
    let first = auth.identify(&often, NOW).unwrap();
    let seldom = auth.identify(&rarely, NOW).unwrap();
    for index in 0..1500 {
        auth.identify(&signer().sign(&claims(&format!("k{index}"))), NOW).unwrap();
        if index % 100 == 0 {
            assert!(Rc::ptr_eq(&first, &auth.identify(&often, NOW).unwrap()), "{index}");
        }
    }
    let again = auth.identify(&rarely, NOW).unwrap();
    assert!(!Rc::ptr_eq(&seldom, &again) && seldom == again, "forgotten, and verified again");
}

#[test]
fn without_secrets_there_are_no_virtual_keys() {
    let hash = KeyHash::of("k").to_text();
    let auth = config::auth(format!(r#"{{"keys":[{{"id":"k","hash":"{hash}"}}]}}"#).as_bytes(), &|_| None).unwrap();
    assert_eq!(auth.identify(&signer().sign(&claims("alice")), NOW), Err(KeyError::Unknown));
}
