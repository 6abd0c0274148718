//! Limits of an open connection.

use std::time::Duration;

use sluice::limits::{LimitRecord, Limited, Limits, UsageEstimate};

const NOW: Duration = Duration::from_secs(1_000_000);
const ESTIMATE: UsageEstimate = UsageEstimate { prompt: 0, output: 0, microusd: 0, vm: 1 };

#[test]
fn each_response_is_a_request_in_the_same_slot() {
    let limits = Limits { requests_per_minute: Some(2), concurrency: Some(1), ..Limits::default() };
    let mut record = LimitRecord::default();
    record.admit(&limits, ESTIMATE, NOW).unwrap();
    record.admit_turn(&limits, ESTIMATE, NOW).unwrap();
    assert_eq!(record.admit_turn(&limits, ESTIMATE, NOW).unwrap_err().what, Limited::RequestsPerMinute);
    assert_eq!((record.used(Limited::RequestsPerMinute, NOW), record.used(Limited::Concurrency, NOW)), (2, 1));
}

#[test]
fn tokens_are_charged_when_they_are_used() {
    let limits = Limits { tokens_per_minute: Some(100), microusd_per_day: Some(50), ..Limits::default() };
    let mut record = LimitRecord::default();
    record.admit(&limits, ESTIMATE, NOW).unwrap();
    let later = NOW + Duration::from_secs(3600);
    record.charge(60, 20, later);
    assert_eq!((record.used(Limited::TokensPerMinute, later), record.used(Limited::CostPerDay, later)), (60, 20));
    assert!(!record.is_used_up(&limits, later));
    let prompt = UsageEstimate { prompt: 41, ..ESTIMATE };
    assert_eq!(record.admit_turn(&limits, prompt, later).unwrap_err().what, Limited::TokensPerMinute);
    record.charge(40, 0, later);
    assert!(record.is_used_up(&limits, later));
    assert!(!record.is_used_up(&limits, later + Duration::from_secs(61)), "the minute is over");
    record.charge(0, 30, later);
    assert!(record.is_used_up(&limits, later + Duration::from_secs(61)), "the day is not");
}
