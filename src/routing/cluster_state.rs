//! The state that a route needs besides its own request: that of the clusters, shared by all workers.

use std::time::Duration;

use super::{Ending, Upstream};
use crate::health::{Probe, Standing};
use crate::stored::{StoredId, StoringCluster};

/// The clusters as all workers of this Envoy see them. The host implements it; tests have their own.
pub trait ClusterState {
    /// The time since the epoch.
    fn now(&self) -> Duration;
    /// A random number.
    fn random(&self) -> u64;
    /// Whether all clusters and models are in the pool, which saves checking each of them.
    fn all_healthy(&self) -> bool;
    /// Whether a cluster is in the pool with a model, given by the cluster's name for it.
    fn standing(&self, upstream: &Upstream, model: &str) -> Standing;
    /// The running attempts at a cluster.
    fn in_flight(&self, upstream: &Upstream) -> u64;
    /// Takes the lease to probe a half-open cluster or model; `None` if another request has it.
    fn probe(&self, upstream: &Upstream, model: &str) -> Option<Probe>;
    /// An attempt at a cluster begins.
    fn enter(&self, upstream: &Upstream);
    /// That attempt has ended, with this result; with its lease, if it was a probe.
    fn end(&self, upstream: &Upstream, model: &str, ending: Ending, probe: Option<Probe>);
    /// The cluster that stores an id; `None` if unknown.
    fn storing_cluster(&self, id: StoredId) -> Option<StoringCluster>;
    /// That attempt is cancelled.
    fn abandon(&self, upstream: &Upstream, model: &str, probe: Option<Probe>);
}
