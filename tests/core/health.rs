use std::cell::Cell;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sluice::health::{Change, Health, Lease, Policy, Reason, Standing, Verdict};
use sluice::outcome::Outcome;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use Change::{Ejected, Noted, Restored};
use Reason::{ConsecutiveFailures, Credential, FailureRatio, Manual, RetryAfter};
use Standing::Healthy;

const LEASE: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn out(until: u64, reason: Reason) -> Standing {
    Standing::Ejected { until: Some(at(until)), reason }
}

fn half_open(reason: Reason) -> Standing {
    Standing::HalfOpen { probing: false, reason }
}

fn probing(reason: Reason) -> Standing {
    Standing::HalfOpen { probing: true, reason }
}

/// What happens to a cluster; pauses and times in seconds.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ends(Verdict),
    AsksFor(u64),
    /// Takes the lease.
    Probes,
    /// Is refused the lease.
    MayNotProbe,
    /// The holder of the lease that was given last.
    ProbeEnds(Verdict),
    ProbeIsAskedFor(u64),
    Leaves,
    Counted(u32),
    Ejects(Option<u64>),
    Restores,
    Looks,
}
use Step::{AsksFor, Counted, Ejects, Ends, Leaves, Looks, MayNotProbe, ProbeEnds, ProbeIsAskedFor, Probes, Restores};

const FAILS: Step = Ends(Verdict::Failure);
const SUCCEEDS: Step = Ends(Verdict::Success);
const PROBE_FAILS: Step = ProbeEnds(Verdict::Failure);
const PROBE_SUCCEEDS: Step = ProbeEnds(Verdict::Success);

/// A cluster whose record is shared after every step, and the lease it gave last.
struct Cluster {
    health: Health,
    held: Option<Lease>,
    policy: Policy,
}

impl Cluster {
    fn step(&mut self, step: Step, now: Duration) -> Change {
        let (health, policy) = (&mut self.health, &self.policy);
        let before = health.clone();
        let change = match step {
            Ends(verdict) => health.judge(verdict, None, None, now, policy),
            AsksFor(pause) => health.judge(Verdict::Failure, Some(at(pause)), None, now, policy),
            ProbeEnds(verdict) => health.judge(verdict, None, self.held, now, policy),
            ProbeIsAskedFor(pause) => health.judge(Verdict::Failure, Some(at(pause)), self.held, now, policy),
            Probes => {
                self.held = health.probe(now, LEASE);
                assert!(self.held.is_some());
                Noted
            }
            MayNotProbe => {
                assert_eq!(health.probe(now, LEASE), None);
                Change::None
            }
            Leaves => self.held.map_or(Change::None, |lease| health.release(lease)),
            Counted(count) => health.add_successes(count, now, policy),
            Ejects(time) => health.eject(time.map(at), now),
            Restores => health.restore(),
            Looks => Change::None,
        };
        assert_eq!(change == Change::None, before == self.health, "what changed must be written, and only that");
        self.health = Health::decode(&self.health.encode());
        change
    }
}

