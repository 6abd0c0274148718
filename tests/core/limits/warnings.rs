use std::time::Duration;

use sluice::limits::shared::{warnings, OnFailure, RateLimitResponse, Service, SharedLimits, Status};
use sluice::limits::{ActualUsage, LimitRecord, Limited, Limits, Subject, Warning};

use super::{admit, ask, at, shared, NONE};

fn warn(record: &mut LimitRecord, limits: &Limits, tokens: u64, now: Duration) -> Vec<(Limited, u64, bool)> {
    let reservation = admit(record, limits, ask(tokens), now).ok();
    let warnings = record.warn(limits, reservation.as_ref(), now);
    assert_eq!(shared(record), *record);
    warnings.into_iter().map(|Warning { what, percent, is_first }| (what, percent, is_first)).collect()
}

#[test]
fn a_limit_warns_once_in_its_window() {
    let limits = Limits { requests_per_minute: Some(5), warn_at: Some(80), ..NONE };
    let mut record = LimitRecord::default();
    let requests = Limited::RequestsPerMinute;
    let cases: [(u64, &[_]); 10] = [
        (0, &[]),
        (1, &[]),
        (2, &[]),
        (3, &[(requests, 80, true)]),
        (4, &[(requests, 100, false)]),
        (5, &[(requests, 100, false)]), // refused
        (60, &[(requests, 100, false)]),
        (61, &[(requests, 100, false)]),
        (62, &[(requests, 100, false)]),
        (63, &[(requests, 100, true)]), // 60 s after the first
    ];
    for (second, want) in cases {
        assert_eq!(warn(&mut record, &limits, 1, at(second)), want, "{second}");
    }
}

#[test]
fn an_estimate_of_the_request_itself_warns_of_nothing() {
    let limits = Limits { tokens_per_month: Some(100), warn_at: Some(50), ..NONE };
    let mut record = LimitRecord::default();
    let month = Limited::TokensPerMonth;
    assert_eq!(warn(&mut record, &limits, 90, at(0)), []);
    assert_eq!(warn(&mut record, &limits, 10, at(1)), [(month, 90, true)]);
    assert_eq!(warn(&mut record, &limits, 1, at(2)), [(month, 100, false)], "refused");
    assert_eq!(warn(&mut record, &limits, 1, at(40 * 86_400)), [], "the next month");
}

#[test]
fn a_refusal_warns_if_no_request_did_before() {
    let limits = Limits { microusd_per_day: Some(100), warn_at: Some(80), ..NONE };
    let mut record = LimitRecord::default();
    let reservation = admit(&mut record, &limits, ask(1), at(0)).unwrap();
    let _ = record.settle(&reservation, ActualUsage::Reported { tokens: 1, microusd: 250 }, 1, at(0));
    assert_eq!(warn(&mut record, &limits, 1, at(1)), [(Limited::CostPerDay, 250, true)]);
}

#[test]
fn without_warn_at_nothing_is_kept() {
    let limits = Limits { requests_per_day: Some(1), warn_at: Some(1), ..NONE };
    let mut record = LimitRecord::default();
    assert_eq!(warn(&mut record, &limits, 1, at(0)).len(), 1);
    let silent = Limits { requests_per_day: Some(9), ..NONE };
    assert_eq!(warn(&mut record, &silent, 1, at(0)), []);
    assert_eq!(warn(&mut record, &limits, 1, at(0)), [(Limited::RequestsPerDay, 200, true)]);
}

#[test]
fn warnings_by_the_count_of_all_envoys() {
    let service =
        Service { cluster: "l".into(), domain: "d".into(), timeout: Duration::ZERO, on_failure: OnFailure::Local };
    let team = Subject::Label("team".into(), "a".into());
    let limits = Limits { requests_per_day: Some(10), microusd_per_month: Some(200), warn_at: Some(80), ..NONE };
    let subjects = vec![(team.clone(), limits), (Subject::All, super::requests(3))];
    let known = SharedLimits { service: service.into(), subjects, uncounted: false };
    let question = known.question();
    let status = |is_over, remaining| Status { is_over, remaining, reset: None };
    let cases = [
        (vec![], vec![]),
        (vec![status(false, 3), status(false, 41), status(false, 0)], vec![]),
        (vec![status(false, 2), status(false, 30), status(false, 0)], vec![(0, 80), (1, 85)]),
        (vec![status(true, 0), status(false, 200), status(true, 0)], vec![(0, 100)]),
    ];
    for (statuses, want) in cases {
        let answer = RateLimitResponse { is_over: false, statuses };
        let kinds = [Limited::RequestsPerDay, Limited::CostPerMonth];
        let want: Vec<_> = want.into_iter().map(|(kind, percent)| (team.clone(), kinds[kind], percent)).collect();
        assert_eq!(warnings(&known, &question, &answer), want);
    }
}
