use super::super::*;
use super::*;

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
                (130, MayNotProbe, StandingChange::None, busy),
                (139, MayNotProbe, StandingChange::None, busy),
                (140, Looks, StandingChange::None, open),
                (140, Probes, Noted, busy),
                (141, PROBE_SUCCEEDS, Restored, Healthy),
                (142, MayNotProbe, StandingChange::None, Healthy),
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
                (131, PROBE_SUCCEEDS, StandingChange::None, open),
                (131, Probes, Noted, busy),
                (132, Leaves, Noted, open),
                (132, Leaves, StandingChange::None, open),
                (132, Probes, Noted, busy),
                (133, PROBE_SUCCEEDS, Restored, Healthy),
                (133, Leaves, StandingChange::None, Healthy),
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
                (129, MayNotProbe, StandingChange::None, out(130, ConsecutiveFailures)),
                (129, PROBE_SUCCEEDS, Restored, Healthy),
            ],
        ),
    ]);
}

#[test]
fn manual_ejection() {
    let for_good = Standing::Ejected { until: None, reason: Manual };
    check(vec![
        (
            "until it is restored",
            after(1),
            vec![
                (100, Ejects(None), Ejected(Manual), for_good),
                (101, SUCCEEDS, StandingChange::None, for_good),
                (101, FAILS, Noted, for_good),
                (101, AsksFor(9), Noted, for_good),
                (9_000_000, MayNotProbe, StandingChange::None, for_good),
                (9_000_000, Restores, Restored, Healthy),
                (9_000_000, Restores, StandingChange::None, Healthy),
            ],
        ),
        (
            "for a time",
            after(1),
            vec![
                (100, Ejects(Some(60)), Ejected(Manual), out(160, Manual)),
                (101, SUCCEEDS, StandingChange::None, out(160, Manual)),
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

#[test]
fn an_expired_lease_decides_nothing() {
    let policy = after(1);
    let mut health = Health::default();
    let _ = health.judge(Verdict::Failure, None, None, at(100), &policy);
    let stale = health.probe(at(130), LEASE).unwrap();
    let live = health.probe(at(140), LEASE).unwrap();
    for verdict in [Verdict::Success, Verdict::Neutral] {
        assert!(!health.would_change(verdict, Some(stale)), "{verdict:?}");
        assert_eq!(health.judge(verdict, None, Some(stale), at(141), &policy), StandingChange::None, "{verdict:?}");
    }
    assert_eq!(health.release(stale), StandingChange::None);
    assert_eq!(health.judge(Verdict::Failure, None, Some(stale), at(141), &policy), Noted);
    assert_eq!(health.standing(at(141)), probing(ConsecutiveFailures));
    assert!(health.would_change(Verdict::Success, Some(live)));
    assert_eq!(health.judge(Verdict::Success, None, Some(live), at(141), &policy), Restored);

    // nor after a manual change
    let mut health = Health::default();
    let _ = health.eject(Some(at(1)), at(100));
    let stale = health.probe(at(101), LEASE).unwrap();
    let _ = health.restore();
    let _ = health.eject(Some(at(1)), at(100));
    let live = health.probe(at(101), LEASE).unwrap();
    assert_ne!(stale, live);
    assert_eq!(health.judge(Verdict::Success, None, Some(stale), at(102), &policy), StandingChange::None);
}