/// After each step: when, what it changes, the standing then.
type Story = (&'static str, Policy, Vec<(u64, Step, Change, Standing)>);

fn check(stories: Vec<Story>) {
    for (name, policy, steps) in stories {
        let mut cluster = Cluster { health: Health::default(), held: None, policy };
        for (index, (seconds, step, change, standing)) in steps.into_iter().enumerate() {
            assert_eq!(cluster.step(step, at(seconds)), change, "{name}: {index}: {step:?}");
            assert_eq!(cluster.health.standing(at(seconds)), standing, "{name}: {index}: after {step:?}");
        }
    }
}

fn after(consecutive_failures: u32) -> Policy {
    Policy { consecutive_failures, ..Policy::default() }
}

#[test]
fn failures_in_a_row() {
    check(vec![
        (
            "so many",
            after(3),
            vec![
                (1, FAILS, Noted, Healthy),
                (2, FAILS, Noted, Healthy),
                (3, FAILS, Ejected(ConsecutiveFailures), out(33, ConsecutiveFailures)),
            ],
        ),
        (
            "a success between",
            after(2),
            vec![
                (1, FAILS, Noted, Healthy),
                (2, SUCCEEDS, Noted, Healthy),
                (3, SUCCEEDS, Change::None, Healthy),
                (4, FAILS, Noted, Healthy),
                (5, Ends(Verdict::Neutral), Change::None, Healthy),
                (6, FAILS, Ejected(ConsecutiveFailures), out(36, ConsecutiveFailures)),
            ],
        ),
        (
            "the first, for ten minutes, though ejections grow to five",
            Policy { time: at(600), ..after(1) },
            vec![
                (1, FAILS, Ejected(ConsecutiveFailures), out(601, ConsecutiveFailures)),
                (601, Probes, Noted, probing(ConsecutiveFailures)),
                (602, PROBE_FAILS, Ejected(ConsecutiveFailures), out(1202, ConsecutiveFailures)),
            ],
        ),
        ("never", after(0), vec![(1, FAILS, Noted, Healthy), (1, FAILS, Noted, Healthy)]),
    ]);
}

#[test]
fn the_share_of_failures() {
    let half = Policy { failure_percent: Some(50), min_requests: 4, ..after(0) };
    check(vec![
        (
            "too few requests, then enough",
            half,
            vec![
                (100, FAILS, Noted, Healthy),
                (101, SUCCEEDS, Noted, Healthy),
                (102, FAILS, Noted, Healthy),
                (103, FAILS, Ejected(FailureRatio), out(133, FailureRatio)),
            ],
        ),
        (
            "only a failure ejects",
            half,
            vec![
                (100, FAILS, Noted, Healthy),
                (100, FAILS, Noted, Healthy),
                (100, FAILS, Noted, Healthy),
                (101, SUCCEEDS, Noted, Healthy),
            ],
        ),
        (
            "successes that a worker counted",
            half,
            vec![
                (100, Counted(4), Noted, Healthy),
                (101, Counted(0), Change::None, Healthy),
                (102, FAILS, Noted, Healthy),
                (102, FAILS, Noted, Healthy),
                (102, FAILS, Noted, Healthy),
                (102, FAILS, Ejected(FailureRatio), out(132, FailureRatio)),
            ],
        ),
        (
            "they do not end a row",
            Policy { consecutive_failures: 2, ..half },
            vec![
                (100, FAILS, Noted, Healthy),
                (100, Counted(50), Noted, Healthy),
                (101, FAILS, Ejected(ConsecutiveFailures), out(131, ConsecutiveFailures)),
            ],
        ),
        (
            "the window slides: at 145 half of the first span counts",
            half,
            vec![
                (100, Counted(4), Noted, Healthy),
                (145, FAILS, Noted, Healthy),
                (145, FAILS, Ejected(FailureRatio), out(175, FailureRatio)),
            ],
        ),
        (
            "and then nothing of it",
            half,
            vec![
                (100, Counted(40), Noted, Healthy),
                (160, FAILS, Noted, Healthy),
                (160, FAILS, Noted, Healthy),
                (160, FAILS, Noted, Healthy),
                (160, FAILS, Ejected(FailureRatio), out(190, FailureRatio)),
            ],
        ),
        (
            "another worker's clock is behind",
            half,
            vec![
                (100, Counted(2), Noted, Healthy),
                (99, FAILS, Noted, Healthy),
                (98, FAILS, Ejected(FailureRatio), out(128, FailureRatio)),
            ],
        ),
        (
            "once back, it starts anew",
            Policy { min_requests: 2, ..half },
            vec![
                (100, FAILS, Noted, Healthy),
                (100, FAILS, Ejected(FailureRatio), out(130, FailureRatio)),
                (101, Counted(9), Change::None, out(130, FailureRatio)),
                (130, Probes, Noted, probing(FailureRatio)),
                (131, PROBE_FAILS, Ejected(FailureRatio), out(191, FailureRatio)),
                (191, Probes, Noted, probing(FailureRatio)),
                (192, PROBE_SUCCEEDS, Restored, Healthy),
                (193, FAILS, Noted, Healthy),
            ],
        ),
        (
            "not asked for",
            after(0),
            vec![
                (100, SUCCEEDS, Change::None, Healthy),
                (100, Counted(9), Change::None, Healthy),
                (100, FAILS, Noted, Healthy),
            ],
        ),
    ]);
}

#[test]
fn pauses() {
    check(vec![
        (
            "kept to at once, and no lesson for the next time",
            after(2),
            vec![
                (100, AsksFor(7), Ejected(RetryAfter), out(107, RetryAfter)),
                (107, Probes, Noted, probing(RetryAfter)),
                (108, ProbeIsAskedFor(9), Ejected(RetryAfter), out(117, RetryAfter)),
                (117, Probes, Noted, probing(RetryAfter)),
                (118, PROBE_FAILS, Ejected(ConsecutiveFailures), out(148, ConsecutiveFailures)),
            ],
        ),
        (
            "beats the row's own time",
            after(1),
            vec![
                (100, AsksFor(1), Ejected(RetryAfter), out(101, RetryAfter)),
                (101, Looks, Change::None, half_open(RetryAfter)),
            ],
        ),
        ("capped", after(2), vec![(100, AsksFor(86_400), Ejected(RetryAfter), out(400, RetryAfter))]),
        (
            "none is a failure like any other",
            after(2),
            vec![
                (1, AsksFor(0), Noted, Healthy),
                (2, AsksFor(0), Ejected(ConsecutiveFailures), out(32, ConsecutiveFailures)),
            ],
        ),
        (
            "not kept to at all",
            Policy { max_retry_after: Duration::ZERO, ..after(2) },
            vec![(1, AsksFor(7), Noted, Healthy)],
        ),
        (
            "a longer one extends, a shorter one does not",
            after(1),
            vec![
                (100, FAILS, Ejected(ConsecutiveFailures), out(130, ConsecutiveFailures)),
                (101, AsksFor(5), Noted, out(130, ConsecutiveFailures)),
                (101, AsksFor(60), Noted, out(161, ConsecutiveFailures)),
                (161, Probes, Noted, probing(ConsecutiveFailures)),
                (162, PROBE_FAILS, Ejected(ConsecutiveFailures), out(222, ConsecutiveFailures)),
            ],
        ),
        (
            "one that comes while another probes ends the probe",
            after(1),
            vec![
                (100, FAILS, Ejected(ConsecutiveFailures), out(130, ConsecutiveFailures)),
                (130, Probes, Noted, probing(ConsecutiveFailures)),
                (131, AsksFor(20), Ejected(RetryAfter), out(151, RetryAfter)),
                (132, PROBE_SUCCEEDS, Change::None, out(151, RetryAfter)),
                (151, Probes, Noted, probing(RetryAfter)),
            ],
        ),
    ]);
}

#[test]
fn refused_keys() {
    let refuses = Ends(Verdict::Credential);
    check(vec![(
        "at once, and for longer each time",
        Policy::default(),
        vec![
            (100, refuses, Ejected(Credential), out(130, Credential)),
            (101, refuses, Noted, out(130, Credential)),
            (130, Probes, Noted, probing(Credential)),
            (131, ProbeEnds(Verdict::Credential), Ejected(Credential), out(191, Credential)),
            (191, Probes, Noted, probing(Credential)),
            (192, PROBE_FAILS, Ejected(ConsecutiveFailures), out(312, ConsecutiveFailures)),
            (312, Probes, Noted, probing(ConsecutiveFailures)),
            (313, ProbeEnds(Verdict::Credential), Ejected(Credential), out(553, Credential)),
            (553, Probes, Noted, probing(Credential)),
            (554, PROBE_SUCCEEDS, Restored, Healthy),
        ],
    )]);
}

#[test]
fn stragglers() {
    let lost = |until| out(until, ConsecutiveFailures);
    let open = half_open(ConsecutiveFailures);
    check(vec![(
        "neither keep a cluster out nor bring it back",
        after(1),
        vec![
            (100, FAILS, Ejected(ConsecutiveFailures), lost(130)),
            (101, FAILS, Noted, lost(130)),
            (129, FAILS, Noted, lost(130)),
            (129, SUCCEEDS, Change::None, lost(130)),
            (129, MayNotProbe, Change::None, lost(130)),
            (130, FAILS, Noted, open),
            (130, Ends(Verdict::Credential), Noted, open),
            (130, SUCCEEDS, Change::None, open),
            (130, Probes, Noted, probing(ConsecutiveFailures)),
            (131, FAILS, Noted, probing(ConsecutiveFailures)),
            (131, SUCCEEDS, Change::None, probing(ConsecutiveFailures)),
            (132, PROBE_FAILS, Ejected(ConsecutiveFailures), lost(192)),
        ],
    )]);
}

#[test]
fn probes() {
    let open = half_open(ConsecutiveFailures);
    let busy = probing(ConsecutiveFailures);
    let ejected = (100, FAILS, Ejected(ConsecutiveFailures), out(130, ConsecutiveFailures));
    check(vec![
        (
            "one at a time, until its lease ends",
            after(1),
            vec![
                ejected,
                (130, Probes, Noted, busy),
                (130, MayNotProbe, Change::None, busy),
                (139, MayNotProbe, Change::None, busy),
                (140, Looks, Change::None, open),
                (140, Probes, Noted, busy),
                (141, PROBE_SUCCEEDS, Restored, Healthy),
                (142, MayNotProbe, Change::None, Healthy),
            ],
        ),
        (
            "one that ends late still decides",
            after(1),
            vec![ejected, (130, Probes, Noted, busy), (170, PROBE_SUCCEEDS, Restored, Healthy)],
        ),
        (
            "one that says nothing lets the next",
            after(1),
            vec![
                ejected,
                (130, Probes, Noted, busy),
                (131, ProbeEnds(Verdict::Neutral), Noted, open),
                (131, PROBE_SUCCEEDS, Change::None, open),
                (131, Probes, Noted, busy),
                (132, Leaves, Noted, open),
                (132, Leaves, Change::None, open),
                (132, Probes, Noted, busy),
                (133, PROBE_SUCCEEDS, Restored, Healthy),
                (133, Leaves, Change::None, Healthy),
            ],
        ),
        (
            "a row of failures is over with it",
            after(2),
            vec![
                (100, FAILS, Noted, Healthy),
                (100, FAILS, Ejected(ConsecutiveFailures), out(130, ConsecutiveFailures)),
                (130, Probes, Noted, busy),
                (131, PROBE_SUCCEEDS, Restored, Healthy),
                (132, FAILS, Noted, Healthy),
                (133, PROBE_FAILS, Ejected(ConsecutiveFailures), out(163 + 30, ConsecutiveFailures)),
            ],
        ),
        (
            "another worker's clock is behind",
            after(1),
            vec![
                ejected,
                (130, Probes, Noted, busy),
                (129, MayNotProbe, Change::None, out(130, ConsecutiveFailures)),
                (129, PROBE_SUCCEEDS, Restored, Healthy),
            ],
        ),
    ]);
}

#[test]
fn a_lease_that_is_over_decides_nothing() {
    let policy = after(1);
    let mut health = Health::default();
    let _ = health.judge(Verdict::Failure, None, None, at(100), &policy);
    let stale = health.probe(at(130), LEASE).unwrap();
    let live = health.probe(at(140), LEASE).unwrap();
    for verdict in [Verdict::Success, Verdict::Neutral] {
        assert!(!health.would_change(verdict, Some(stale)), "{verdict:?}");
        assert_eq!(health.judge(verdict, None, Some(stale), at(141), &policy), Change::None, "{verdict:?}");
    }
    assert_eq!(health.release(stale), Change::None);
    assert_eq!(health.judge(Verdict::Failure, None, Some(stale), at(141), &policy), Noted);
    assert_eq!(health.standing(at(141)), probing(ConsecutiveFailures));
    assert!(health.would_change(Verdict::Success, Some(live)));
    assert_eq!(health.judge(Verdict::Success, None, Some(live), at(141), &policy), Restored);

    // nor does it after the operator's hand
    let mut health = Health::default();
    let _ = health.eject(Some(at(1)), at(100));
    let stale = health.probe(at(101), LEASE).unwrap();
    let _ = health.restore();
    let _ = health.eject(Some(at(1)), at(100));
    let live = health.probe(at(101), LEASE).unwrap();
    assert_ne!(stale, live);
    assert_eq!(health.judge(Verdict::Success, None, Some(stale), at(102), &policy), Change::None);
}

#[test]
fn by_hand() {
    let for_good = Standing::Ejected { until: None, reason: Manual };
    check(vec![
        (
            "until it is restored",
            after(1),
            vec![
                (100, Ejects(None), Ejected(Manual), for_good),
                (101, SUCCEEDS, Change::None, for_good),
                (101, FAILS, Noted, for_good),
                (101, AsksFor(9), Noted, for_good),
                (9_000_000, MayNotProbe, Change::None, for_good),
                (9_000_000, Restores, Restored, Healthy),
                (9_000_000, Restores, Change::None, Healthy),
            ],
        ),
        (
            "for a time",
            after(1),
            vec![
                (100, Ejects(Some(60)), Ejected(Manual), out(160, Manual)),
                (101, SUCCEEDS, Change::None, out(160, Manual)),
                (101, AsksFor(200), Noted, out(160, Manual)),
                (160, Probes, Noted, probing(Manual)),
                (161, PROBE_FAILS, Ejected(ConsecutiveFailures), out(191, ConsecutiveFailures)),
            ],
        ),
        (
            "over an ejection, which is forgotten",
            after(1),
            vec![
                (100, FAILS, Ejected(ConsecutiveFailures), out(130, ConsecutiveFailures)),
                (100, Ejects(Some(1)), Ejected(Manual), out(101, Manual)),
                (101, Restores, Restored, Healthy),
                (102, FAILS, Ejected(ConsecutiveFailures), out(132, ConsecutiveFailures)),
            ],
        ),
        (
            "a streak is forgotten",
            after(2),
            vec![(100, FAILS, Noted, Healthy), (100, Restores, Noted, Healthy), (100, FAILS, Noted, Healthy)],
        ),
    ]);
}

/// Ejected three times in a row, and back at 221.
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
    // seconds in the pool, ejections that count, seconds out
    let cases = [(0, 3, 240), (29, 3, 240), (30, 2, 120), (60, 1, 60), (89, 1, 60), (90, 0, 30), (9_999, 0, 30)];
    for (healthy, want, pause) in cases {
        let (mut health, policy) = ejected_thrice();
        let now = at(221 + healthy);
        assert_eq!(health.ejections(now, &policy), want, "after {healthy}");
        let _ = health.judge(Verdict::Failure, None, None, now, &policy);
        assert_eq!(health.until(), Some(now + at(pause)), "after {healthy}");
        assert_eq!(health.ejections(now + at(9_999), &policy), want + 1, "not while it is out");
    }
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
    let of_status = |status| Verdict::of(Outcome::of_status(status), Some(status));
    for (want, statuses) in [
        (Verdict::Success, vec![200, 204, 304, 400, 404, 413, 422]),
        (Verdict::Credential, vec![401, 403]),
        (Verdict::Neutral, vec![408, 409, 425]),
        (Verdict::Failure, vec![429, 500, 502, 503, 529]),
    ] {
        for status in statuses {
            assert_eq!(of_status(status), want, "{status}");
        }
    }
    for outcome in [Outcome::ConnectFailure, Outcome::Reset, Outcome::Timeout] {
        assert_eq!(Verdict::of(outcome, None), Verdict::Failure, "{outcome:?}");
    }
    assert_eq!(Verdict::of(Outcome::Interrupted, Some(200)), Verdict::Failure);
    assert_eq!(Verdict::of(Outcome::Abandoned, Some(401)), Verdict::Neutral);
}

