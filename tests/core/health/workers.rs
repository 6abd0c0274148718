use std::cell::Cell;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sluice::codec::{Forgettable, SharedRecord};
use sluice::health::{Health, Lease, Policy, StandingChange, Verdict};

use super::after;
use StandingChange::Restored;

/// What a worker is about to do with the record it has read.
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
    /// The version it read, the record, and its plan.
    turn: Option<(u32, Health, Plan)>,
    held: Option<Lease>,
    /// How far this worker's clock is behind, in milliseconds.
    behind: u64,
}

/// The prober, since when, and in which half-open window.
struct Probe {
    worker: usize,
    since: u64,
    window: Option<Duration>,
}

/// The workers of an Envoy and their shared value. A swap only succeeds for a worker that has seen the latest version.
struct Envoy {
    workers: Vec<Worker>,
    bytes: Vec<u8>,
    version: u32,
    probe: Option<Probe>,
    /// Half-open windows in which a probe began.
    windows: Vec<Option<Duration>>,
    /// Probes that did not begin, because the record had changed in the meantime.
    races: usize,
}

const LEASE_MILLIS: u64 = 100;

impl Envoy {
    /// A worker's next step: it reads the record, or tries to swap the one it has read.
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
        if lease.is_some() || change != StandingChange::None {
            (self.bytes, self.version) = (changed.encode(), version + 1);
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

    fn ends(&mut self, index: usize, change: StandingChange) -> Result<(), TestCaseError> {
        let decides = self.probe.as_ref().is_some_and(|probe| probe.worker == index);
        prop_assert!(change != Restored || decides, "{} closed the circuit, and was not the prober", index);
        self.probe = self.probe.take().filter(|_| !decides);
        self.workers[index].held = None;
        Ok(())
    }
}

fn act(health: &mut Health, plan: Plan, held: Option<Lease>, now: Duration) -> (StandingChange, Option<Lease>) {
    let policy = Policy { time: Duration::from_millis(200), max_time: Duration::from_millis(400), ..after(2) };
    let change = match plan {
        Plan::Probe => return (StandingChange::None, health.probe(now, Duration::from_millis(LEASE_MILLIS))),
        Plan::EndProbe(verdict) => health.judge(verdict, None, held, now, &policy),
        Plan::LeaveProbe => held.map_or(StandingChange::None, |lease| health.release(lease)),
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
