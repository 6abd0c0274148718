//! The state of the clusters, shared by all workers of this Envoy: running attempts, and ejections.
//!
//! Running attempts are a gauge, which Envoy shares among its workers (see `in_flight`). A cluster's health is one
//! value in shared data, changed by compare-and-swap. Each worker caches it, and the data version, which is cheaper
//! to read, shows when to read it again.

use std::cell::RefCell;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::codec::{Changed, SharedRecord};
use sluice::connect_failure::{ConnectFailure, LastFailure};
use sluice::exchange::Exchange;
use sluice::gateway::UpstreamStatus;
use sluice::health::{
    AttemptEnd, Blame, Changes, ClusterHealth, Policy, Probe, Reason, Standing, StandingChange, Verdict,
};
use sluice::latency::Latency;
use sluice::outcome::Outcome;
use sluice::routing::{ClusterState, Ending, Upstream};
use sluice::stored::{StoredId, StoringCluster};
use sluice::wire_names::{connect_failure_key, health_key, stats};

use crate::data_version;
use crate::host::{self, shared_data};
use crate::in_flight::{self, InFlight};
use crate::metrics;
use crate::stored;

/// How long the probe of a half-open cluster may take before another request may probe.
const PROBE_LEASE: Duration = Duration::from_secs(60);
/// How often the same connect failure is logged, in seconds.
const LOGGED_EVERY: u64 = 60;

thread_local! {
    static CLUSTERS: RefCell<Clusters> = RefCell::new(Clusters::new());
}

struct Clusters {
    by_name: HashMap<String, Cluster>,
    /// The data version when the health of all clusters was last read.
    seen: Option<u64>,
    all_healthy: bool,
    random: u64,
}

struct Cluster {
    key: String,
    health: ClusterHealth,
    in_flight: InFlight,
    ejected: Option<u32>,
    ejections: Vec<(Reason, u32)>,
    /// Defined once one of its models has failed.
    ejected_models: Option<u32>,
    /// The average time to first byte.
    latency: Latency,
    /// Successes that are not in the health record yet. They only affect the failure ratio.
    successes: u32,
    /// The policy with which they are added, if there is a failure ratio.
    policy: Option<Policy>,
    /// The last connect failure that this worker logged.
    told: Option<LastFailure>,
}

/// The clusters of this Envoy.
pub struct AllClusters;

/// Registers the clusters of a configuration, so that their gauges are in the stats from the start.
pub fn introduce(upstreams: &[Upstream]) {
    CLUSTERS.with_borrow_mut(|clusters| {
        for upstream in upstreams {
            let ratio = upstream.ejection.failure_percent.is_some();
            clusters.get(&upstream.cluster).policy = ratio.then_some(upstream.ejection);
        }
        clusters.seen = None;
    });
}

/// A cluster's answer began after this time.
pub fn learn(upstream: &Upstream, time_to_first_byte: Duration) {
    CLUSTERS.with_borrow_mut(|clusters| clusters.get(&upstream.cluster).latency.learn(time_to_first_byte));
}

/// The end of an attempt whose connection failed; `reason` is Envoy's. It is logged once a minute for each cause, and
/// operators can read the last one.
pub fn unconnected(exchange: &mut Exchange, cause: ConnectFailure, reason: &str) -> Ending {
    let reason = cause.explain(reason);
    let (_, _, cluster) = exchange.labels();
    note_connect_failure(cluster, LastFailure { cause, at: host::now().as_secs(), reason: reason.clone() });
    exchange.connect_failed(reason);
    Ending::unconnected(cause)
}

fn note_connect_failure(cluster: &str, failure: LastFailure) {
    CLUSTERS.with_borrow_mut(|clusters| {
        let told = &mut clusters.get(cluster).told;
        let age =
            told.as_ref().filter(|told| told.cause == failure.cause).map(|told| failure.at.saturating_sub(told.at));
        if age.is_none_or(|age| age >= LOGGED_EVERY) {
            let LastFailure { cause, reason, .. } = &failure;
            log::warn!("sluice: no connection to cluster {cluster:?} ({}): {reason}", cause.label());
            shared_data::put(&connect_failure_key(cluster), &failure.encode());
            *told = Some(failure);
        }
    });
}

/// Adds the successes that this worker has counted, so that others see the same failure ratio.
pub fn hand_in_successes() {
    let now = host::now();
    CLUSTERS.with_borrow_mut(|clusters| {
        let due = |(name, cluster): (&String, &mut Cluster)| {
            let policy = cluster.policy.filter(|_| cluster.successes > 0)?;
            Some((name.clone(), policy, std::mem::take(&mut cluster.successes)))
        };
        for (name, policy, successes) in clusters.by_name.iter_mut().filter_map(due).collect::<Vec<_>>() {
            clusters.change(&name, "", |health| health.add_successes(successes, now, &policy));
        }
    });
}

