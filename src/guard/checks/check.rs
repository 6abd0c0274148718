//! One check, as configured.

use crate::guard::api::{Api, Service};
use crate::guard::pii::{self, Entity, PatternError};
use crate::guard::Speaker;
use crate::pattern::Patterns;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// What a client sends.
    Request,
    /// What a model answers.
    Response,
}

impl Phase {
    /// The name in the configuration and in stats.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Request => "request",
            Phase::Response => "response",
        }
    }

    /// Whose texts are checked if nothing else is said. A model's own earlier answers were checked as such; but what
    /// is to be hidden from it is in them as well, for it was brought back there.
    fn speakers(self, action: Action) -> &'static [Speaker] {
        match (self, action) {
            (Phase::Request, Action::Block | Action::Flag) => &[Speaker::User, Speaker::Tool],
            (Phase::Request, Action::Mask | Action::Restore) => {
                &[Speaker::System, Speaker::User, Speaker::Assistant, Speaker::Tool]
            }
            (Phase::Response, _) => &[Speaker::Assistant],
        }
    }
}

/// Of what a round is made; it decides which checks apply.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What is checked.
    pub phase: Phase,
    /// The model, as the client names it.
    pub model: &'a str,
    /// The id of the client's key.
    pub key: &'a str,
}

/// What follows when something is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing passes.
    Block,
    /// What is found gives way to what it is (`<EMAIL_ADDRESS>`).
    Mask,
    /// The same, and it comes back in the answer. What is first found in an answer is masked.
    Restore,
    /// It passes, and is marked.
    Flag,
}

/// What follows when a check cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// Everything passes.
    Allow,
    /// Nothing passes.
    Deny,
}

/// What follows when a check that rewrites finds something in a request that its model has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrewritable {
    /// It goes on as it is.
    Allow,
    /// The request is refused.
    Block,
}

/// A pattern of the operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Custom {
    /// What it finds, as an entity's name.
    pub name: String,
    /// The regular expression.
    pub regex: String,
}

/// What the patterns that are built in look for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalPatterns {
    /// The entities; none: all there are.
    pub entities: Vec<String>,
    /// Further patterns.
    pub custom: Vec<Custom>,
}

impl LocalPatterns {
    /// What looks for them.
    ///
    /// # Errors
    /// The pattern that cannot be used.
    pub fn compile(&self) -> Result<pii::Patterns, PatternError> {
        let named = self.entities.iter().filter_map(|name| Entity::from_name(name)).collect::<Vec<_>>();
        let entities = if self.entities.is_empty() && self.custom.is_empty() { Entity::ALL.to_vec() } else { named };
        let custom: Vec<_> = self.custom.iter().map(|custom| (custom.name.as_str(), custom.regex.as_str())).collect();
        pii::Patterns::new(&entities, &custom)
    }
}

/// Who makes the check.
#[derive(Clone, Debug)]
pub enum Means {
    /// A service.
    Service(Api, Service),
    /// The gateway itself.
    Patterns(LocalPatterns),
}

impl Means {
    /// Whether what it says of a text is worth remembering: to look for patterns takes less time than to hash a text.
    pub fn is_remembered(&self) -> bool {
        match self {
            Means::Service(..) => true,
            Means::Patterns(_) => false,
        }
    }
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name in stats, errors and headers.
    pub name: String,
    /// Who makes it.
    pub means: Means,
    /// What is checked.
    pub phases: Vec<Phase>,
    /// Whose texts; `None`: those of the phase's usual speakers.
    pub speakers: Option<Vec<Speaker>>,
    /// The models it applies to.
    pub models: Patterns,
    /// The ids of the client keys it applies to.
    pub keys: Patterns,
    /// What follows when it cannot be made.
    pub on_failure: OnFailure,
    /// What follows when it finds something.
    pub action: Action,
    /// What follows when it finds something that may not be rewritten; `None`: with [`Action::Mask`] the request is
    /// refused, and with [`Action::Restore`] also, unless it is hidden elsewhere in the request, or a placeholder.
    pub unrewritable: Option<Unrewritable>,
    /// Only counted: whatever it finds passes untouched.
    pub dry_run: bool,
}

impl Check {
    /// Whether the check is made of such a subject at all.
    pub fn applies(&self, subject: &Subject<'_>) -> bool {
        let Subject { phase, model, key } = *subject;
        self.phases.contains(&phase) && self.models.matches(model) && self.keys.matches(key)
    }

    /// Whether nothing passes that it has not checked.
    pub fn denies(&self) -> bool {
        self.on_failure == OnFailure::Deny && !self.dry_run
    }

    /// Whether texts of this speaker are checked in this phase.
    pub fn hears(&self, phase: Phase, speaker: Speaker) -> bool {
        self.speakers.as_deref().unwrap_or(phase.speakers(self.action)).contains(&speaker)
    }
}
