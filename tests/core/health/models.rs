//! The models of one cluster: each has its own state, which does not affect the others.

use std::time::Duration;

use sluice::codec::{Forgettable, SharedRecord};
use sluice::health::Blame::{self, Cluster, Model, Nobody};
use sluice::health::{AttemptEnd, ClusterHealth, Policy, Probe, Reason, Standing, StandingChange, Verdict, MAX_MODELS};

const LEASE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ended(model: &str, verdict: Verdict, blame: Blame) -> AttemptEnd<'_> {
    AttemptEnd { model, verdict, blame, pause: None, held: None }
}

fn paused<'a>(model: &'a str, seconds: u64, blame: Blame) -> AttemptEnd<'a> {
    AttemptEnd { pause: Some(at(seconds)), ..ended(model, Verdict::Failure, blame) }
}

fn is_out(health: &ClusterHealth, model: &str, now: u64) -> bool {
    matches!(health.standing(model, at(now)), Standing::Ejected { .. })
}

#[test]
fn a_limit_of_one_model_does_not_affect_others() {
    let mut health = ClusterHealth::default();
    let changes = health.judge(&paused("large", 20, Model), at(100), &Policy::default());
    assert_eq!((changes.cluster, changes.model), (StandingChange::None, StandingChange::Ejected(Reason::RetryAfter)));
    assert!(is_out(&health, "large", 119) && !is_out(&health, "small", 119) && !health.is_well());
    assert_eq!(health.cluster.standing(at(119)), Standing::Healthy);
    assert_eq!(health.models_out(), 1);
}

#[test]
fn a_limit_of_the_cluster_applies_to_all_its_models() {
    let mut health = ClusterHealth::default();
    let changes = health.judge(&paused("large", 20, Cluster), at(100), &Policy::default());
    assert_eq!((changes.cluster, changes.model), (StandingChange::Ejected(Reason::RetryAfter), StandingChange::None));
    assert!(is_out(&health, "large", 119) && is_out(&health, "small", 119));
    assert_eq!(health.models_out(), 0);
}

#[test]
fn consecutive_failures_eject_a_model() {
    let policy = Policy { consecutive_failures: 3, ..Policy::default() };
    let mut health = ClusterHealth::default();
    let fail = ended("m", Verdict::Failure, Model);
    for (second, out) in [(1, false), (2, false), (3, true)] {
        let _ = health.judge(&fail, at(second), &policy);
        assert_eq!(is_out(&health, "m", second), out, "{second}");
    }
    assert!(!is_out(&health, "other", 3));
    // a success in between resets the count, and an empty state is removed
    let mut health = ClusterHealth::default();
    let _ = health.judge(&fail, at(1), &policy);
    assert!(health.would_change(&ended("m", Verdict::Success, Cluster)));
    let _ = health.judge(&ended("m", Verdict::Success, Cluster), at(2), &policy);
    assert_eq!(health, ClusterHealth::default());
    assert!(!health.would_change(&ended("m", Verdict::Success, Cluster)), "which writes nothing");
}

#[test]
fn a_forbidden_model_is_ejected_at_once() {
    let mut health = ClusterHealth::default();
    let changes = health.judge(&ended("m", Verdict::Credential, Model), at(1), &Policy::default());
    assert_eq!(changes.model, StandingChange::Ejected(Reason::Credential));
    assert!(is_out(&health, "m", 1) && !is_out(&health, "other", 1));
    let changes = health.judge(&ended("x", Verdict::Credential, Nobody), at(1), &Policy::default());
    assert_eq!((changes.cluster, changes.model), (StandingChange::None, StandingChange::None));
}

