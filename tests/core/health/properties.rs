use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::codec::{Forgettable, SharedRecord};
use sluice::health::{Health, Policy, Reason, Standing, StandingChange, Verdict};

use super::Step::{AsksFor, Counted, Ends, Leaves, ProbeEnds, ProbeIsAskedFor, Probes};
use super::{after, at, Cluster, Step, FAILS, LEASE, SUCCEEDS};
use Reason::{ConsecutiveFailures, Credential};
use Standing::Healthy;
use StandingChange::{Ejected, Noted, Restored};

fn time(seconds: u64) -> impl Strategy<Value = Duration> {
    (0..seconds * 1000).prop_map(Duration::from_millis)
}

fn policy() -> impl Strategy<Value = Policy> {
    let counts = (0..6u32, prop::option::of(1..=100u32), 0..10u32);
    policies(counts, (time(100), time(1000), time(100), time(1000)))
}

fn wild_policy() -> impl Strategy<Value = Policy> {
    let number = || prop_oneof![0..3u32, Just(u32::MAX), any::<u32>()];
    let counts = (number(), prop::option::of(number()), number());
    policies(counts, (any_time(), any_time(), any_time(), any_time()))
}

fn policies(
    counts: impl Strategy<Value = (u32, Option<u32>, u32)>,
    times: impl Strategy<Value = (Duration, Duration, Duration, Duration)>,
) -> impl Strategy<Value = Policy> {
    (counts, times).prop_map(|((row, percent, requests), times)| Policy {
        consecutive_failures: row,
        time: times.0,
        max_time: times.1,
        failure_percent: percent,
        min_requests: requests,
        window: times.2,
        max_retry_after: times.3,
    })
}

fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(Duration::ZERO), Just(Duration::MAX), any::<u64>().prop_map(Duration::from_millis), time(100)]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Failure),
        2 => Just(Verdict::Success),
        1 => Just(Verdict::Credential),
        1 => Just(Verdict::NoCluster),
        1 => Just(Verdict::Neutral),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => verdict().prop_map(Ends),
        1 => (0..2000u64).prop_map(AsksFor),
        3 => Just(Probes),
        3 => verdict().prop_map(ProbeEnds),
        1 => (0..2000u64).prop_map(ProbeIsAskedFor),
        1 => Just(Leaves),
        1 => (0..9u32).prop_map(Counted),
    ]
}

/// Like [`Cluster::step`], but the lease may be taken.
fn step_if_possible(cluster: &mut Cluster, step: Step, now: Duration) -> StandingChange {
    match step {
        Probes => {
            cluster.held = cluster.health.probe(now, LEASE).or(cluster.held);
            StandingChange::None
        }
        step => cluster.step(step, now),
    }
}

proptest! {
    #![proptest_config(crate::cases(256))]

    #[test]
    fn any_bytes_decode(bytes in vec(any::<u8>(), 0..60), code in 0..8u8, now in any_time(), policy in wild_policy()) {
        let mut record = bytes;
        record.resize(Health::default().encode().len(), 7);
        record[0] = 1;
        record[1] = code;
        let health = Health::decode(&record);
        prop_assert_eq!(&Health::decode(&health.encode()), &health);
        let mut cluster = Cluster { health, held: None, policy };
        for step in [FAILS, SUCCEEDS, Counted(u32::MAX), FAILS, AsksFor(u64::MAX), Ends(Verdict::Credential)] {
            let _ = cluster.step(step, now);
            let _ = cluster.health.standing(now);
        }
    }

    #[test]
    fn bytes_of_any_length_decode(bytes in vec(any::<u8>(), 0..100)) {
        let health = Health::decode(&bytes);
        prop_assert_eq!(Health::decode(&health.encode()), health);
    }

    #[test]
    fn nothing_overflows(
        steps in vec((step(), any_time(), any_time()), 0..40),
        manual in prop::option::of(any_time()),
        policy in wild_policy(),
    ) {
        let mut cluster = Cluster { health: Health::default(), held: None, policy };
        for (step, now, lease) in steps {
            let _ = step_if_possible(&mut cluster, step, now);
            let _ = cluster.health.probe(now, lease);
            prop_assert_eq!(&Health::decode(&cluster.health.encode()), &cluster.health);
        }
        let _ = cluster.health.eject(manual, Duration::MAX);
        prop_assert_eq!(Health::decode(&cluster.health.encode()), cluster.health);
    }

    #[test]
    fn no_ejection_is_longer_than_allowed(steps in vec((step(), 0..40u64), 0..200), policy in policy()) {
        let longest = policy.max_time.max(policy.time).max(policy.max_retry_after);
        let mut cluster = Cluster { health: Health::default(), held: None, policy };
        let mut now = 1000;
        for (step, passed) in steps {
            now += passed;
            let change = step_if_possible(&mut cluster, step, at(now));
            if let Standing::Ejected { until, reason } = cluster.health.standing(at(now)) {
                prop_assert!(until.unwrap() <= at(now) + longest, "{:?} after {:?}", until, step);
                prop_assert_eq!(cluster.health.reason(), Some(reason));
            }
            match change {
                Ejected(reason) => prop_assert_eq!(cluster.health.reason(), Some(reason)),
                Restored => prop_assert_eq!(cluster.health.standing(at(now)), Healthy),
                Noted | StandingChange::None => {}
            }
        }
    }

    #[test]
    fn only_consecutive_failures_eject(verdicts in vec(verdict(), 0..60), row in 1..6u32) {
        let policy = after(row);
        let (mut health, mut failures) = (Health::default(), 0);
        for verdict in verdicts.into_iter().filter(|verdict| !matches!(verdict, Verdict::Credential | Verdict::NoCluster)) {
            let change = health.judge(verdict, None, None, at(1), &policy);
            match verdict {
                Verdict::Failure => failures += 1,
                Verdict::Success => failures = 0,
                Verdict::Neutral | Verdict::Credential | Verdict::NoCluster => {}
            }
            if failures == row {
                prop_assert_eq!(change, Ejected(ConsecutiveFailures));
                return Ok(());
            }
            prop_assert_eq!(health.standing(at(1)), Healthy);
            prop_assert_eq!(health.consecutive_failures(), failures);
        }
    }

    #[test]
    fn backoff_grows(policy in policy(), times in 1..12u32) {
        let mut health = Health::default();
        let mut now = at(1000);
        let mut last = Duration::ZERO;
        for ejections in 0..times {
            let lease = health.probe(now, LEASE);
            let change = health.judge(Verdict::Credential, None, lease, now, &policy);
            prop_assert_eq!(change, Ejected(Credential));
            let pause = health.until().unwrap() - now;
            let want = policy.time.saturating_mul(1 << ejections).min(policy.max_time.max(policy.time));
            prop_assert_eq!(pause, want);
            prop_assert!(pause >= last);
            (last, now) = (pause, now + pause);
        }
    }

    #[test]
    fn predicted_changes_are_real(
        steps in vec((step(), 0..40u64), 0..60),
        policy in policy(),
        verdict in verdict(),
        held in any::<bool>(),
    ) {
        let policy = Policy { failure_percent: None, ..policy };
        let mut cluster = Cluster { health: Health::default(), held: None, policy };
        let mut now = 1000;
        for (step, passed) in steps {
            now += passed;
            let _ = step_if_possible(&mut cluster, step, at(now));
        }
        let held = cluster.held.filter(|_| held);
        let foretold = cluster.health.would_change(verdict, held);
        let change = cluster.health.judge(verdict, None, held, at(now), &policy);
        prop_assert_eq!(foretold, change != StandingChange::None);
    }
}
