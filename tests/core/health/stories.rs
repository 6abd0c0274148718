mod probes;

use std::time::Duration;

use sluice::health::{Health, Policy, Reason, Standing, StandingChange, Verdict};

use super::Step::{
    AsksFor, Counted, Ejects, Ends, Leaves, Looks, MayNotProbe, ProbeEnds, ProbeIsAskedFor, Probes, Restores,
};
use super::{after, at, Cluster, Step, FAILS, PROBE_FAILS, PROBE_SUCCEEDS, SUCCEEDS};
use Reason::{ConsecutiveFailures, Credential, FailureRatio, Manual, RetryAfter};
use Standing::Healthy;
use StandingChange::{Ejected, Noted, Restored};

fn out(until: u64, reason: Reason) -> Standing {
    Standing::Ejected { until: Some(at(until)), reason }
}

fn half_open(reason: Reason) -> Standing {
    Standing::HalfOpen { probing: false, reason }
}

fn probing(reason: Reason) -> Standing {
    Standing::HalfOpen { probing: true, reason }
}

/// After each step: the time, the changes, the state.
type Story = (&'static str, Policy, Vec<(u64, Step, StandingChange, Standing)>);

fn check(stories: Vec<Story>) {
    for (name, policy, steps) in stories {
        let mut cluster = Cluster { health: Health::default(), held: None, policy };
        for (index, (seconds, step, change, standing)) in steps.into_iter().enumerate() {
            assert_eq!(cluster.step(step, at(seconds)), change, "{name}: {index}: {step:?}");
            assert_eq!(cluster.health.standing(at(seconds)), standing, "{name}: {index}: after {step:?}");
        }
    }
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
                (3, SUCCEEDS, StandingChange::None, Healthy),
                (4, FAILS, Noted, Healthy),
                (5, Ends(Verdict::Neutral), StandingChange::None, Healthy),
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
                (101, Counted(0), StandingChange::None, Healthy),
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
                (101, Counted(9), StandingChange::None, out(130, FailureRatio)),
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
                (100, SUCCEEDS, StandingChange::None, Healthy),
                (100, Counted(9), StandingChange::None, Healthy),
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
                (101, Looks, StandingChange::None, half_open(RetryAfter)),
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
                (132, PROBE_SUCCEEDS, StandingChange::None, out(151, RetryAfter)),
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
            (129, SUCCEEDS, StandingChange::None, lost(130)),
            (129, MayNotProbe, StandingChange::None, lost(130)),
            (130, FAILS, Noted, open),
            (130, Ends(Verdict::Credential), Noted, open),
            (130, SUCCEEDS, StandingChange::None, open),
            (130, Probes, Noted, probing(ConsecutiveFailures)),
            (131, FAILS, Noted, probing(ConsecutiveFailures)),
            (131, SUCCEEDS, StandingChange::None, probing(ConsecutiveFailures)),
            (132, PROBE_FAILS, Ejected(ConsecutiveFailures), lost(192)),
        ],
    )]);
}