#[test]
fn reasons_differ() {
    let mut labels = Reason::ALL.map(Reason::label).to_vec();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), Reason::ALL.len());
}

#[test]
fn unknown_records() {
    let mut health = Health::default();
    let _ = health.eject(None, at(1));
    let bytes = health.encode();
    let with = |index: usize, value| {
        let mut bytes = bytes.to_vec();
        bytes[index] = value;
        bytes
    };
    assert_eq!(Health::decode(&bytes), health);
    for (name, bytes) in [
        ("nothing", vec![]),
        ("cut", bytes[..bytes.len() - 1].to_vec()),
        ("longer", [&bytes[..], &[0]].concat()),
        ("another version", with(0, 2)),
        ("another reason", with(1, 6)),
    ] {
        assert_eq!(Health::decode(&bytes), Health::default(), "{name}");
    }
}

fn time(seconds: u64) -> impl Strategy<Value = Duration> {
    (0..seconds * 1000).prop_map(Duration::from_millis)
}

fn policy() -> impl Strategy<Value = Policy> {
    let counts = (0..6u32, prop::option::of(1..=100u32), 0..10u32);
    (counts, (time(100), time(1000), time(100), time(1000))).prop_map(|((row, percent, requests), times)| Policy {
        consecutive_failures: row,
        time: times.0,
        max_time: times.1,
        failure_percent: percent,
        min_requests: requests,
        window: times.2,
        max_retry_after: times.3,
    })
}

