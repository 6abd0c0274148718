use sluice::health::{Health, Policy, Reason, StandingChange, Verdict};
use sluice::outcome::Outcome;

use super::{after, at, LEASE};
use Reason::{ConsecutiveFailures, Manual, RetryAfter};
use StandingChange::Restored;

/// Ejected three times in a row; returns at 221.
fn ejected_thrice() -> (Health, Policy) {
    let policy = after(1);
    let mut health = Health::default();
    let _ = health.judge(Verdict::Failure, None, None, at(10), &policy);
    for now in [40, 100] {
        let lease = health.probe(at(now), LEASE);
        let _ = health.judge(Verdict::Failure, None, lease, at(now), &policy);
    }
    let lease = health.probe(at(220), LEASE);
    assert_eq!(health.judge(Verdict::Success, None, lease, at(221), &policy), Restored);
    (health, policy)
}

#[test]
fn ejections_are_forgotten() {
    // seconds in the pool, counted ejections, seconds out
    let cases = [(0, 3, 240), (29, 3, 240), (30, 2, 120), (60, 1, 60), (89, 1, 60), (90, 0, 30), (9_999, 0, 30)];
    for (healthy, want, pause) in cases {
        let (mut health, policy) = ejected_thrice();
        let now = at(221 + healthy);
        assert_eq!(health.ejections(now, &policy), want, "after {healthy}");
        let _ = health.judge(Verdict::Failure, None, None, now, &policy);
        assert_eq!(health.until(), Some(now + at(pause)), "after {healthy}");
        assert_eq!(health.ejections(now + at(9_999), &policy), want + 1, "not while it is out");
    }
    let (mut health, policy) = ejected_thrice();
    let _ = health.judge(Verdict::Failure, Some(at(9)), None, at(251), &policy);
    assert_eq!((health.reason(), health.ejections(at(251), &policy)), (Some(RetryAfter), 2), "also before a pause");
    let (health, policy) = ejected_thrice();
    assert_eq!(health.ejections(at(1), &policy), 3, "another worker's clock is behind");
}

#[test]
fn the_listing() {
    let mut health = Health::default();
    assert_eq!((health.reason(), health.until(), health.consecutive_failures()), (None, None, 0));
    for _ in 0..6 {
        let _ = health.judge(Verdict::Failure, None, None, at(1), &Policy::default());
    }
    assert_eq!((health.reason(), health.until()), (Some(ConsecutiveFailures), Some(at(31))));
    assert_eq!((health.consecutive_failures(), health.ejections(at(1), &Policy::default())), (6, 1));
    let _ = health.eject(None, at(2));
    assert_eq!((health.reason(), health.until(), health.consecutive_failures()), (Some(Manual), None, 0));
}

#[test]
fn verdicts() {
    let of_status = |status| Verdict::of(Outcome::of_status(status));
    for (want, statuses) in [
        (Verdict::Success, vec![200, 204, 400, 403, 404, 413, 422]),
        (Verdict::Credential, vec![401, 402]),
        (Verdict::Neutral, vec![408, 409, 425]),
        (Verdict::Failure, vec![0, 101, 302, 304, 429, 500, 502, 503, 529, 999]),
    ] {
        for status in statuses {
            assert_eq!(of_status(status), want, "{status}");
        }
    }
    for outcome in [Outcome::ConnectFailure, Outcome::Reset, Outcome::Timeout, Outcome::BadStream, Outcome::BadResponse]
    {
        assert_eq!(Verdict::of(outcome), Verdict::Failure, "{outcome:?}");
    }
    assert_eq!(Verdict::of(Outcome::Interrupted), Verdict::Failure);
    assert_eq!(Verdict::of(Outcome::Abandoned), Verdict::Neutral);
}

#[test]
fn reasons_differ() {
    let mut labels = Reason::ALL.map(Reason::label).to_vec();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), Reason::ALL.len());
}