/// Publishes the attempts that have begun and ended here to all workers.
pub fn tell_in_flight() {
    if in_flight::is_untold() {
        CLUSTERS.with_borrow_mut(|clusters| {
            in_flight::tell(clusters.by_name.values_mut().map(|cluster| &mut cluster.in_flight));
        });
    }
}

/// Renews this VM's lease, and recounts after crashed VMs. Called on each tick.
pub fn renew_in_flight() {
    CLUSTERS.with_borrow_mut(|clusters| {
        in_flight::renew(&mut |change| {
            clusters.by_name.values_mut().for_each(|cluster| change(&mut cluster.in_flight))
        });
    });
}

/// A new VM only begins to count when others know it, and when it knows the current step.
fn join() {
    if in_flight::is_new() {
        renew_in_flight();
    }
}

/// Subtracts an attempt that never existed, and logs the gauge's value then.
#[cfg(feature = "trap")]
pub fn count_below_zero(cluster: &str) {
    CLUSTERS.with_borrow_mut(|clusters| clusters.get(cluster).in_flight.count_below_zero());
}

/// Ejects a cluster manually, for a time or until it is restored.
pub fn eject(upstream: &Upstream, time: Option<Duration>) {
    let now = host::now();
    CLUSTERS.with_borrow_mut(|clusters| clusters.change(&upstream.cluster, "", |health| health.eject(time, now)));
}

/// Restores a cluster manually.
pub fn restore(upstream: &Upstream) {
    CLUSTERS.with_borrow_mut(|clusters| clusters.change(&upstream.cluster, "", |health| health.restore()));
}

/// A cluster's state for operators.
pub fn state(upstream: &Upstream) -> UpstreamStatus {
    let uses = metrics::ended_attempts(&upstream.cluster);
    tell_in_flight();
    CLUSTERS.with_borrow_mut(|clusters| {
        clusters.refresh();
        let cluster = clusters.get(&upstream.cluster);
        let in_flight = cluster.in_flight.read();
        let connect_failure =
            shared_data::read(&connect_failure_key(&upstream.cluster)).and_then(|bytes| LastFailure::parse(&bytes));
        UpstreamStatus {
            health: cluster.health.clone(),
            in_flight,
            uses: uses + in_flight,
            latency: cluster.latency.seconds(),
            connect_failure,
        }
    })
}

impl Clusters {
    fn new() -> Self {
        let random = host::seed() | 1; // xorshift cannot leave zero
        Clusters { by_name: HashMap::new(), seen: None, all_healthy: true, random }
    }

    fn get(&mut self, name: &str) -> &mut Cluster {
        self.by_name.entry_ref(name).or_insert_with(|| Cluster::new(name))
    }

    /// Reads the clusters' health again if it has changed.
    fn refresh(&mut self) {
        let now = Some(data_version::latest());
        if self.seen == now {
            return;
        }
        self.seen = now;
        for cluster in self.by_name.values_mut() {
            cluster.health = shared_data::record(&cluster.key);
        }
        self.all_healthy = self.by_name.values().all(|cluster| cluster.health.is_well());
    }

    /// Changes a cluster's health for all workers, or that of its model `model`.
    fn change(&mut self, name: &str, model: &str, mut change: impl FnMut(&mut ClusterHealth) -> Changes) {
        let cluster = self.get(name);
        let mut changed = Changes::NONE;
        let health = shared_data::update(&cluster.key, |health| {
            changed = change(health);
            Changed::when(changed != Changes::NONE)
        });
        if let (Some(health), true) = (health, changed != Changes::NONE) {
            cluster.health = health;
            cluster.tell(name, model, changed);
            data_version::advance();
            self.refresh();
        }
    }
}

impl Cluster {
    fn new(name: &str) -> Self {
        let key = health_key(name);
        let gauge = |name: String| host::define_gauge(&name);
        let ejected = gauge(stats::ejected(name));
        Cluster {
            key,
            health: ClusterHealth::default(),
            in_flight: InFlight::new(&stats::in_flight(name), stats::recounted(name)),
            ejected,
            ejections: Vec::new(),
            ejected_models: None,
            latency: Latency::default(),
            successes: 0,
            policy: None,
            told: None,
        }
    }

    /// Logs a change.
    fn tell(&mut self, name: &str, model: &str, changes: Changes) {
        let had_models = self.ejected_models.is_some();
        if changes.model != StandingChange::None || had_models {
            self.tell_of_model(name, model, changes.model);
        }
        if let Some(gauge) = self.ejected {
            host::record(gauge, u64::from(self.health.cluster.reason().is_some()));
        }
        match changes.cluster {
            StandingChange::Ejected(reason) => {
                log::warn!("sluice: cluster {name:?} is ejected: {}", reason.label());
                let define = || host::define_counter(&stats::ejections(name, reason.label()));
                if let Some(counter) = metrics::find_or_define(&mut self.ejections, reason, define) {
                    host::increment(counter, 1);
                }
            }
            StandingChange::Restored => log::warn!("sluice: cluster {name:?} is back"),
            StandingChange::None | StandingChange::Noted => {}
        }
    }