#[test]
fn one_request_probes_a_model() {
    let mut health = ClusterHealth::default();
    let policy = Policy::default();
    let _ = health.judge(&paused("m", 5, Model), at(1), &policy);
    assert_eq!(health.probe("m", at(5), LEASE), None, "its time is not over");
    let probe = health.probe("m", at(6), LEASE).unwrap();
    assert!(matches!(probe, Probe::Model(_)));
    assert_eq!(health.probe("m", at(6), LEASE), None, "one at a time");
    assert_eq!(health.release("m", probe).model, StandingChange::Noted);
    let probe = health.probe("m", at(7), LEASE);
    let success = AttemptEnd { held: probe, ..ended("m", Verdict::Success, Cluster) };
    assert_eq!(health.judge(&success, at(8), &policy).model, StandingChange::Restored);
    assert!(health.is_well());
}

#[test]
fn the_cluster_is_probed_before_its_model() {
    let mut health = ClusterHealth::default();
    let policy = Policy::default();
    let _ = health.judge(&paused("m", 5, Model), at(1), &policy);
    let _ = health.judge(&paused("m", 9, Cluster), at(1), &policy);
    assert!(is_out(&health, "m", 7) && health.probe("m", at(7), LEASE).is_none(), "the cluster is out");
    let probe = health.probe("m", at(11), LEASE);
    assert!(matches!(probe, Some(Probe::Cluster(_))));
    let success = AttemptEnd { held: probe, ..ended("m", Verdict::Success, Cluster) };
    let changes = health.judge(&success, at(12), &policy);
    assert_eq!(changes.cluster, StandingChange::Restored);
    assert!(matches!(health.standing("m", at(12)), Standing::HalfOpen { .. }), "the model has not been probed");
    // an ejected model does not probe the cluster
    let _ = health.judge(&paused("n", 100, Model), at(13), &policy);
    let _ = health.judge(&paused("x", 1, Cluster), at(13), &policy);
    assert!(is_out(&health, "n", 20) && health.probe("n", at(20), LEASE).is_none());
    assert!(matches!(health.probe("x", at(20), LEASE), Some(Probe::Cluster(_))));
}

#[test]
fn manual_changes_apply_to_all_models() {
    let mut health = ClusterHealth::default();
    let _ = health.judge(&paused("m", 50, Model), at(1), &Policy::default());
    let _ = health.eject(None, at(2));
    assert!(is_out(&health, "other", 3));
    let _ = health.restore();
    assert!(health.is_well() && !is_out(&health, "m", 3));
    let _ = health.judge(&paused("m", 50, Model), at(4), &Policy::default());
    assert_eq!(health.restore().cluster, StandingChange::Noted, "the models' record alone");
}

#[test]
fn the_number_of_models_is_bounded() {
    let policy = Policy::default();
    let mut health = ClusterHealth::default();
    for number in 0..MAX_MODELS + 5 {
        let _ = health.judge(&paused(&format!("m{number}"), 50, Model), at(1), &policy);
    }
    assert_eq!(health.models().count(), MAX_MODELS);
    assert!(is_out(&health, "m0", 2) && !is_out(&health, "m64", 2), "those that are out stay");
    // an expired one is replaced
    let _ = health.judge(&paused("new", 50, Model), at(60), &policy);
    assert_eq!(health.models().count(), MAX_MODELS);
    assert!(is_out(&health, "new", 61));
    let _ = health.judge(&paused(&"x".repeat(600), 50, Model), at(61), &policy);
    let _ = health.judge(&paused("", 50, Model), at(61), &policy);
    assert_eq!(health.models().count(), MAX_MODELS);
    assert!(health.encode().len() < 8 << 10);
    assert_eq!(ClusterHealth::decode(&health.encode()), health);
}

#[test]
fn unreadable_records_are_healthy() {
    let mut health = ClusterHealth::default();
    let _ = health.judge(&paused("m", 50, Model), at(1), &Policy::default());
    let bytes = health.encode();
    for end in 0..bytes.len() {
        assert!(ClusterHealth::decode(bytes.get(..end).unwrap()).is_well(), "{end}");
    }
    let mut bad = bytes;
    bad.extend([255; 7]);
    assert_eq!(ClusterHealth::decode(&bad), ClusterHealth::default());
}
