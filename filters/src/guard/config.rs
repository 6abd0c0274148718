//! The guard's configuration, its compiled patterns and its cache.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sluice::config::{self, ConfigError};
use sluice::exchange::Exchange;
use sluice::guard::api::Failure;
use sluice::guard::checks::{Action, Backend, Check, Guard as Checks, Known, Phase, Subject};
use sluice::guard::pii::Patterns;
use sluice::wire_names::ANONYMOUS;

use crate::metrics;

/// What is checked, and what is known from earlier checks.
pub(super) struct Config {
    pub checks: Rc<Checks>,
    pub known: RefCell<Known>,
    /// The compiled patterns by check, for checks made here.
    pub patterns: Vec<Option<Patterns>>,
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
    Ok(Config { known: RefCell::new(Known::new(checks.memory)), checks: Rc::new(checks), patterns })
}

impl Config {
    /// Whether any check applies to such a subject.
    pub fn applies(&self, subject: &Subject<'_>) -> bool {
        self.checks.checks.iter().any(|check| check.applies(subject))
    }

    /// Whether a check passes nothing that it has not seen.
    pub fn denies(&self, subject: &Subject<'_>) -> bool {
        self.checks.checks.iter().any(|check| check.applies(subject) && check.denies())
    }

    /// Whether a check that hides values of such a request passes nothing that it cannot restore.
    pub fn denies_unrestored(&self, subject: &Subject<'_>) -> bool {
        self.restoring(subject).any(Check::denies)
    }

    /// Counts that values of such a request could not be restored in its answer.
    pub fn fail_restoring(&self, subject: &Subject<'_>, failure: Failure) {
        for check in self.restoring(subject) {
            metrics::count_check(&check.name, Phase::Response, failure.label(), Duration::ZERO);
        }
    }

    fn restoring<'a>(&'a self, subject: &'a Subject<'a>) -> impl Iterator<Item = &'a Check> {
        let checks = self.checks.checks.iter();
        checks.filter(move |check| check.action == Action::Restore && !check.dry_run && check.applies(subject))
    }

    /// Counts that no check could be made. Returns whether one of them passes nothing then.
    pub fn fail(&self, subject: &Subject<'_>, failure: Failure) -> bool {
        for check in self.checks.checks.iter().filter(|check| check.applies(subject)) {
            metrics::count_check(&check.name, subject.phase, failure.label(), Duration::ZERO);
        }
        self.denies(subject)
    }
}

/// The subject of the checks.
pub(super) fn subject(phase: Phase, exchange: &Exchange) -> Subject<'_> {
    let key = exchange.identity().map_or(ANONYMOUS, |identity| identity.id.as_str());
    Subject { phase, model: exchange.model_name(), key }
}
