//! What workers share: every record comes back as it was, and no bytes break a reader.

use std::fmt::Debug;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::codec::{Forgettable, Reader, SharedRecord, Writer};
use sluice::connect_failure::{ConnectFailure, LastFailure};
use sluice::endpoint::Endpoint;
use sluice::health::{AttemptEnd, Blame, ClusterHealth, Health, Policy, Verdict};
use sluice::in_flight::Roster;
use sluice::keys::{Claims, Issued, Revocation, Revocations};
use sluice::limits::{LimitRecord, Limits, UsageEstimate};
use sluice::memory_budget::Peak;
use sluice::stored::{StoredId, StoringCluster, TablePart};
use sluice::stream_ends::StreamEnds;
use sluice::totals::{Caller, Destination, Sums, Totals};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// There and back; and whatever is cut off is no record, or one with fewer entries, which says just these bytes.
fn comes_back<T: SharedRecord + PartialEq + Debug>(record: &T) {
    let bytes = record.encode();
    assert_eq!(T::parse(&bytes).as_ref(), Some(record));
    for end in 0..bytes.len() {
        if let Some(cut) = T::parse(&bytes[..end]).filter(|_| end > 0) {
            assert_eq!(cut.encode(), bytes[..end], "{record:?} cut at {end}");
        }
    }
}

/// What follows a record, or has another version, is none of it.
fn is_strict<T: SharedRecord + PartialEq + Debug>(record: &T) {
    let bytes = record.encode();
    assert_eq!(T::parse(&[&bytes[..], &[0]].concat()), None, "{record:?} and more");
    let mut other = bytes;
    other[0] = 0xf7;
    assert_eq!(T::parse(&other), None, "{record:?} of another version");
}

fn holds<T: SharedRecord + PartialEq + Debug>(record: &T) {
    comes_back(record);
    is_strict(record);
}

fn health() -> ClusterHealth {
    let mut health = ClusterHealth::default();
    let _ = health.eject(Some(at(9)), at(1));
    let ended =
        AttemptEnd { model: "m", verdict: Verdict::Failure, blame: Blame::Model, pause: Some(at(5)), held: None };
    let _ = health.judge(&ended, at(2), &Policy::default());
    health
}

fn limits() -> LimitRecord {
    let mut record = LimitRecord::default();
    let limits = Limits {
        requests_per_minute: Some(9),
        tokens_per_day: Some(1_000_000),
        concurrency: Some(3),
        ..Limits::default()
    };
    record.admit(&limits, UsageEstimate { prompt: 700, output: 5, microusd: 0, vm: 7 }, at(100)).unwrap();
    record
}

fn claims(id: &str) -> Claims {
    serde_json::from_value(serde_json::json!({"id": id, "iat": 1, "exp": 99})).unwrap()
}

#[test]
fn every_record_comes_back() {
    let last = LastFailure { cause: ConnectFailure::Refused, at: 77, reason: "no \u{e9}cho".to_owned() };
    holds(&last);
    let mut ends = StreamEnds::default();
    ends.learn("a", Endpoint::Messages);
    ends.learn("b", Endpoint::Responses);
    holds(&ends);
    holds(&health());
    holds(&health().cluster);
    let mut roster = Roster::default();
    roster.visit(1, None, false, at(1));
    roster.visit(2, None, true, at(2));
    holds(&roster);
    let mut issued = Issued::default();
    issued.add(claims("a"));
    issued.add(claims("b"));
    holds(&issued);
    let mut revoked = Revocations::default();
    revoked.revoke("a", Revocation::of_issued_by(at(3))).unwrap();
    revoked.revoke("b", Revocation::default()).unwrap();
    holds(&revoked);
    holds(&limits());
    let mut peak = Peak::default();
    peak.report(1 << 30, 77, at(5));
    holds(&peak);
    let mut part = TablePart::default();
    part.add(StoredId::of("alice", "resp_1"), StoringCluster::of("a"), "m", at(60), at(1));
    part.add(StoredId::of("alice", "resp_2"), StoringCluster::of("b"), "", at(60), at(1));
    holds(&part);
    let mut totals = Totals::new(20_000);
    let labels = [("team".to_owned(), "red".to_owned())];
    let sums = Sums { requests: 1, input: 300, ..Sums::default() };
    totals.add(&Caller::new("alice", &labels), true, &Destination::new("m", "c"), &sums);
    totals.add(&Caller::new("bob", &[]), false, &Destination::new("m", "d"), &sums);
    holds(&totals);
}

