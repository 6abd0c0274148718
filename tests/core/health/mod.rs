mod models;
mod policy;
mod properties;
mod record;
mod stories;
mod workers;

use std::time::Duration;

use sluice::codec::{Forgettable, SharedRecord};
use sluice::health::{Health, Lease, Policy, StandingChange, Verdict};

use StandingChange::Noted;
use Step::{AsksFor, Counted, Ejects, Ends, Leaves, Looks, MayNotProbe, ProbeEnds, ProbeIsAskedFor, Probes, Restores};

const LEASE: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn after(consecutive_failures: u32) -> Policy {
    Policy { consecutive_failures, ..Policy::default() }
}

/// An event at a cluster; pauses and times in seconds.
#[derive(Clone, Copy, Debug)]
enum Step {
    Ends(Verdict),
    AsksFor(u64),
    /// Gets the lease.
    Probes,
    /// Does not get the lease.
    MayNotProbe,
    /// The last holder of the lease.
    ProbeEnds(Verdict),
    ProbeIsAskedFor(u64),
    Leaves,
    Counted(u32),
    Ejects(Option<u64>),
    Restores,
    Looks,
}

const FAILS: Step = Ends(Verdict::Failure);
const SUCCEEDS: Step = Ends(Verdict::Success);
const PROBE_FAILS: Step = ProbeEnds(Verdict::Failure);
const PROBE_SUCCEEDS: Step = ProbeEnds(Verdict::Success);

/// A cluster whose record is stored after every step, and its last lease.
struct Cluster {
    health: Health,
    held: Option<Lease>,
    policy: Policy,
}

impl Cluster {
    fn step(&mut self, step: Step, now: Duration) -> StandingChange {
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
                StandingChange::None
            }
            Leaves => self.held.map_or(StandingChange::None, |lease| health.release(lease)),
            Counted(count) => health.add_successes(count, now, policy),
            Ejects(time) => health.eject(time.map(at), now),
            Restores => health.restore(),
            Looks => StandingChange::None,
        };
        assert_eq!(
            change == StandingChange::None,
            before == self.health,
            "what changed must be written, and only that"
        );
        self.health = Health::decode(&self.health.encode());
        change
    }
}
