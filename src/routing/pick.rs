//! Picks the target of an attempt: who is in the pool, then the model's strategy.

use std::time::Duration;

use super::{Choice, Fleet, Model, Pick, Table, TargetSet, Upstream};
use crate::health::{Probe, Reason, Standing};

/// The target of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// This one; with the lease, if the attempt is the probe of a half-open cluster or model.
    Target(usize, Option<Probe>),
    /// All that may be used have no free slot.
    Full,
    /// All that are left are out of the pool: this one comes back soonest.
    Out(Soonest),
    /// There is none left.
    None,
}

/// A target that is out of the pool, and when it comes back: the smallest is to be tried first, if nothing better is
/// there. An ejected cluster may still answer, a request without a target cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Soonest {
    /// An operator has taken it out: it is asked only if nothing else was ever there to ask.
    pub by_hand: bool,
    /// Since the epoch.
    pub at: Duration,
    /// The target.
    pub target: usize,
}

/// What may be picked from, and by what.
pub struct Pool<'a> {
    /// Where the model's upstreams stand.
    pub table: &'a Table,
    /// The model.
    pub model: &'a Model,
    /// Its name for targets that have none of their own.
    pub name: &'a str,
    /// The targets that can serve the request: they speak its dialect, or it can be translated for them.
    pub serving: TargetSet,
    /// Those that speak its dialect, which come first.
    pub speaking: TargetSet,
    /// Those that have been tried.
    pub tried: TargetSet,
    /// The request's hash, for strategies that ask for one.
    pub affinity: u64,
}

impl Pool<'_> {
    /// Picks a target among those that have not been tried.
    ///
    /// One request probes a half-open cluster, whatever the strategy would say; the others stay away.
    pub fn pick(&self, fleet: &dyn Fleet) -> Picked {
        let untried = self.serving.without(self.tried);
        if untried.is_empty() {
            return Picked::None;
        }
        if fleet.all_healthy() {
            return self.by_strategy(untried, fleet);
        }
        let out = self.out(fleet);
        for (target, standing) in &out {
            if untried.contains(*target) && matches!(standing, Standing::HalfOpen { .. }) {
                let probe = |upstream| fleet.probe(upstream, self.model_at(*target));
                if let Some(probe) = self.upstream(*target).and_then(probe) {
                    return Picked::Target(*target, Some(probe));
                }
            }
        }
        let kept_out = self.most_that_may_be_out(out);
        let mut allowed = untried;
        kept_out.iter().for_each(|(target, _)| allowed.remove(*target));
        if !allowed.is_empty() {
            return self.by_strategy(allowed, fleet);
        }
        let left = kept_out.iter().filter(|(target, _)| untried.contains(*target));
        let soonest = left.map(|(target, standing)| Soonest {
            by_hand: is_by_hand(standing),
            at: back_at(standing),
            target: *target,
        });
        soonest.min().map_or(Picked::None, Picked::Out)
    }

    fn by_strategy(&self, allowed: TargetSet, fleet: &dyn Fleet) -> Picked {
        let in_flight = |target| self.upstream(target).map_or(0, |upstream| fleet.in_flight(upstream));
        let first = self.tried.is_empty();
        let allowed = match self.serving == self.speaking {
            true => allowed,
            false => self.model.strategy.prefer(allowed, self.speaking),
        };
        let choice = Choice { allowed, first, in_flight: &in_flight, random: fleet.random(), affinity: self.affinity };
        match self.model.strategy.pick(&choice) {
            Pick::Target(target) => Picked::Target(target, None),
            Pick::Full if first => Picked::Full,
            // a retry cannot wait, and one too many is better than none
            Pick::Full => match allowed.iter().min_by_key(|target| in_flight(*target)) {
                Some(target) => Picked::Target(target, None),
                None => Picked::None,
            },
            Pick::None => Picked::None,
        }
    }

    /// The targets that are not healthy, those that come back soonest first.
    fn out(&self, fleet: &dyn Fleet) -> Vec<(usize, Standing)> {
        let standing = |target| Some((target, fleet.standing(self.upstream(target)?, self.model_at(target))));
        let mut out: Vec<(usize, Standing)> =
            self.serving.iter().filter_map(standing).filter(|(_, standing)| *standing != Standing::Healthy).collect();
        out.sort_by_key(|(_, standing)| back_at(standing));
        out
    }

    /// Of those that are out, the ones that stay out: no more than the configured share of the pool. Those that
    /// come back soonest are let in before their time; what was ejected by hand stays out.
    fn most_that_may_be_out(&self, mut out: Vec<(usize, Standing)>) -> Vec<(usize, Standing)> {
        let most = self.serving.len() * self.table.max_ejected_percent as usize / 100;
        while out.len() > most {
            let Some(soonest) = out.iter().position(|(_, standing)| !is_by_hand(standing)) else {
                break;
            };
            out.remove(soonest);
        }
        out
    }

    /// The model by the name that a target knows.
    fn model_at(&self, target: usize) -> &str {
        self.model.targets.get(target).and_then(|target| target.model.as_deref()).unwrap_or(self.name)
    }

    fn upstream(&self, target: usize) -> Option<&Upstream> {
        self.table.upstream_of(self.model.targets.get(target)?)
    }
}

/// When a cluster comes back, since the epoch.
fn back_at(standing: &Standing) -> Duration {
    match standing {
        Standing::Healthy | Standing::HalfOpen { .. } => Duration::ZERO,
        Standing::Ejected { until, .. } => until.unwrap_or(Duration::MAX),
    }
}

fn is_by_hand(standing: &Standing) -> bool {
    matches!(standing, Standing::Ejected { reason: Reason::Manual, .. })
}
