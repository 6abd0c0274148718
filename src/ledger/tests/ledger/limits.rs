//! Shared limits, as a service sees them.

use sluice_ledger::proto::{Descriptor, Entry, Limit, RateLimitRequest, UInt64Value, OK, OVER_LIMIT};
use sluice_ledger::{Decision, Limits};

use super::Kept;

/// 2026-11-27T10:00:05Z
const NOW: i64 = 1_795_773_605;
const MINUTE: i32 = 2;
const DAY: i32 = 4;
const MONTH: i32 = 5;

fn descriptor(id: &str, what: &str, limit: u32, unit: i32, hits: u64) -> Descriptor {
    let entry = |key: &str, value: &str| Entry { key: key.to_owned(), value: value.to_owned() };
    Descriptor {
        entries: vec![entry("subject", "key"), entry("id", id), entry("limit", what)],
        limit: Some(Limit { requests_per_unit: limit, unit }),
        hits_addend: Some(UInt64Value { value: hits }),
    }
}

fn request(descriptors: &[Descriptor]) -> RateLimitRequest {
    RateLimitRequest { domain: "sluice".to_owned(), descriptors: descriptors.to_vec(), hits_addend: 0 }
}

/// The result, and the rest of each limit.
fn ask(limits: &mut Limits, descriptors: &[Descriptor], now: i64) -> (Decision, Vec<(bool, u32)>) {
    let (answer, decision) = limits.decide(&request(descriptors), now).unwrap();
    let statuses: Vec<_> =
        answer.statuses.iter().map(|status| (status.code == OVER_LIMIT, status.limit_remaining)).collect();
    assert_eq!(answer.overall_code == OK, statuses.iter().all(|(over, _)| !over));
    (decision, statuses)
}

#[test]
fn exactly_so_many_in_a_minute_of_the_clock() {
    let mut limits = Limits::default();
    let one = [descriptor("alice", "requests_per_minute", 3, MINUTE, 1)];
    for left in [2, 1, 0] {
        assert_eq!(ask(&mut limits, &one, NOW), (Decision::Passes, vec![(false, left)]));
    }
    assert_eq!(ask(&mut limits, &one, NOW + 54), (Decision::Refused, vec![(true, 0)]));
    let other = [descriptor("bob", "requests_per_minute", 3, MINUTE, 1)];
    assert_eq!(ask(&mut limits, &other, NOW).0, Decision::Passes, "somebody else's");
    assert_eq!(ask(&mut limits, &one, NOW + 55), (Decision::Passes, vec![(false, 2)]), "10:01:00");
}

#[test]
fn all_are_counted_or_none() {
    let mut limits = Limits::default();
    let both = |first, second| {
        [
            descriptor("alice", "requests_per_minute", first, MINUTE, 1),
            descriptor("team", "requests_per_minute", second, MINUTE, 1),
        ]
    };
    assert_eq!(ask(&mut limits, &both(5, 1), NOW), (Decision::Passes, vec![(false, 4), (false, 0)]));
    for _ in 0..3 {
        assert_eq!(ask(&mut limits, &both(5, 1), NOW), (Decision::Refused, vec![(false, 4), (true, 0)]));
    }
}

#[test]
fn what_has_been_used_counts_in_any_case() {
    let mut limits = Limits::default();
    let look = [
        descriptor("alice", "requests_per_minute", 9, MINUTE, 1),
        descriptor("alice", "tokens_per_month", 100, MONTH, 0),
    ];
    assert_eq!(ask(&mut limits, &look, NOW), (Decision::Passes, vec![(false, 8), (false, 100)]));
    let charge = |hits| [descriptor("alice", "tokens_per_month", 100, MONTH, hits)];
    assert_eq!(ask(&mut limits, &charge(70), NOW), (Decision::Charged, vec![(false, 30)]));
    assert_eq!(ask(&mut limits, &charge(70), NOW), (Decision::Charged, vec![(true, 0)]));
    assert_eq!(ask(&mut limits, &look, NOW), (Decision::Refused, vec![(false, 8), (true, 0)]));
    let december = NOW + 4 * 86_400;
    assert_eq!(ask(&mut limits, &look, december), (Decision::Passes, vec![(false, 8), (false, 100)]));
}

#[test]
fn limits_that_nobody_has_set() {
    let mut limits = Limits::default();
    let mut open = descriptor("alice", "requests_per_minute", 0, MINUTE, 1);
    open.limit = None;
    assert_eq!(ask(&mut limits, &[open], NOW).0, Decision::Passes);
    assert_eq!(ask(&mut limits, &[descriptor("alice", "x", 0, 99, 1)], NOW).0, Decision::Passes, "no such unit");
    assert!(limits.is_empty());
}

#[test]
fn a_restart_forgets_nothing() {
    let mut kept = Kept::new("restart");
    let mut limits = Limits::default();
    let hits = |hits| {
        [
            descriptor("alice", "tokens_per_minute", 100, MINUTE, hits),
            descriptor("alice", "tokens_per_day", 100, DAY, hits),
        ]
    };
    ask(&mut limits, &hits(60), NOW);
    let changed = limits.take_changed();
    assert_eq!((changed.len(), limits.take_changed().len()), (2, 0));
    kept.store.put_counters(&changed, NOW).unwrap();
    kept.again();
    let later = NOW + 60;
    let mut limits = Limits::new(kept.store.counters().unwrap(), later);
    assert_eq!(limits.len(), 1, "the minute has passed");
    assert_eq!(ask(&mut limits, &hits(0), later), (Decision::Passes, vec![(false, 100), (false, 40)]));
    kept.store.put_counters(&[], later).unwrap();
    assert_eq!(kept.store.counters().unwrap().len(), 1);
}
