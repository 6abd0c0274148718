use std::time::Duration;

use proptest::prelude::*;
use sluice::keys::{Claims, Issued, Revocations, RevokeError};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::token::claims;
use super::NOW;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn revoked_for_the_longest_time_asked_for() {
    let cases = [
        ("once", vec![Some(at(5))], Some(at(5))),
        ("longer", vec![Some(at(5)), Some(at(9))], Some(at(9))),
        ("shorter", vec![Some(at(9)), Some(at(5))], Some(at(9))),
        ("then for ever", vec![Some(at(9)), None], None),
        ("for ever, then shorter", vec![None, Some(at(9))], None),
        ("longer than can be told", vec![Some(Duration::MAX)], None),
        ("to the microsecond", vec![Some(Duration::from_micros(1500))], Some(Duration::from_millis(2))),
    ];
    for (name, times, want) in cases {
        let mut revoked = Revocations::default();
        times.into_iter().for_each(|until| revoked.revoke("a", until).unwrap());
        assert_eq!(revoked.iter().collect::<Vec<_>>(), [("a", want)], "{name}");
        assert!(revoked.is_revoked("a", at(0)) && !revoked.is_revoked("b", at(0)), "{name}");
        assert_eq!(revoked.is_revoked("a", Duration::MAX), want.is_none(), "{name}");
        revoked.prune(want.unwrap_or(Duration::MAX));
        assert_eq!(revoked.is_empty(), want.is_some(), "{name}: pruned");
    }
}

#[test]
fn there_is_room_for_so_many() {
    let mut revoked = Revocations::default();
    for index in 0..Revocations::MAX {
        assert_eq!(revoked.revoke(&format!("k{index}"), Some(at(index as u64))), Ok(()));
    }
    assert_eq!(revoked.revoke("one more", None), Err(RevokeError::TooMany));
    assert_eq!(revoked.revoke("k7", None), Ok(()), "one that is there");
    let again = Revocations::decode(&revoked.encode());
    assert_eq!(again.as_ref(), Some(&revoked));
    let one_more = [revoked.encode(), b"\x01\0z\0\0\0\0\0\0\0\0".to_vec()].concat();
    assert_eq!(Revocations::decode(&one_more), None);
    revoked.prune(at(9_000));
    assert_eq!(revoked.len(), 1_000);
    assert_eq!(revoked.revoke("one more", None), Ok(()));
    assert_eq!(revoked.revoke(&"x".repeat(1024), None), Ok(()));
    assert_eq!(revoked.revoke(&"x".repeat(1025), None), Err(RevokeError::IdTooLong));
    assert!(Revocations::decode(&revoked.encode()) == Some(revoked));
}

#[test]
fn other_bytes() {
    let mut two = Revocations::default();
    two.revoke("a", None).unwrap();
    two.revoke("b", Some(at(1))).unwrap();
    let bytes = two.encode();
    assert_eq!(bytes, b"\x01\x01\0a\xff\xff\xff\xff\xff\xff\xff\xff\x01\0b\xe8\x03\0\0\0\0\0\0");
    let entry = &bytes[1..12];
    let cases: [(&str, Vec<u8>, Option<usize>); 10] = [
        ("nothing", vec![], Some(0)),
        ("the version alone", vec![1], Some(0)),
        ("as written", bytes.clone(), Some(2)),
        ("another version", [&[2], &bytes[1..]].concat(), None),
        ("another version alone", vec![2], None),
        ("cut", bytes[..bytes.len() - 1].to_vec(), None),
        ("cut in a length", [&[1], &entry[..1]].concat(), None),
        ("a length beyond the end", b"\x01\xff\xffa".to_vec(), None),
        ("twice the same", [&[1], entry, entry].concat(), None),
        ("no UTF-8", b"\x01\x01\0\xff\0\0\0\0\0\0\0\0".to_vec(), None),
    ];
    for (name, bytes, want) in cases {
        assert_eq!(Revocations::decode(&bytes).map(|revoked| revoked.len()), want, "{name}");
    }
}

#[test]
fn the_keys_issued_last() {
    let mut issued = Issued::default();
    for index in 0..Issued::MAX + 2 {
        issued.add(Claims { exp: NOW.as_secs() + 1 + index as u64, ..claims(&format!("k{index}")) });
    }
    assert_eq!(issued.iter().count(), Issued::MAX);
    assert_eq!(issued.iter().next().unwrap().id, "k2", "the oldest made room");
    assert_eq!(Issued::decode(&issued.encode()), issued);
    issued.prune(NOW + at(1000));
    assert_eq!(issued.iter().map(|claims| claims.id.as_str()).collect::<Vec<_>>(), ["k1000", "k1001"]);
    let bytes = issued.encode();
    for bytes in [&[], &[2][..], &bytes[..bytes.len() - 1], b"\x01\x02\0{}", b"\x01\xff\xff"] {
        assert_eq!(Issued::decode(bytes), Issued::default());
    }
    let many = [vec![1], bytes[1..].repeat(501)].concat();
    assert_eq!(Issued::decode(&many), Issued::default(), "more than are kept");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let versioned = [&[1], bytes.as_slice()].concat();
        for bytes in [bytes, versioned] {
            if let Some(revoked) = Revocations::decode(&bytes).filter(|_| !bytes.is_empty()) {
                prop_assert_eq!(revoked.encode(), bytes.clone());
            }
            let _ = Issued::decode(&bytes);
        }
    }

    #[test]
    fn there_and_back(entries in prop::collection::vec((crate::generate::text(), prop::option::of(0..1_u64 << 40)), 0..20)) {
        let mut revoked = Revocations::default();
        for (id, until) in &entries {
            revoked.revoke(id, until.map(Duration::from_millis)).unwrap();
        }
        prop_assert_eq!(Revocations::decode(&revoked.encode()), Some(revoked.clone()));
        for (id, until) in &entries {
            prop_assert!(revoked.is_revoked(id, until.map_or(Duration::MAX, |until| Duration::from_millis(until.saturating_sub(1)))) || *until == Some(0));
        }
    }
}