#[test]
fn filters_that_are_being_replaced_share_the_roster() {
    // as it was before it had a version: the step, whether it is stale, and each VM
    let bytes = [&[1, 1][..], &7_u64.to_le_bytes(), &1_000_u64.to_le_bytes(), &[1]].concat();
    let roster = Roster::decode(&bytes);
    assert!(roster.is_busy());
    assert_eq!(roster.encode(), bytes);
}

/// What a record is made of.
#[derive(Clone, Debug)]
enum Field {
    Byte(u8),
    Two(u16),
    Four(u32),
    Eight(u64),
    Number(u64),
    Text(String),
    Array([u8; 3]),
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        any::<u8>().prop_map(Field::Byte),
        any::<u16>().prop_map(Field::Two),
        any::<u32>().prop_map(Field::Four),
        any::<u64>().prop_map(Field::Eight),
        any::<u64>().prop_map(Field::Number),
        (0..300_u64).prop_map(Field::Number),
        crate::generate::text().prop_map(Field::Text),
        any::<[u8; 3]>().prop_map(Field::Array),
    ]
}

fn write(fields: &[Field]) -> Vec<u8> {
    let mut out = Writer::default();
    for field in fields {
        match field {
            Field::Byte(byte) => out.u8(*byte),
            Field::Two(number) => out.u16(*number),
            Field::Four(number) => out.u32(*number),
            Field::Eight(number) => out.u64(*number),
            Field::Number(number) => out.number(*number),
            Field::Text(text) => out.text(text),
            Field::Array(bytes) => out.array(bytes),
        }
    }
    out.into_bytes()
}

/// Whether all of them are there, and nothing else.
fn are_read(fields: &[Field], bytes: &[u8]) -> bool {
    let mut input = Reader::new(bytes);
    let all = fields.iter().all(|field| match field {
        Field::Byte(byte) => input.u8() == Some(*byte),
        Field::Two(number) => input.u16() == Some(*number),
        Field::Four(number) => input.u32() == Some(*number),
        Field::Eight(number) => input.u64() == Some(*number),
        Field::Number(number) => input.number() == Some(*number),
        Field::Text(text) => input.text() == Some(text),
        Field::Array(bytes) => input.array() == Some(*bytes),
    });
    all && input.is_empty()
}

/// Reading it may fail, but nothing else; and what was read is a record like any other.
fn is_harmless<T: Forgettable + PartialEq + Debug>(bytes: &[u8]) {
    let record = T::decode(bytes);
    assert_eq!(T::parse(&record.encode()), Some(record), "{bytes:?}");
}

fn are_harmless(bytes: &[u8]) {
    is_harmless::<ClusterHealth>(bytes);
    is_harmless::<Health>(bytes);
    is_harmless::<StreamEnds>(bytes);
    is_harmless::<Issued>(bytes);
    is_harmless::<TablePart>(bytes);
    is_harmless::<Peak>(bytes);
    is_harmless::<LimitRecord>(bytes);
    is_harmless::<Roster>(bytes);
    is_harmless::<Totals>(bytes);
    let _ = (LastFailure::parse(bytes), Revocations::parse(bytes));
}

proptest! {
    #[test]
    fn fields_come_back(fields in vec(field(), 0..12), end in any::<prop::sample::Index>()) {
        let bytes = write(&fields);
        prop_assert!(are_read(&fields, &bytes));
        if !bytes.is_empty() {
            prop_assert!(!are_read(&fields, &bytes[..end.index(bytes.len())]), "cut");
        }
    }

    #[test]
    fn any_bytes_are_read_or_not(bytes in vec(any::<u8>(), 0..120)) {
        are_harmless(&bytes);
        for version in [0, 1, 2, 6] {
            are_harmless(&[&[version], &bytes[..]].concat());
        }
    }

    #[test]
    fn a_length_reserves_nothing(length in any::<u64>(), bytes in vec(any::<u8>(), 0..9)) {
        let mut out = Writer::default();
        out.number(length);
        let all = [out.into_bytes(), bytes.clone()].concat();
        let mut input = Reader::new(&all);
        let length = input.number().unwrap();
        let items = input.list(length, 1000, Reader::u8);
        prop_assert_eq!(items.map(|items| items.len() as u64), Some(length).filter(|length| *length <= bytes.len() as u64));
    }
}
