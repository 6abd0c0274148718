//! `sluice key` as a command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, SystemTime};

use assert_cmd::Command;
use sluice::keys::{Claims, KeyHash, Role, Signer};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The exit code and the output of a call.
fn sluice(arguments: &[&str], secret: Option<&str>, input: &str) -> (i32, String, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sluice"));
    command.args(arguments).write_stdin(input).env_remove("SLUICE_KEY_SECRET").env_remove("OTHER");
    if let Some(secret) = secret {
        command.env("SLUICE_KEY_SECRET", secret);
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

fn verify(token: &str) -> Claims {
    Signer::new(SECRET.as_bytes(), None).unwrap().verify(token.trim_end(), now()).unwrap()
}

#[test]
fn new_keys() {
    let mut keys = Vec::new();
    for (arguments, id, role) in [
        (&["key", "new"][..], "new-key", ""),
        (&["key", "new", "--admin"], "new-key", ", role: admin"),
        (&["key", "new", "--id", "a\"b"], "a\\\"b", ""),
    ] {
        let (code, out, _) = sluice(arguments, None, "");
        let [key, entry] = out.lines().collect::<Vec<_>>()[..] else { panic!("{out}") };
        assert!(code == 0 && key.starts_with("sk-") && key.len() == 46, "{out}");
        assert_eq!(entry, format!("- {{id: \"{id}\", hash: \"{}\"{role}}}", KeyHash::of(key).to_text()));
        keys.push(key.to_owned());
    }
    keys.dedup();
    assert_eq!(keys.len(), 3, "each another");
}

#[test]
fn hashes() {
    let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
    for input in ["abc", "abc\n", "abc\r\n"] {
        assert_eq!(sluice(&["key", "hash"], None, input), (0, abc.to_owned(), String::new()), "{input:?}");
    }
    let long = "k".repeat(4097);
    for input in ["", "\n", "a b", "abc\n\n", " abc", long.as_str()] {
        let (code, out, error) = sluice(&["key", "hash"], None, input);
        assert!(code == 1 && out.is_empty() && error.starts_with("sluice: "), "{input:?}: {error}");
    }
    let (code, _, _) = sluice(&["key", "hash", "abc"], None, "");
    assert_eq!(code, 2, "never from the command line");
}

#[test]
fn signed_keys() {
    let all = "key sign --id alice --models a,b-* --tools get_*,web_search --deny-tools get_x --expires-in 30d --role admin --label team=x --label a=b=c \
               --limit requests_per_minute=100 --limit cost_per_day=2.5";
    let (code, token, error) = sluice(&all.split_whitespace().collect::<Vec<_>>(), Some(SECRET), "");
    assert_eq!(code, 0, "{error}");
    let claims = verify(&token);
    assert_eq!((claims.id.as_str(), claims.role), ("alice", Role::Admin));
    assert_eq!(claims.models.unwrap(), ["a", "b-*"]);
    let tools = claims.tools.unwrap();
    assert_eq!(tools.allow.unwrap(), ["get_*", "web_search"]);
    assert_eq!(tools.deny, ["get_x"]);
    assert_eq!(claims.exp - claims.iat, 30 * 86_400);
    assert_eq!(
        claims.labels.into_iter().collect::<Vec<_>>(),
        [("a".into(), "b=c".into()), ("team".into(), "x".into())]
    );
    assert_eq!((claims.limits.requests_per_minute, claims.limits.microusd_per_day), (Some(100), Some(2_500_000)));

    let (_, token, _) = sluice(&["key", "sign", "--expires-in", "60"], Some(SECRET), "");
    let claims = verify(&token);
    assert_eq!((claims.exp - claims.iat, claims.models, claims.role), (60, None, Role::User));
    assert!(claims.id.starts_with("key-") && claims.id.len() == 20, "{}", claims.id);
}

#[test]
fn what_is_not_signed() {
    let cases: [(&[&str], Option<&str>, &str); 9] = [
        (&[], Some(SECRET), "--expires-in"),
        (&["--expires-in", "60"], None, "the environment variable SLUICE_KEY_SECRET is not set"),
        (&["--expires-in", "60", "--secret-env", "OTHER"], Some(SECRET), "the environment variable OTHER is not set"),
        (&["--expires-in", "60"], Some("short"), "the value of SLUICE_KEY_SECRET has 5 bytes"),
        (&["--expires-in", "366d"], Some(SECRET), "key.expires_in: \"366d\" is not a duration from 1ms to 365d"),
        (&["--expires-in", "60", "--id", "a b"], Some(SECRET), "key.id: must be 1 to 128 ASCII characters"),
        (&["--expires-in", "60", "--limit", "requests=1"], Some(SECRET), "key.limits.requests: no such field"),
        (&["--expires-in", "60", "--limit", "concurrency=x"], Some(SECRET), "\"x\" is not a number"),
        (&["--expires-in", "60", "--label", "team"], Some(SECRET), "must be NAME=VALUE"),
    ];
    for (arguments, secret, want) in cases {
        let (code, out, error) = sluice(&[&["key", "sign"], arguments].concat(), secret, "");
        assert!(code == 2 && out.is_empty() && error.contains(want), "{arguments:?}: {code} {error}");
        assert!(!error.contains(SECRET), "{error}");
    }
}

#[test]
fn inspected_keys() {
    let (_, token, _) = sluice(&["key", "sign", "--id", "alice", "--expires-in", "60"], Some(SECRET), "");
    let mut claims = verify(&token);
    (claims.iat, claims.exp) = (1, 61);
    let expired = Signer::new(SECRET.as_bytes(), None).unwrap().sign(&claims);
    let other = "fedcba9876543210fedcba9876543210";
    let cases = [
        ("the secret", token.as_str(), Some(SECRET), 0, "signature: holds\n"),
        ("no secret", token.as_str(), None, 0, "signature: not checked: the environment variable SLUICE_KEY_SECRET"),
        ("another secret", token.as_str(), Some(other), 1, "signature: does not hold: "),
        ("expired", expired.as_str(), Some(SECRET), 1, "signature: holds, but the key has expired\n"),
        ("expired, no secret", expired.as_str(), None, 0, "expires:   1970-01-01T00:01:01Z"),
    ];
    for (name, token, secret, want, shown) in cases {
        let (code, out, error) = sluice(&["key", "inspect"], secret, token);
        assert_eq!((code, error.is_empty()), (want, want == 0), "{name}: {error}");
        assert!(out.contains("\"id\": \"alice\"") && out.contains(shown), "{name}: {out}");
    }
    for (input, want) in [("", "no key"), ("sk-1", "not a virtual key"), ("sk-sluice-x", "malformed")] {
        let (code, out, error) = sluice(&["key", "inspect"], Some(SECRET), input);
        assert!(code == 1 && out.is_empty() && error.contains(want), "{input}: {error}");
    }
}
