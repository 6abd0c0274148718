//! When failed checks are logged.

use std::time::Duration;

use sluice::guard::checks::Failures;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_first_failure_is_logged_and_further_ones_once_a_minute() {
    let mut failures = Failures::default();
    assert_eq!(failures.note("toxicity", "error_status", at(100)), Some(0));
    assert_eq!(failures.note("toxicity", "error_status", at(100)), None);
    assert_eq!(failures.note("toxicity", "error_status", at(159)), None);
    assert_eq!(failures.note("toxicity", "error_status", at(160)), Some(2));
    assert_eq!(failures.note("toxicity", "error_status", at(161)), None);
    assert_eq!(failures.note("toxicity", "error_status", at(1000)), Some(1));
}

#[test]
fn each_check_and_each_kind_is_logged() {
    let mut failures = Failures::default();
    assert_eq!(failures.note("toxicity", "error_status", at(1)), Some(0));
    assert_eq!(failures.note("pii", "error_status", at(1)), Some(0));
    assert_eq!(failures.note("pii", "error_timeout", at(1)), Some(0));
    assert_eq!(failures.note("pii", "error_status", at(2)), None);
}

#[test]
fn a_clock_set_back_does_not_suppress_the_log() {
    let mut failures = Failures::default();
    assert_eq!(failures.note("pii", "error_status", at(10_000)), Some(0));
    assert_eq!(failures.note("pii", "error_status", at(1)), Some(0));
    assert_eq!(failures.note("pii", "error_status", at(2)), None);
}
