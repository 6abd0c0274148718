use std::time::Duration;

use proptest::prelude::*;
use sluice::codec::{Forgettable, SharedRecord};
use sluice::keys::{Claims, Issued, Revocation, Revocations, RevokeError};

use super::token::claims;
use super::NOW;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Of all keys of an id.
fn until(until: Option<Duration>) -> Revocation {
    Revocation { until, ..Revocation::default() }
}

#[test]
fn the_longest_revocation_applies() {
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
        times.into_iter().for_each(|time| revoked.revoke("a", until(time)).unwrap());
        assert_eq!(revoked.get("a"), Some(until(want)), "{name}");
        assert!(revoked.is_revoked("a", Some(NOW), at(0)) && !revoked.is_revoked("b", None, at(0)), "{name}");
        assert_eq!(revoked.is_revoked("a", None, Duration::MAX), want.is_none(), "{name}");
        revoked.prune(want.unwrap_or(Duration::MAX));
        assert_eq!(revoked.is_empty(), want.is_some(), "{name}: pruned");
    }
}

#[test]
fn revoked_before_a_time() {
    let before = |seconds| Revocation { before: Some(at(seconds)), until: None };
    let cases = [
        ("once", vec![before(5)], Some(at(5))),
        ("again", vec![before(5), before(9)], Some(at(9))),
        ("an earlier time", vec![before(9), before(5)], Some(at(9))),
        ("then all", vec![before(9), Revocation::default()], None),
        ("all, then before", vec![Revocation::default(), before(9)], None),
    ];
    for (name, revocations, want) in cases {
        let mut revoked = Revocations::default();
        revocations.into_iter().for_each(|revocation| revoked.revoke("a", revocation).unwrap());
        assert_eq!(revoked.get("a"), Some(Revocation { before: want, until: None }), "{name}");
        let revoked = Revocations::parse(&revoked.encode()).unwrap();
        let found =
            [None, Some(at(4)), Some(at(9)), Some(Duration::MAX)].map(|issued| revoked.is_revoked("a", issued, NOW));
        let later = want.is_none();
        assert_eq!(found, [true, true, later, later], "{name}");
    }
    assert_eq!(Revocation::of_issued_by(Duration::from_millis(1500)), before(2));
    assert_eq!(Revocation::of_issued_by(at(2)), before(3), "a key of this second too");
}

#[test]
fn a_new_key_outlives_the_revocation() {
    let now = NOW.as_secs();
    let before = |time| Revocation { before: Some(time), until: None };
    let cases = [
        ("long ago", before(at(5)), now),
        ("in this second", Revocation::of_issued_by(NOW), now + 1),
        ("after part of a second", before(NOW + Duration::from_millis(1)), now + 1),
        ("as late as may be", before(NOW + at(60)), now + 60),
        ("too late", before(NOW + at(61)), now),
        ("for ever", Revocation::default(), now),
    ];
    for (name, revocation, want) in cases {
        assert_eq!(revocation.next_issue(now), want, "{name}");
    }
}

#[test]
fn restored() {
    let mut revoked = Revocations::default();
    revoked.revoke("a", Revocation::of_issued_by(NOW)).unwrap();
    assert_eq!([revoked.restore("b"), revoked.restore("a"), revoked.restore("a")], [false, true, false]);
    assert!(revoked.is_empty() && !revoked.is_revoked("a", None, NOW));
}

#[test]
fn the_table_is_bounded() {
    let mut revoked = Revocations::default();
    for index in 0..Revocations::MAX {
        assert_eq!(revoked.revoke(&format!("k{index}"), until(Some(at(index as u64)))), Ok(()));
    }
    assert_eq!(revoked.revoke("one more", until(None)), Err(RevokeError::TooMany));
    assert_eq!(revoked.revoke("k7", until(None)), Ok(()), "one that is there");
    let again = Revocations::parse(&revoked.encode());
    assert_eq!(again.as_ref(), Some(&revoked));
    let one_more = [revoked.encode(), [b"\x01\0z".as_slice(), &[0; 16]].concat()].concat();
    assert_eq!(Revocations::parse(&one_more), None);
    revoked.prune(at(9_000));
    assert_eq!(revoked.len(), 1_000);
    assert_eq!(revoked.revoke("one more", until(None)), Ok(()));
    assert_eq!(revoked.revoke(&"x".repeat(1024), until(None)), Ok(()));
    assert_eq!(revoked.revoke(&"x".repeat(1025), until(None)), Err(RevokeError::IdTooLong));
    assert!(Revocations::parse(&revoked.encode()) == Some(revoked));
}

#[test]
fn other_bytes() {
    let mut two = Revocations::default();
    two.revoke("a", until(None)).unwrap();
    two.revoke("b", Revocation { before: Some(at(2)), until: Some(at(1)) }).unwrap();
    let bytes = two.encode();
    let (never, second) = ([0xff; 8].as_slice(), b"\xe8\x03\0\0\0\0\0\0".as_slice());
    let want = [b"\x02\x01\0a".as_slice(), never, never, b"\x01\0b", second, b"\xd0\x07\0\0\0\0\0\0"].concat();
    assert_eq!(bytes, want);
    let entry = &bytes[1..20];
    let cases: [(&str, Vec<u8>, Option<usize>); 13] = [
        ("nothing", vec![], Some(0)),
        ("the version alone", vec![2], Some(0)),
        ("as written", bytes.clone(), Some(2)),
        ("the version before", [b"\x01\x01\0a".as_slice(), second, b"\x01\0b", never].concat(), Some(2)),
        ("the version before, cut", [b"\x01\x01\0a", &second[1..]].concat(), None),
        ("another version", [&[3], &bytes[1..]].concat(), None),
        ("another version alone", vec![3], None),
        ("version zero", vec![0], None),
        ("cut", bytes[..bytes.len() - 1].to_vec(), None),
        ("cut in a length", [&[2], &entry[..1]].concat(), None),
        ("a length beyond the end", b"\x02\xff\xffa".to_vec(), None),
        ("twice the same", [&[2], entry, entry].concat(), None),
        ("no UTF-8", [b"\x02\x01\0\xff".as_slice(), &[0; 16]].concat(), None),
    ];
    for (name, bytes, want) in cases {
        assert_eq!(Revocations::parse(&bytes).map(|revoked| revoked.len()), want, "{name}");
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
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let versioned = [1, 2].map(|version| [&[version], bytes.as_slice()].concat());
        for bytes in [bytes].into_iter().chain(versioned) {
            if let Some(revoked) = Revocations::parse(&bytes).filter(|_| bytes.first() == Some(&2)) {
                prop_assert_eq!(revoked.encode(), bytes.clone());
            }
            let _ = Issued::decode(&bytes);
        }
    }

    #[test]
    fn round_trip(entries in prop::collection::vec((crate::generate::text(), prop::option::of(0..1_u64 << 40)), 0..20)) {
        let mut revoked = Revocations::default();
        for (id, time) in &entries {
            revoked.revoke(id, until(time.map(Duration::from_millis))).unwrap();
        }
        prop_assert_eq!(Revocations::parse(&revoked.encode()), Some(revoked.clone()));
        for (id, until) in &entries {
            prop_assert!(revoked.is_revoked(id, None, until.map_or(Duration::MAX, |until| Duration::from_millis(until.saturating_sub(1)))) || *until == Some(0));
        }
    }
}
