//! A cluster with its models: a provider may limit or refuse one model, and serve the others.
//!
//! The cluster and each of its models have separate records, which the workers share as one value. An answer only
//! counts against a model if it says so ([`Blame::Model`]); everything else counts against the cluster. A model without
//! failures has no record.

use std::time::Duration;

use super::lease::Lease;
use super::machine::Health;
use super::policy::{Blame, Policy, Verdict};
use super::standing::{Standing, StandingChange};
use crate::codec::{Forgettable, Reader, SharedRecord, Writer};

/// The maximum number of a cluster's models with a record, since clients may choose the names. Failures of further
/// models are ignored.
pub const MAX_MODELS: usize = 64;

/// The longest model name with a record, in bytes.
const MAX_NAME: usize = 512;

/// The health of a cluster and of its models. The default is healthy, without failures.
///
/// ```
/// use std::time::Duration;
/// use sluice::health::{Blame, ClusterHealth, AttemptEnd, Policy, Standing, Verdict};
///
/// let mut health = ClusterHealth::default();
/// let pause = Some(Duration::from_secs(20));
/// let ended = AttemptEnd { model: "large", verdict: Verdict::Failure, blame: Blame::Model, pause, held: None };
/// let now = Duration::from_secs(100);
/// let _ = health.judge(&ended, now, &Policy::default());
/// assert!(matches!(health.standing("large", now), Standing::Ejected { .. }));
/// assert_eq!(health.standing("small", now), Standing::Healthy);
/// assert_eq!(health.cluster.standing(now), Standing::Healthy);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterHealth {
    /// The cluster's own.
    pub cluster: Health,
    /// Its models' records, by the cluster's names of the models.
    models: Vec<(String, Health)>,
}

/// The lease of a probe, and what it probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It probes the cluster.
    Cluster(Lease),
    /// It probes one model of a healthy cluster.
    Model(Lease),
}

/// The end of an attempt, as far as it matters for health.
#[derive(Clone, Copy, Debug)]
pub struct AttemptEnd<'a> {
    /// The cluster's name of the model.
    pub model: &'a str,
    /// The verdict.
    pub verdict: Verdict,
    /// The subject of the verdict.
    pub blame: Blame,
    /// The retry delay from the provider.
    pub pause: Option<Duration>,
    /// The lease, if the attempt was a probe.
    pub held: Option<Probe>,
}

impl AttemptEnd<'_> {
    fn of_cluster(&self) -> Verdict {
        match self.blame {
            Blame::Cluster => self.verdict,
            Blame::Model | Blame::Nobody => Verdict::Neutral,
        }
    }

    /// A success also counts for the model.
    fn of_model(&self) -> Verdict {
        match (self.blame, self.verdict) {
            (Blame::Model, verdict) => verdict,
            (Blame::Cluster, Verdict::Success) => Verdict::Success,
            (Blame::Cluster | Blame::Nobody, _) => Verdict::Neutral,
        }
    }

    fn lease_of_cluster(&self) -> Option<Lease> {
        match self.held {
            Some(Probe::Cluster(lease)) => Some(lease),
            Some(Probe::Model(_)) | None => None,
        }
    }

    fn lease_of_model(&self) -> Option<Lease> {
        match self.held {
            Some(Probe::Model(lease)) => Some(lease),
            Some(Probe::Cluster(_)) | None => None,
        }
    }
}

/// The changes.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Of the cluster.
    pub cluster: StandingChange,
    /// Of the model.
    pub model: StandingChange,
}

impl Changes {
    /// Nothing.
    pub const NONE: Changes = Changes { cluster: StandingChange::None, model: StandingChange::None };

    /// A change of the cluster alone.
    pub const fn of_cluster(cluster: StandingChange) -> Self {
        Changes { cluster, model: StandingChange::None }
    }
}

impl ClusterHealth {
    /// Whether a model of the cluster may be used at `now` (since the epoch). If the cluster is out, all its models
    /// are.
    pub fn standing(&self, model: &str, now: Duration) -> Standing {
        let cluster = self.cluster.standing(now);
        let model = self.find(model).map_or(Standing::Healthy, |health| health.standing(now));
        match (&cluster, &model) {
            (Standing::Ejected { .. }, _) | (_, Standing::Healthy) => cluster,
            (_, Standing::Ejected { .. }) | (Standing::Healthy, _) => model,
            (Standing::HalfOpen { .. }, Standing::HalfOpen { .. }) => cluster,
        }
    }

    /// Whether the cluster and all of its models are in the pool.
    pub fn is_well(&self) -> bool {
        self.cluster.reason().is_none() && self.models.iter().all(|(_, health)| health.reason().is_none())
    }

    /// The models that have a record.
    pub fn models(&self) -> impl Iterator<Item = (&str, &Health)> {
        self.models.iter().map(|(name, health)| (name.as_str(), health))
    }

    /// The number of models that are out, not counting the cluster's own state.
    pub fn models_out(&self) -> usize {
        self.models.iter().filter(|(_, health)| health.reason().is_some()).count()
    }

    /// Whether [`ClusterHealth::judge`] must be called (see [`Health::would_change`]).
    pub fn would_change(&self, ended: &AttemptEnd<'_>) -> bool {
        let model = match self.find(ended.model) {
            Some(health) => health.would_change(ended.of_model(), ended.lease_of_model()),
            None => is_failure(ended.of_model()),
        };
        model || self.cluster.would_change(ended.of_cluster(), ended.lease_of_cluster())
    }

