//! One check, as configured.

use crate::callout::Service;
use crate::guard::api::Api;
use crate::guard::pii::{self, Entity, PatternError};
use crate::guard::Speaker;
use crate::pattern::Patterns;

/// The phase of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckPhase {
    /// The client's request.
    Request,
    /// The model's answer.
    Response,
}

impl CheckPhase {
    /// Its name in the configuration and in stats.
    pub fn name(self) -> &'static str {
        match self {
            CheckPhase::Request => "request",
            CheckPhase::Response => "response",
        }
    }

    /// The default roles. A model's own earlier answers were checked as answers. But values to hide from it are in them
    /// as well, because they were restored there.
    fn speakers(self, action: Action) -> &'static [Speaker] {
        match (self, action) {
            (CheckPhase::Request, Action::Block | Action::Flag) => &[Speaker::User, Speaker::Tool],
            (CheckPhase::Request, Action::Mask | Action::Restore) => {
                &[Speaker::System, Speaker::User, Speaker::Assistant, Speaker::Tool]
            }
            (CheckPhase::Response, _) => &[Speaker::Assistant],
        }
    }
}

/// The subject of a check run, which decides which checks apply.
#[derive(Clone, Copy, Debug)]
pub struct CheckSubject<'a> {
    /// The phase.
    pub phase: CheckPhase,
    /// The client's name of the model.
    pub model: &'a str,
    /// The id of the client's key.
    pub key: &'a str,
}

/// The effect of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing passes.
    Block,
    /// The entity's name replaces the finding (`<EMAIL_ADDRESS>`).
    Mask,
    /// The same, and the answer restores the value. New findings in an answer are masked.
    Restore,
    /// The text passes, and is flagged.
    Flag,
}

/// The policy for failed checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Everything passes.
    Allow,
    /// Nothing passes.
    Deny,
}

/// The policy for findings in signed content of a request, which a rewriting check cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrewritable {
    /// It passes unchanged.
    Allow,
    /// The request is refused.
    Block,
}

/// A custom pattern of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custom {
    /// The entity that it finds.
    pub name: String,
    /// The regular expression.
    pub regex: String,
}

/// The built-in patterns to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalPatterns {
    /// The entities; empty: all.
    pub entities: Vec<String>,
    /// Custom patterns.
    pub custom: Vec<Custom>,
}

impl LocalPatterns {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// The invalid pattern.
    pub fn compile(&self) -> Result<pii::Patterns, PatternError> {
        let named = self.entities.iter().filter_map(|name| Entity::from_name(name)).collect::<Vec<_>>();
        let entities = if self.entities.is_empty() && self.custom.is_empty() { Entity::ALL.to_vec() } else { named };
        let custom: Vec<_> = self.custom.iter().map(|custom| (custom.name.as_str(), custom.regex.as_str())).collect();
        pii::Patterns::new(&entities, &custom)
    }
}

/// What performs the check.
#[derive(Clone, Debug)]
pub enum Backend {
    /// A service.
    Service(Api, Service),
    /// The gateway itself.
    Patterns(LocalPatterns),
}

impl Backend {
    /// Whether its results are cached: patterns are faster than hashing a text, and a verdict about several texts is not
    /// one about each.
    pub fn is_remembered(&self) -> bool {
        match self {
            Backend::Service(api, _) => api.reads_each(),
            Backend::Patterns(_) => false,
        }
    }
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name in stats, errors and headers.
    pub name: String,
    /// What performs it.
    pub backend: Backend,
    /// The phases.
    pub phases: Vec<CheckPhase>,
    /// The roles; `None`: the phase's default.
    pub speakers: Option<Vec<Speaker>>,
    /// The models it applies to.
    pub models: Patterns,
    /// The ids of the client keys it applies to.
    pub keys: Patterns,
    /// The policy if it fails.
    pub on_failure: OnFailure,
    /// The effect of a finding.
    pub action: Action,
    /// The policy for findings that cannot be rewritten. `None`: [`Action::Mask`] refuses the request, and so does
    /// [`Action::Restore`], unless the value is hidden elsewhere in the request, or is a placeholder.
    pub unrewritable: Option<Unrewritable>,
    /// Only counted: everything passes unchanged.
    pub dry_run: bool,
}

impl Check {
    /// Whether the check applies to such a subject.
    pub fn applies(&self, subject: &CheckSubject<'_>) -> bool {
        let CheckSubject { phase, model, key } = *subject;
        self.phases.contains(&phase) && self.models.matches(model) && self.keys.matches(key)
    }

    /// Whether nothing passes that it has not checked.
    pub fn denies(&self) -> bool {
        self.on_failure == OnFailure::Deny && !self.dry_run
    }

    /// Whether texts of this role are checked in this phase.
    pub fn hears(&self, phase: CheckPhase, speaker: Speaker) -> bool {
        self.speakers.as_deref().unwrap_or(phase.speakers(self.action)).contains(&speaker)
    }
}
