//! The guard's configuration, its compiled patterns and its cache.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sluice::config::{self, ConfigError};
use sluice::exchange::Exchange;
use sluice::guard::api::Failure;
use sluice::guard::checks::{
    Action, Backend, Check, CheckPhase, CheckSubject, Guard as Checks, ResultCache, StreamPolicy,
};
use sluice::guard::pii::Patterns;
use sluice::guard::stream::{Limits, Unchecked};
use sluice::wire_names::ANONYMOUS;

use crate::chain_router::ChainRouter;
use crate::metrics;

/// What is checked, and the results of earlier checks.
pub(super) struct Config {
    pub checks: Rc<Checks>,
    pub cache: RefCell<ResultCache>,
    /// The compiled patterns by check, for checks made here.
    pub patterns: Vec<Option<Patterns>>,
    /// The further paths, whose bodies cannot be checked.
    pub router: ChainRouter,
    /// A digest of the configuration, for the keys of answers that are kept.
    pub digest: [u8; 16],
}

/// Reads the configuration, and compiles its patterns.
///
/// # Errors
/// The first mistake.
pub(super) fn read(bytes: &[u8]) -> Result<Config, ConfigError> {
    let checks = config::guard(bytes, &|name| std::env::var(name).ok())?;
    let patterns = checks.checks.iter().map(|check| match &check.backend {
        Backend::Patterns(local) => local.compile().ok(), // the configuration has already compiled them once
        Backend::Service(..) => None,
    });
    let patterns = patterns.collect();
    let cache = RefCell::new(ResultCache::new(checks.cache));
    let digest = config::digest("guard", bytes)?;
    Ok(Config { cache, checks: Rc::new(checks), patterns, router: ChainRouter::of_chain(), digest })
}

impl Config {
    /// Whether any check applies to such a subject.
    pub fn applies(&self, subject: &CheckSubject<'_>) -> bool {
        self.checks.checks.iter().any(|check| check.applies(subject))
    }

    /// Whether a request to a further path must not pass: a check of this key's requests or answers could change or refuse
    /// them, whatever the model, and cannot read them.
    pub fn refuses_unread(&self, path: &str, key: &str) -> bool {
        let could = |check: &Check| check.action != Action::Flag && !check.dry_run && check.keys.matches(key);
        self.checks.checks.iter().any(could) && !self.router.skips_guard(path)
    }

    /// Whether a WebSocket must not be opened: a check of its model could change or refuse what it carries, and cannot read
    /// it.
    pub fn refuses_socket(&self, subject: &CheckSubject<'_>) -> bool {
        let phases = [CheckPhase::Request, CheckPhase::Response].map(|phase| CheckSubject { phase, ..*subject });
        let could = |check: &Check| check.action != Action::Flag && !check.dry_run;
        self.checks.checks.iter().any(|check| could(check) && phases.iter().any(|phase| check.applies(phase)))
    }

    /// Whether a check passes nothing that it has not seen.
    pub fn denies(&self, subject: &CheckSubject<'_>) -> bool {
        self.checks.checks.iter().any(|check| check.applies(subject) && check.denies())
    }

    /// Whether a check that hides values of such a request passes nothing that it cannot restore.
    pub fn denies_unrestored(&self, subject: &CheckSubject<'_>) -> bool {
        self.restoring(subject).any(Check::denies)
    }

    /// Counts that values of such a request could not be restored in its answer.
    pub fn fail_restoring(&self, subject: &CheckSubject<'_>, failure: Failure) {
        for check in self.restoring(subject) {
            metrics::count_check(&check.name, CheckPhase::Response, failure.label(), Duration::ZERO);
        }
    }

    fn restoring<'a>(&'a self, subject: &'a CheckSubject<'a>) -> impl Iterator<Item = &'a Check> {
        let checks = self.checks.checks.iter();
        checks.filter(move |check| check.action == Action::Restore && !check.dry_run && check.applies(subject))
    }

    /// Counts that no check could be made. Returns whether one of them passes nothing then.
    pub fn fail(&self, subject: &CheckSubject<'_>, failure: Failure) -> bool {
        for check in self.checks.checks.iter().filter(|check| check.applies(subject)) {
            metrics::count_check(&check.name, subject.phase, failure.label(), Duration::ZERO);
        }
        self.denies(subject)
    }
}

/// The subject of the checks.
pub(super) fn subject(phase: CheckPhase, exchange: &Exchange) -> CheckSubject<'_> {
    let key = exchange.identity().map_or(ANONYMOUS, |identity| identity.id.as_str());
    CheckSubject { phase, model: exchange.model_name(), key }
}

/// The sizes and times of a stream's windows.
pub(super) fn limits(policy: &StreamPolicy, unchecked: Unchecked) -> Limits {
    let StreamPolicy { characters: window, time: delay, overlap, .. } = *policy;
    Limits { window, delay, overlap, unchecked, ..Limits::default() }
}
