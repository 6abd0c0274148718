use sluice::config::auth;
use sluice::keys::Role;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::refusal;

/// The hash of `abc`, and another one.
const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn good() {
    let text = format!(
        r#"{{"keys":[{{"id":"one","hash":"{ABC}","role":"admin","models":["gpt-*","m"]}},{{"id":"two","hash":"{OTHER}"}}]}}"#
    );
    let ring = auth(text.as_bytes()).unwrap();
    let one = ring.find("abc").unwrap();
    assert_eq!((one.id.as_str(), one.role), ("one", Role::Admin));
    assert_eq!(one.models.iter().collect::<Vec<_>>(), ["gpt-*", "m"]);
    let text = format!(r#"{{"keys":[{{"id":"one","hash":"{ABC}","role":null,"models":null}}]}}"#);
    let ring = auth(text.as_bytes()).unwrap();
    let one = ring.find("abc").unwrap();
    assert_eq!(one.role, Role::User, "by default");
    assert!(one.models.matches("anything"), "by default");
}

#[test]
fn mistakes() {
    let hash = "auth.keys[0].hash: must be \"sha256:\" and 64 hexadecimal digits; make it with: \
                printf %s 'sk-...' | sha256sum";
    let cases = [
        ("", "auth.keys: missing"),
        ("{}", "auth.keys: missing"),
        (r#"{"key":[]}"#, "auth.key: no such field; did you mean \"keys\"?"),
        (r#"{"keys":[]}"#, "auth.keys: no key at all, so nobody could call; add one"),
        (r#"{"keys":{}}"#, "auth.keys: must be a list, but is an object"),
        (r#"{"keys":["k"]}"#, "auth.keys[0]: must be an object, but is a string"),
        (r#"{"keys":[{"hash":"ABC"}]}"#, "auth.keys[0].id: missing"),
        (r#"{"keys":[{"id":""}]}"#, "auth.keys[0].id: must not be empty"),
        (r#"{"keys":[{"id":7}]}"#, "auth.keys[0].id: must be a string, but is a number"),
        (r#"{"keys":[{"id":"a"}]}"#, "auth.keys[0].hash: missing"),
        (r#"{"keys":[{"id":"a","hsah":"ABC"}]}"#, "auth.keys[0].hsah: no such field; did you mean \"hash\"?"),
        (r#"{"keys":[{"id":"a","hash":"sk-secret"}]}"#, hash),
        (
            r#"{"keys":[{"id":"a","hash":"ABC","token":1}]}"#,
            "auth.keys[0].token: no such field; there is id, hash, role, models",
        ),
        (
            r#"{"keys":[{"id":"a","hash":"ABC","role":"amdin"}]}"#,
            "auth.keys[0].role: \"amdin\" is none of its values; did you mean \"admin\"?",
        ),
        (r#"{"keys":[{"id":"a","hash":"ABC","role":true}]}"#, "auth.keys[0].role: must be a string, but is a boolean"),
        (r#"{"keys":[{"id":"a","hash":"ABC","models":"m"}]}"#, "auth.keys[0].models: must be a list, but is a string"),
        (
            r#"{"keys":[{"id":"a","hash":"ABC","models":["m",1]}]}"#,
            "auth.keys[0].models[1]: must be a string, but is a number",
        ),
        (
            r#"{"keys":[{"id":"a","hash":"ABC"},{"id":"a","hash":"OTHER"}]}"#,
            "auth.keys[1]: a second key with the id \"a\"; ids name keys in stats",
        ),
        (
            r#"{"keys":[{"id":"a","hash":"ABC"},{"id":"b","hash":"ABC"}]}"#,
            "auth.keys[1]: the same hash as an earlier key's; give each key its own",
        ),
    ];
    for (text, want) in cases {
        let text = text.replace("ABC", ABC).replace("OTHER", OTHER);
        assert_eq!(refusal(&text, auth(text.as_bytes())), want, "{text}");
    }
}
