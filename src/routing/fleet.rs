//! What a route asks of the world beyond its own request: the state of the clusters that all workers share.

use std::time::Duration;

use super::{Ending, Upstream};
use crate::health::{Probe, Standing};
use crate::stored::{Keeper, StoredId};

/// The clusters as all workers of this Envoy see them. The host keeps it; tests have their own.
pub trait Fleet {
    /// The time since the epoch.
    fn now(&self) -> Duration;
    /// A random number.
    fn random(&self) -> u64;
    /// Whether no cluster and no model of one is ejected or half-open, which saves asking for each.
    fn all_healthy(&self) -> bool;
    /// Whether a cluster is in the pool with a model, which is named as the cluster knows it.
    fn standing(&self, upstream: &Upstream, model: &str) -> Standing;
    /// The attempts under way at a cluster.
    fn in_flight(&self, upstream: &Upstream) -> u64;
    /// Takes the lease to probe a half-open cluster, or a half-open model of it; `None` if another request has it.
    fn probe(&self, upstream: &Upstream, model: &str) -> Option<Probe>;
    /// An attempt at a cluster has been decided on.
    fn enter(&self, upstream: &Upstream);
    /// That attempt has ended, and how; with its lease, if it was a probe.
    fn end(&self, upstream: &Upstream, model: &str, ending: Ending, probe: Option<Probe>);
    /// Which cluster stores what an id names; `None` if that is not known.
    fn keeper(&self, id: StoredId) -> Option<Keeper>;
    /// That attempt will not be made after all.
    fn abandon(&self, upstream: &Upstream, model: &str, probe: Option<Probe>);
}