fn wild_policy() -> impl Strategy<Value = Policy> {
    let number = || prop_oneof![0..3u32, Just(u32::MAX), any::<u32>()];
    let counts = (number(), prop::option::of(number()), number());
    (counts, (any_time(), any_time(), any_time(), any_time())).prop_map(|((row, percent, requests), times)| Policy {
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

/// Like [`Cluster::step`], where the lease is not always to be had.
fn step_if_possible(cluster: &mut Cluster, step: Step, now: Duration) -> Change {
    match step {
        Probes => {
            cluster.held = cluster.health.probe(now, LEASE).or(cluster.held);
            Change::None
        }
        step => cluster.step(step, now),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_decode(bytes in vec(any::<u8>(), 0..60), code in 0..8u8, now in any_time(), policy in wild_policy()) {
        let mut record = bytes;
        record.resize(Health::ENCODED, 7);
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
                Noted | Change::None => {}
            }
        }
    }

    #[test]
    fn only_a_row_ejects(verdicts in vec(verdict(), 0..60), row in 1..6u32) {
        let policy = after(row);
        let (mut health, mut failures) = (Health::default(), 0);
        for verdict in verdicts.into_iter().filter(|verdict| *verdict != Verdict::Credential) {
            let change = health.judge(verdict, None, None, at(1), &policy);
            match verdict {
                Verdict::Failure => failures += 1,
                Verdict::Success => failures = 0,
                Verdict::Neutral | Verdict::Credential => {}
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
    fn what_would_change_is_what_changes(
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
        prop_assert_eq!(foretold, change != Change::None);
    }
}

/// What a worker is about to do with what it has read.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Probe,
    EndProbe(Verdict),
    LeaveProbe,
    EndStraggler(Verdict),
}

impl Plan {
    fn choose(holds: bool, choice: u8) -> Self {
        match (holds, choice % 8) {
            (true, 0 | 1) => Plan::EndProbe(Verdict::Success),
            (true, 2 | 3) => Plan::EndProbe(Verdict::Failure),
            (true, 4) => Plan::LeaveProbe,
            (true, 5) | (false, 0) => Plan::EndStraggler(Verdict::Failure),
            (false, 1) => Plan::EndStraggler(Verdict::Success),
            (true, _) | (false, _) => Plan::Probe,
        }
    }
}

#[derive(Default)]
struct Worker {
    /// The version read, what it said, and what to do.
    turn: Option<(u32, Health, Plan)>,
    held: Option<Lease>,
    /// How far this worker's clock is behind, in milliseconds.
    behind: u64,
}

/// Who probes, since when, in which half-open window.
struct Probe {
    worker: usize,
    since: u64,
    window: Option<Duration>,
}

/// The workers of an Envoy and the value they share, which is swapped only by who has seen the latest.
struct Envoy {
    workers: Vec<Worker>,
    bytes: Vec<u8>,
    version: u32,
    probe: Option<Probe>,
    /// Half-open windows in which a probe began.
    windows: Vec<Option<Duration>>,
    /// Probes that began on what somebody had changed meanwhile, and so did not begin.
    races: usize,
}

const LEASE_MILLIS: u64 = 100;

impl Envoy {
    /// A worker's next step: it reads the record, or tries to swap what it read before.
    fn step(&mut self, index: usize, choice: u8, clock: u64) -> Result<(), TestCaseError> {
        let Some((version, health, plan)) = self.workers[index].turn.take() else {
            let plan = Plan::choose(self.workers[index].held.is_some(), choice);
            self.workers[index].turn = Some((self.version, Health::decode(&self.bytes), plan));
            return Ok(());
        };
        let (mut changed, now) = (health.clone(), Duration::from_millis(clock - self.workers[index].behind));
        let (change, lease) = act(&mut changed, plan, self.workers[index].held, now);
        if version != self.version {
            self.races += usize::from(lease.is_some());
            return Ok(());
        }
        if lease.is_some() || change != Change::None {
            (self.bytes, self.version) = (changed.encode().to_vec(), version + 1);
        }
        if let Some(lease) = lease {
            self.begins(index, lease, clock, health.until())?;
        }
        match plan {
            Plan::EndProbe(_) | Plan::LeaveProbe => self.ends(index, change),
            Plan::Probe | Plan::EndStraggler(_) => {
                prop_assert!(change != Restored, "a straggler closed the circuit");
                Ok(())
            }
        }
    }

    fn begins(
        &mut self,
        index: usize,
        lease: Lease,
        clock: u64,
        window: Option<Duration>,
    ) -> Result<(), TestCaseError> {
        let furthest = self.workers.iter().map(|worker| worker.behind).max().unwrap();
        if let Some(other) = self.probe.as_ref().filter(|probe| probe.window == window) {
            let over = clock + furthest >= other.since + LEASE_MILLIS;
            prop_assert!(over, "{} probes while {} does, in {:?}", index, other.worker, window);
        }
        let since = clock - self.workers[index].behind;
        self.probe = Some(Probe { worker: index, since, window });
        self.windows.push(window);
        self.workers[index].held = Some(lease);
        Ok(())
    }

    fn ends(&mut self, index: usize, change: Change) -> Result<(), TestCaseError> {
        let decides = self.probe.as_ref().is_some_and(|probe| probe.worker == index);
        prop_assert!(change != Restored || decides, "{} closed the circuit, and was not the prober", index);
        self.probe = self.probe.take().filter(|_| !decides);
        self.workers[index].held = None;
        Ok(())
    }
}

fn act(health: &mut Health, plan: Plan, held: Option<Lease>, now: Duration) -> (Change, Option<Lease>) {
    let policy = Policy { time: Duration::from_millis(200), max_time: Duration::from_millis(400), ..after(2) };
    let change = match plan {
        Plan::Probe => return (Change::None, health.probe(now, Duration::from_millis(LEASE_MILLIS))),
        Plan::EndProbe(verdict) => health.judge(verdict, None, held, now, &policy),
        Plan::LeaveProbe => held.map_or(Change::None, |lease| health.release(lease)),
        Plan::EndStraggler(verdict) => health.judge(verdict, None, None, now, &policy),
    };
    (change, None)
}

#[test]
fn two_workers_never_both_probe() {
    let schedules = vec((0..8usize, any::<u8>(), 0..15u64), 500..1000);
    for (name, clocks) in [("one clock", 0..1u64), ("clocks that differ", 0..20)] {
        let (windows, races) = (Cell::new(0), Cell::new(0));
        let mut runner = TestRunner::new(ProptestConfig::with_cases(200));
        let property = |(schedule, behind): (Vec<(usize, u8, u64)>, Vec<u64>)| {
            let workers = behind.into_iter().map(|behind| Worker { behind, ..Worker::default() }).collect();
            let mut envoy =
                Envoy { workers, bytes: Vec::new(), version: 0, probe: None, windows: Vec::new(), races: 0 };
            let mut clock = 1_000_000;
            for (index, choice, passed) in schedule {
                clock += passed;
                envoy.step(index % envoy.workers.len(), choice, clock)?;
            }
            envoy.windows.dedup();
            windows.set(windows.get() + envoy.windows.len());
            races.set(races.get() + envoy.races);
            Ok(())
        };
        runner.run(&(&schedules, vec(clocks, 2..8)), property).unwrap();
        assert!(windows.get() >= 1000, "{name}: {} half-open windows", windows.get());
        assert!(races.get() >= 1000, "{name}: {} races", races.get());
    }
}
