use proptest::collection::vec;
use proptest::prelude::*;
use sluice::password::{Derivation, Progress};

use super::{hash, SALT};

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn vectors() {
    let block: &[u8] = &[b'k'; 64];
    let longer: &[u8] = &[b'k'; 65];
    let counted: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    let cases: [(&[u8], &[u8], u32, &str); 6] = [
        // RFC 7914, section 11: the first of the two blocks there
        (b"passwd", b"salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),
        (b"Password", b"NaCl", 80_000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"),
        // hashlib.pbkdf2_hmac of Python
        ("pässword €".as_bytes(), counted, 4096, "c5842ab65d2c4302f7f45bac2880fbb82d11891de937689d82848fb57ff8de98"),
        (block, &[b's'; 64], 1000, "9e1e1780a883066a31aa43e13efeac6d0a538b29552c515529ed5ed1aab37f60"),
        (longer, b"saltsalt", 1000, "0b89dda7abbc28035bd0f9fbfe807101dcf43c5c112f2faa8886ca7199efed04"),
        (b"", b"saltsalt", 1000, "3e0661ee06a100bed97329d06f71c16ab8ca76a14b7dc1fe6ad3f29ae3efffdb"),
    ];
    for (password, salt, iterations, want) in cases {
        let mut derivation = Derivation::start(password, salt, iterations);
        assert_eq!(derivation.work(iterations), Progress::Done);
        assert_eq!(derivation.derived().map(hex).as_deref(), Some(want), "{iterations} iterations");
    }
}

#[test]
fn it_matches_once_finished() {
    let open = hash("sesame", 1000);
    let mut derivation = Derivation::start(b"sesame", SALT, 1000);
    assert_eq!(derivation.work(0), Progress::More, "no budget");
    assert_eq!(derivation.work(998), Progress::More);
    assert_eq!((derivation.left(), derivation.derived()), (1, None));
    assert!(!derivation.matches(open.hash()), "not yet");
    assert_eq!(derivation.work(1), Progress::Done);
    assert!(derivation.matches(open.hash()));
    assert_eq!(derivation.work(u32::MAX), Progress::Done, "more work changes nothing");
    assert!(derivation.matches(open.hash()));
    for (name, other) in [("password", hash("Sesame", 1000)), ("iterations", hash("sesame", 1001))] {
        assert!(!derivation.matches(other.hash()), "of another {name}");
    }
    assert_eq!(Derivation::start(b"x", SALT, 0).left(), 0, "there is always one iteration");
}

#[test]
fn nothing_prints_its_state() {
    assert_eq!(format!("{:?}", Derivation::start(b"sesame", SALT, 1000)), "Derivation(***, 999 left)");
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn the_time_of_ten_thousand_iterations() {
    let mut derivation = Derivation::start(b"sesame", SALT, 10_001);
    let start = std::time::Instant::now();
    assert_eq!(derivation.work(10_000), Progress::Done);
    println!("10,000 iterations: {:?}", start.elapsed());
}

proptest! {
    #![proptest_config(crate::cases(64))]

    #[test]
    fn any_slicing_gives_the_same_result(
        password in vec(any::<u8>(), 0..100),
        salt in vec(any::<u8>(), 0..70),
        iterations in 1..200u32,
        slices in vec(0..40u32, 0..20),
    ) {
        let mut whole = Derivation::start(&password, &salt, iterations);
        prop_assert_eq!(whole.work(u32::MAX), Progress::Done);
        let mut sliced = Derivation::start(&password, &salt, iterations);
        for slice in slices {
            let left = sliced.left().saturating_sub(slice);
            let progress = sliced.work(slice);
            prop_assert_eq!(sliced.left(), left);
            prop_assert_eq!(progress == Progress::Done, left == 0);
        }
        sliced.work(u32::MAX);
        prop_assert_eq!(sliced.derived(), whole.derived());
    }
}
