//! Only the signed key is accepted, and an accepted key is exactly as the gateway writes it.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sluice::codec::{Forgettable, SharedRecord};
use sluice::base64::{decode_url, encode_url};
use sluice::date::{timestamp, Timestamp};
use sluice::keys::{IssueRequest, Issued, KeyHash, Revocations, Signer};

const NOW: Duration = Duration::from_secs(1_800_000_000);
const CAP: Duration = Duration::from_secs(90 * 86_400);

static SIGNER: LazyLock<Signer> =
    LazyLock::new(|| Signer::new(b"a secret that has at least 32 bytes", None).expect("long enough"));

static KEY: LazyLock<String> = LazyLock::new(|| {
    let claims = IssueRequest::read(br#"{"id":"a"}"#, CAP, NOW, "");
    SIGNER.sign(&claims.expect("good claims"))
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(claims) = IssueRequest::read(bytes, CAP, NOW, "random") {
        assert_eq!(claims.check(), Ok(()));
        let key = SIGNER.sign(&claims);
        assert!(key.len() <= 4096);
        assert_eq!(SIGNER.verify(&key, NOW), Ok(claims.clone()));
        let mut issued = Issued::default();
        issued.add(claims);
        assert_eq!(Issued::decode(&issued.encode()), issued);
    }
    if let Some(revoked) = Revocations::parse(bytes).filter(|_| !bytes.is_empty()) {
        assert_eq!(revoked.encode(), bytes);
    }
    let _ = Issued::decode(bytes);
    changed_keys_are_none(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // the seed's tag is not of this secret
    assert!(SIGNER.verify(text, NOW).is_err(), "{text}");
    if let Some(decoded) = decode_url(text) {
        assert_eq!(encode_url(&decoded), text);
    }
    if let Some(hash) = KeyHash::parse(text) {
        assert_eq!(hash.to_text(), text.to_ascii_lowercase());
    }
    if let Some(time) = timestamp(text) {
        assert!(timestamp(&Timestamp(time).to_string()).is_some_and(|again| again >= time), "{text}");
    }
});

/// Uses the input as positions in a good key, and the changes there.
fn changed_keys_are_none(changes: &[u8]) {
    let mut key = KEY.clone().into_bytes();
    for change in changes.chunks_exact(2) {
        let place = usize::from(change[0]);
        match key.get_mut(place) {
            Some(byte) => *byte ^= change[1],
            None => key.push(change[1]),
        }
    }
    if changes.len() % 2 == 1 {
        key.truncate(usize::from(changes[0]));
    }
    if let Some(text) = String::from_utf8(key).ok().filter(|text| *text != *KEY) {
        assert!(SIGNER.verify(&text, NOW).is_err(), "{text}");
    }
}