    /// This is rare, so the counter is not kept.
    #[cold]
    fn tell_of_model(&mut self, name: &str, model: &str, change: StandingChange) {
        let define = || host::define_gauge(&stats::ejected_models(name));
        self.ejected_models = self.ejected_models.or_else(define);
        if let Some(gauge) = self.ejected_models {
            host::record(gauge, self.health.models_out() as u64);
        }
        match change {
            StandingChange::Ejected(reason) => {
                log::warn!("sluice: model {model:?} of cluster {name:?} is ejected: {}", reason.label());
                if let Some(counter) = host::define_counter(&stats::model_ejections(name, reason.label())) {
                    host::increment(counter, 1);
                }
            }
            StandingChange::Restored => log::warn!("sluice: model {model:?} of cluster {name:?} is back"),
            StandingChange::None | StandingChange::Noted => {}
        }
    }

    fn count_in_flight(&mut self, upstream: &Upstream, by: i32) {
        self.in_flight.count(by, upstream.counts_in_flight);
    }
}

impl ClusterState for AllClusters {
    fn now(&self) -> Duration {
        host::now()
    }

    /// Marsaglia's xorshift64: good enough for choosing, without a call to Envoy.
    fn random(&self) -> u64 {
        CLUSTERS.with_borrow_mut(|clusters| {
            let mut x = clusters.random;
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            clusters.random = x;
            x
        })
    }

    fn all_healthy(&self) -> bool {
        CLUSTERS.with_borrow_mut(|clusters| {
            clusters.refresh();
            clusters.all_healthy
        })
    }

    fn standing(&self, upstream: &Upstream, model: &str) -> Standing {
        let now = host::now();
        CLUSTERS.with_borrow_mut(|clusters| clusters.get(&upstream.cluster).health.standing(model, now))
    }

    fn in_flight(&self, upstream: &Upstream) -> u64 {
        join();
        CLUSTERS.with_borrow_mut(|clusters| clusters.get(&upstream.cluster).in_flight.read())
    }

    fn probe(&self, upstream: &Upstream, model: &str) -> Option<Probe> {
        let now = host::now();
        let mut probe = None;
        CLUSTERS.with_borrow_mut(|clusters| {
            clusters.change(&upstream.cluster, model, |health| {
                probe = health.probe(model, now, PROBE_LEASE);
                match probe {
                    Some(_) => Changes::of_cluster(StandingChange::Noted),
                    None => Changes::NONE,
                }
            });
        });
        probe
    }

    fn enter(&self, upstream: &Upstream) {
        join();
        CLUSTERS.with_borrow_mut(|clusters| clusters.get(&upstream.cluster).count_in_flight(upstream, 1));
    }

    fn end(&self, upstream: &Upstream, model: &str, ending: Ending, probe: Option<Probe>) {
        CLUSTERS.with_borrow_mut(|clusters| {
            let cluster = clusters.get(&upstream.cluster);
            cluster.count_in_flight(upstream, -1);
            let verdict = match (ending.blame, ending.connect) {
                (Blame::Cluster, Some(ConnectFailure::NoCluster)) => Verdict::NoCluster,
                (Blame::Cluster | Blame::Model | Blame::Nobody, _) => Verdict::of(ending.outcome),
            };
            let ended = AttemptEnd { model, verdict, blame: ending.blame, pause: ending.retry_after, held: probe };
            let matters = cluster.health.would_change(&ended);
            if ending.outcome == Outcome::Success && !matters {
                cluster.successes = cluster.successes.saturating_add(1);
                return;
            }
            if !matters && ending.retry_after.is_none() {
                return;
            }
            let now = host::now();
            let successes = std::mem::take(&mut cluster.successes);
            let policy = &upstream.ejection;
            clusters.change(&upstream.cluster, model, |health| {
                let counted = health.add_successes(successes, now, policy);
                match health.judge(&ended, now, policy) {
                    Changes::NONE => counted,
                    judged => judged,
                }
            });
        });
        metrics::count_attempt(&upstream.cluster, ending.outcome);
    }

    fn storing_cluster(&self, id: StoredId) -> Option<StoringCluster> {
        stored::find(id).map(|(storing_cluster, _)| storing_cluster)
    }

    fn abandon(&self, upstream: &Upstream, model: &str, probe: Option<Probe>) {
        CLUSTERS.with_borrow_mut(|clusters| {
            clusters.get(&upstream.cluster).count_in_flight(upstream, -1);
            if let Some(probe) = probe {
                clusters.change(&upstream.cluster, model, |health| health.release(model, probe));
            }
        });
    }
}
