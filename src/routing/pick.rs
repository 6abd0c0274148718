//! Picks the target of an attempt: targets in the pool, by the model's strategy.

use std::time::Duration;

use super::{ClusterState, Model, Pick, PickInputs, Table, TargetSet, Upstream};
use crate::health::{Probe, Reason, Standing};

/// The target of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// This one; with the lease, if the attempt probes a half-open cluster or model.
    Target(usize, Option<Probe>),
    /// All usable targets have no free slot.
    Full,
    /// All remaining targets are ejected; this one returns soonest.
    Out(Soonest),
    /// No target is left.
    None,
}

/// A target that is ejected, and when it returns: the smallest is tried first, if there is nothing better. An
/// ejected cluster may still answer; a request without a target cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Soonest {
    /// It was ejected manually: it is only tried if no other target exists.
    pub by_hand: bool,
    /// Since the epoch.
    pub at: Duration,
    /// The target.
    pub target: usize,
}

/// The candidates of a pick, and its inputs.
pub struct Pool<'a> {
    /// The table with the model's upstreams.
    pub table: &'a Table,
    /// The model.
    pub model: &'a Model,
    /// The name for targets without their own name for the model.
    pub name: &'a str,
    /// The targets that can serve the request: they have its dialect, or it can be translated for them.
    pub serving: TargetSet,
    /// Those with its dialect, which come first.
    pub speaking: TargetSet,
    /// Those that were already tried.
    pub tried: TargetSet,
    /// The request's hash, for strategies that need one.
    pub affinity: u64,
}

impl Pool<'_> {
    /// Picks a target that has not been tried.
    ///
    /// One request probes a half-open cluster, whatever the strategy; the others go elsewhere.
    pub fn pick(&self, clusters: &dyn ClusterState) -> Picked {
        let untried = self.serving.without(self.tried);
        if untried.is_empty() {
            return Picked::None;
        }
        if clusters.all_healthy() {
            return self.by_strategy(untried, clusters);
        }
        let out = self.out(clusters);
        for (target, standing) in &out {
            if untried.contains(*target) && matches!(standing, Standing::HalfOpen { .. }) {
                let probe = |upstream| clusters.probe(upstream, self.model_at(*target));
                if let Some(probe) = self.upstream(*target).and_then(probe) {
                    return Picked::Target(*target, Some(probe));
                }
            }
        }
        let kept_out = self.most_that_may_be_out(out);
        let mut allowed = untried;
        kept_out.iter().for_each(|(target, _)| allowed.remove(*target));
        if !allowed.is_empty() {
            return self.by_strategy(allowed, clusters);
        }
        let left = kept_out.iter().filter(|(target, _)| untried.contains(*target));
        let soonest = left.map(|(target, standing)| Soonest {
            by_hand: is_by_hand(standing),
            at: back_at(standing),
            target: *target,
        });
        soonest.min().map_or(Picked::None, Picked::Out)
    }

    fn by_strategy(&self, allowed: TargetSet, clusters: &dyn ClusterState) -> Picked {
        let in_flight = |target| self.upstream(target).map_or(0, |upstream| clusters.in_flight(upstream));
        let first = self.tried.is_empty();
        let allowed = match self.serving == self.speaking {
            true => allowed,
            false => self.model.strategy.prefer(allowed, self.speaking),
        };
        let choice =
            PickInputs { allowed, first, in_flight: &in_flight, random: clusters.random(), affinity: self.affinity };
        match self.model.strategy.pick(&choice) {
            Pick::Target(target) => Picked::Target(target, None),
            Pick::Full if first => Picked::Full,
            // a retry cannot wait, and one request too many is better than no answer
            Pick::Full => match allowed.iter().min_by_key(|target| in_flight(*target)) {
                Some(target) => Picked::Target(target, None),
                None => Picked::None,
            },
            Pick::None => Picked::None,
        }
    }

    /// The targets that are not healthy; those that return soonest come first.
    fn out(&self, clusters: &dyn ClusterState) -> Vec<(usize, Standing)> {
        let standing = |target| Some((target, clusters.standing(self.upstream(target)?, self.model_at(target))));
        let mut out: Vec<(usize, Standing)> =
            self.serving.iter().filter_map(standing).filter(|(_, standing)| *standing != Standing::Healthy).collect();
        out.sort_by_key(|(_, standing)| back_at(standing));
        out
    }

    /// The targets that stay out: at most the configured share of the pool. Those that return soonest are restored
    /// early; manually ejected ones stay out.
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

    /// A target's name for the model.
    fn model_at(&self, target: usize) -> &str {
        self.model.targets.get(target).and_then(|target| target.model.as_deref()).unwrap_or(self.name)
    }

    fn upstream(&self, target: usize) -> Option<&Upstream> {
        self.table.upstream_of(self.model.targets.get(target)?)
    }
}

/// When a cluster returns, since the epoch.
fn back_at(standing: &Standing) -> Duration {
    match standing {
        Standing::Healthy | Standing::HalfOpen { .. } => Duration::ZERO,
        Standing::Ejected { until, .. } => until.unwrap_or(Duration::MAX),
    }
}

fn is_by_hand(standing: &Standing) -> bool {
    matches!(standing, Standing::Ejected { reason: Reason::Manual, .. })
}
