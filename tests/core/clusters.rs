//! Clusters for tests: those of one worker, with the test's own clock and random numbers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use sluice::health::{AttemptEnd, Blame, ClusterHealth, Policy, Probe, Standing, Verdict};
use sluice::routing::{ClusterState, Ending, Upstream};
use sluice::stored::{StoredId, StoringCluster, TablePart};

#[derive(Default)]
pub struct TestClusters {
    pub now: Cell<Duration>,
    pub health: RefCell<BTreeMap<String, ClusterHealth>>,
    pub in_flight: RefCell<BTreeMap<String, i64>>,
    /// Every attempt that ended, in order: cluster and outcome.
    pub ended: RefCell<Vec<(String, &'static str)>>,
    /// The ids that upstreams store.
    pub stored: RefCell<TablePart>,
}

impl TestClusters {
    /// Makes a cluster send `Retry-After` with this many seconds.
    pub fn eject(&self, cluster: &str, seconds: u64) {
        let mut health = self.health.borrow_mut();
        let health = health.entry(cluster.into()).or_default();
        let pause = Some(Duration::from_secs(seconds));
        let ended = AttemptEnd { model: "m", verdict: Verdict::Failure, blame: Blame::Cluster, pause, held: None };
        let _ = health.judge(&ended, self.now.get(), &Policy::default());
    }

    /// The running attempts at all clusters.
    pub fn under_way(&self) -> i64 {
        self.in_flight.borrow().values().sum()
    }

    fn count(&self, upstream: &Upstream, by: i64) {
        let mut in_flight = self.in_flight.borrow_mut();
        let count = in_flight.entry(upstream.cluster.clone()).or_default();
        *count += by;
        assert!(*count >= 0, "{} attempts at {}", count, upstream.cluster);
    }
}

impl ClusterState for TestClusters {
    fn now(&self) -> Duration {
        self.now.get()
    }

    fn random(&self) -> u64 {
        4
    }

    fn all_healthy(&self) -> bool {
        self.health.borrow().values().all(ClusterHealth::is_well)
    }

    fn standing(&self, upstream: &Upstream, model: &str) -> Standing {
        self.health.borrow().get(&upstream.cluster).cloned().unwrap_or_default().standing(model, self.now.get())
    }

    fn in_flight(&self, upstream: &Upstream) -> u64 {
        self.in_flight.borrow().get(&upstream.cluster).map_or(0, |count| *count as u64)
    }

    fn probe(&self, upstream: &Upstream, model: &str) -> Option<Probe> {
        let mut health = self.health.borrow_mut();
        health.entry(upstream.cluster.clone()).or_default().probe(model, self.now.get(), Duration::from_secs(60))
    }

    fn enter(&self, upstream: &Upstream) {
        self.count(upstream, 1);
    }

    fn end(&self, upstream: &Upstream, model: &str, ending: Ending, held: Option<Probe>) {
        self.count(upstream, -1);
        self.ended.borrow_mut().push((upstream.cluster.clone(), ending.outcome.label()));
        let mut health = self.health.borrow_mut();
        let health = health.entry(upstream.cluster.clone()).or_default();
        let (verdict, blame, pause) = (Verdict::of(ending.outcome), ending.blame, ending.retry_after);
        let ended = AttemptEnd { model, verdict, blame, pause, held };
        let _ = health.judge(&ended, self.now.get(), &upstream.ejection);
    }

    fn storing_cluster(&self, id: StoredId) -> Option<StoringCluster> {
        self.stored.borrow().find(id, self.now.get()).map(|(keeper, _)| keeper)
    }

    fn abandon(&self, upstream: &Upstream, model: &str, probe: Option<Probe>) {
        self.count(upstream, -1);
        if let (Some(probe), Some(health)) = (probe, self.health.borrow_mut().get_mut(&upstream.cluster)) {
            let _ = health.release(model, probe);
        }
    }
}