    /// Records the end of an attempt. `now`: since the epoch.
    pub fn judge(&mut self, ended: &AttemptEnd<'_>, now: Duration, policy: &Policy) -> Changes {
        let pause = |blame| ended.pause.filter(|_| ended.blame == blame);
        let cluster =
            self.cluster.judge(ended.of_cluster(), pause(Blame::Cluster), ended.lease_of_cluster(), now, policy);
        let verdict = ended.of_model();
        if is_failure(verdict) {
            self.make_room(ended.model, now);
        }
        let Some((_, health)) = self.models.iter_mut().find(|(name, _)| name == ended.model) else {
            return Changes::of_cluster(cluster);
        };
        let model = health.judge(verdict, pause(Blame::Model), ended.lease_of_model(), now, policy);
        self.models.retain(|(_, health)| !is_forgotten(health, now, policy));
        Changes { cluster, model }
    }

    /// Adds successes of the cluster (see [`Health::add_successes`]).
    pub fn add_successes(&mut self, count: u32, now: Duration, policy: &Policy) -> Changes {
        Changes::of_cluster(self.cluster.add_successes(count, now, policy))
    }

    /// Takes the probe's lease: of the cluster if it is half-open, else of the model (see [`Health::probe`]).
    pub fn probe(&mut self, model: &str, now: Duration, lease: Duration) -> Option<Probe> {
        let Standing::HalfOpen { .. } = self.standing(model, now) else {
            return None;
        };
        if self.cluster.reason().is_some() {
            return self.cluster.probe(now, lease).map(Probe::Cluster);
        }
        let (_, health) = self.models.iter_mut().find(|(name, _)| name == model)?;
        health.probe(now, lease).map(Probe::Model)
    }

    /// Returns a lease (see [`Health::release`]).
    pub fn release(&mut self, model: &str, held: Probe) -> Changes {
        match held {
            Probe::Cluster(lease) => Changes::of_cluster(self.cluster.release(lease)),
            Probe::Model(lease) => {
                let found = self.models.iter_mut().find(|(name, _)| name == model);
                let model = found.map_or(StandingChange::None, |(_, health)| health.release(lease));
                Changes { cluster: StandingChange::None, model }
            }
        }
    }

    /// Ejects the cluster manually (see [`Health::eject`]).
    pub fn eject(&mut self, time: Option<Duration>, now: Duration) -> Changes {
        Changes::of_cluster(self.cluster.eject(time, now))
    }

    /// Restores the cluster and all its models manually.
    pub fn restore(&mut self) -> Changes {
        let models = std::mem::take(&mut self.models);
        let had_models = !models.is_empty();
        match self.cluster.restore() {
            StandingChange::None if had_models => Changes::of_cluster(StandingChange::Noted),
            change => Changes::of_cluster(change),
        }
    }

    fn find(&self, model: &str) -> Option<&Health> {
        self.models.iter().find(|(name, _)| name == model).map(|(_, health)| health)
    }

    /// Creates a record for a model that has failed. If there are too many, a record of a model in the pool is dropped.
    fn make_room(&mut self, model: &str, now: Duration) {
        if self.find(model).is_some() || model.is_empty() || model.len() > MAX_NAME {
            return;
        }
        if self.models.len() >= MAX_MODELS {
            let is_out = |health: &Health| matches!(health.standing(now), Standing::Ejected { .. });
            let Some(place) = self.models.iter().position(|(_, health)| !is_out(health)) else {
                return;
            };
            self.models.remove(place);
        }
        self.models.push((model.to_owned(), Health::default()));
    }
}

fn is_failure(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Failure | Verdict::Credential | Verdict::NoCluster => true,
        Verdict::Success | Verdict::Neutral => false,
    }
}

/// Whether a record equals no record.
fn is_forgotten(health: &Health, now: Duration, policy: &Policy) -> bool {
    health.reason().is_none() && health.consecutive_failures() == 0 && health.ejections(now, policy) == 0
}

/// The cluster's record, then for each model its name, and its record with the version.
///
/// ```
/// use sluice::codec::{Forgettable, SharedRecord};
/// use sluice::health::ClusterHealth;
///
/// let health = ClusterHealth::default();
/// assert_eq!(ClusterHealth::decode(&health.encode()), health);
/// assert_eq!(ClusterHealth::decode(b"?"), ClusterHealth::default());
/// ```
impl SharedRecord for ClusterHealth {
    const VERSION: u8 = Health::VERSION;

    fn write(&self, out: &mut Writer) {
        self.cluster.write(out);
        for (name, health) in &self.models {
            out.text(name);
            out.u8(Health::VERSION);
            health.write(out);
        }
    }

    fn read(input: &mut Reader<'_>, version: u8) -> Option<Self> {
        let cluster = Health::read(input, version)?;
        let models = input.list_to_end(MAX_MODELS, |input| {
            let name = input.text()?.to_owned();
            let version = input.u8().filter(|version| *version == Health::VERSION)?;
            Some((name, Health::read(input, version)?))
        });
        Some(ClusterHealth { cluster, models: models? })
    }
}

/// An unreadable record is healthy, without failures.
impl Forgettable for ClusterHealth {}
