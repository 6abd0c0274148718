use proptest::collection::vec;
use proptest::prelude::*;
use sluice::password::{Derivation, HashError, PasswordHash, MAX_ITERATIONS};

use super::SALT;
use crate::generate::text;
use HashError::{Form, Hash, Iterations, Salt};

/// From Python's `hashlib.pbkdf2_hmac`: the password "pässword €", the salt 0, 1, .., 15.
const PYTHONS: &str = "pbkdf2-sha256$4096$AAECAwQFBgcICQoLDA0ODw==$xYQqtl0sQwL39FusKID7uC0RiR3pN2idgoSPtX/43pg=";

#[test]
fn a_python_hash_is_read() {
    for text in [PYTHONS.to_owned(), PYTHONS.replace('=', "")] {
        let hash = PasswordHash::parse(&text).unwrap();
        assert_eq!((hash.iterations(), hash.salt().len()), (4096, 16));
        let mut derivation = Derivation::start("pässword €".as_bytes(), hash.salt(), hash.iterations());
        derivation.work(4096);
        assert!(derivation.matches(hash.hash()), "{text}");
    }
    let salt: Vec<u8> = (0..16).collect();
    assert_eq!(PasswordHash::make("pässword €".as_bytes(), &salt, 4096).as_deref(), Ok(PYTHONS), "made here");
}

#[test]
fn mistakes() {
    const GOOD: &str = "xYQqtl0sQwL39FusKID7uC0RiR3pN2idgoSPtX/43pg";
    let salt = |length: usize| sluice::base64::encode_standard(&vec![1; length]);
    let with = |iterations: &str, salt: &str, hash: &str| format!("pbkdf2-sha256${iterations}${salt}${hash}");
    let good = salt(8);
    let cases = [
        ("good", with("1000", &good, GOOD), None),
        ("the most iterations, the longest salt", with("2000000", &salt(64), GOOD), None),
        ("empty", String::new(), Some(Form)),
        ("a password", "open sesame".into(), Some(Form)),
        ("another scheme", with("1000", &good, GOOD).replace("256", "512"), Some(Form)),
        ("another case", with("1000", &good, GOOD).to_uppercase(), Some(Form)),
        ("a part too few", format!("pbkdf2-sha256$1000${good}"), Some(Form)),
        ("a part too many", with("1000", &good, GOOD) + "$", Some(Form)),
        ("a space before", format!(" {}", with("1000", &good, GOOD)), Some(Form)),
        ("no iterations", with("", &good, GOOD), Some(Iterations)),
        ("too few", with("999", &good, GOOD), Some(Iterations)),
        ("too many", with("2000001", &good, GOOD), Some(Iterations)),
        ("beyond any number", with("99999999999999999999", &good, GOOD), Some(Iterations)),
        ("a sign", with("+1000", &good, GOOD), Some(Iterations)),
        ("a leading zero", with("01000", &good, GOOD), Some(Iterations)),
        ("a space", with("1000 ", &good, GOOD), Some(Iterations)),
        ("no salt", with("1000", "", GOOD), Some(Salt)),
        ("too short a salt", with("1000", &salt(7), GOOD), Some(Salt)),
        ("too long a salt", with("1000", &salt(65), GOOD), Some(Salt)),
        ("a salt that is not base64", with("1000", "salt-salt-salt-", GOOD), Some(Salt)),
        ("no hash", with("1000", &good, ""), Some(Hash)),
        ("a hash of 31 bytes", with("1000", &good, &salt(31)), Some(Hash)),
        ("a hash of 33 bytes", with("1000", &good, &salt(33)), Some(Hash)),
        ("a line end", with("1000", &good, GOOD) + "\n", Some(Hash)),
    ];
    for (name, text, want) in cases {
        assert_eq!(PasswordHash::parse(&text).err(), want, "{name}");
    }
}

#[test]
fn errors_say_how_to_make_one() {
    let cases = [
        (Form, "must be \"pbkdf2-sha256$<iterations>$<base64 salt>$<base64 hash>\"; make one with: python3 -c '"),
        (Iterations, "its iterations must be 1000 to 2000000; make one with: python3 -c '"),
        (Salt, "its salt must be 8 to 64 bytes in base64; make one with: python3 -c '"),
        (Hash, "its hash must be 32 bytes in base64; make one with: python3 -c '"),
    ];
    for (error, start) in cases {
        assert!(error.to_string().starts_with(start), "{error}");
    }
}

#[test]
fn unreadable_hashes_are_not_made() {
    assert_eq!(PasswordHash::make(b"x", SALT, 999), Err(Iterations));
    assert_eq!(PasswordHash::make(b"x", SALT, MAX_ITERATIONS + 1), Err(Iterations));
    assert_eq!(PasswordHash::make(b"x", b"7 bytes", 1000), Err(Salt));
    assert_eq!(PasswordHash::make(b"x", &[0; 65], 1000), Err(Salt));
}

#[test]
fn nothing_prints_a_hash() {
    assert_eq!(format!("{:?}", PasswordHash::parse(PYTHONS)), "Ok(PasswordHash(***))");
}

fn piece() -> impl Strategy<Value = &'static str> {
    let pieces = "pbkdf2-sha256 $ $ 1000 0 9999999999 AAAAAAAAAAA AAECAwQFBgcICQoLDA0ODw== é = -".split(' ');
    prop::sample::select(pieces.collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn any_text(text in text(), pieces in vec(piece(), 0..9)) {
        let _ = PasswordHash::parse(&text);
        let _ = PasswordHash::parse(&pieces.concat());
    }
}
