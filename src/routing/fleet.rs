//! What a route asks of the world beyond its own request: the state of the clusters that all workers share.

use std::time::Duration;

use super::{Ending, Upstream};
use crate::health::{Lease, Standing};

/// The clusters as all workers of this Envoy see them. The host keeps it; tests have their own.
pub trait Fleet {
    /// The time since the epoch.
    fn now(&self) -> Duration;
    /// A random number.
    fn random(&self) -> u64;
    /// Whether no cluster at all is ejected or half-open, which saves asking for each.
    fn all_healthy(&self) -> bool;
    /// Whether a cluster is in the pool.
    fn standing(&self, upstream: &Upstream) -> Standing;
    /// The attempts under way at a cluster.
    fn in_flight(&self, upstream: &Upstream) -> u64;
    /// Takes the lease to probe a half-open cluster; `None` if another request has it.
    fn probe(&self, upstream: &Upstream) -> Option<Lease>;
    /// An attempt at a cluster has been decided on.
    fn enter(&self, upstream: &Upstream);
    /// That attempt has ended, and how; with the lease of a probe.
    fn end(&self, upstream: &Upstream, ending: Ending, lease: Option<Lease>);
    /// That attempt will not be made after all.
    fn abandon(&self, upstream: &Upstream, lease: Option<Lease>);
}
