//! Kinds of prompts: a virtual model tells what kind of prompt a request has, and the kind says which model answers.
//!
//! | file | what |
//! |---|---|
//! | `opening` | what a request's conversation begins with |
//! | `rules` | tells the kind by regular expressions, language, length, images and tools |
//! | `language` | guesses a text's language |
//! | `classifier` | has a chat model tell the kind |
//! | `vectors` | tells the kind by the nearest example |
//! | `kept` | the kinds of conversations, in the data that all workers share |

mod classifier;
mod kept;
mod language;
mod opening;
mod rules;
mod vectors;

use std::time::Duration;

pub use classifier::{answer as classified, body as classifier_body};
pub use kept::{bucket_of, ConversationKey, Conversations, BUCKETS};
pub use language::{language, LANGUAGES};
pub use opening::{Opening, MAX_OPENING};
pub use rules::{Regex, Rule, RuleError, MAX_REGEX};
pub use vectors::{embeddings_body, Vectors, MAX_BATCH};

/// The most kinds of one model.
pub const MAX_KINDS: usize = 32;
/// The most examples of all its kinds.
pub const MAX_EXAMPLES: usize = 256;
/// The most virtual models of one router that compare with examples: each worker keeps the vectors of all of them.
pub const MAX_BY_EMBEDDING: usize = 8;
/// The longest part of a text that a service gets, in bytes.
const MAX_SENT: usize = 4 << 10;

/// How a virtual model chooses.
#[derive(Clone, Debug)]
pub struct Choose {
    /// By what.
    pub by: By,
    /// The kinds; of several that match, the first.
    pub kinds: Vec<Kind>,
    /// The model for everything else.
    pub otherwise: String,
    /// How long a request waits for the choice.
    pub timeout: Duration,
    /// How many choices a worker remembers, and for how long.
    pub cache: (usize, Duration),
    /// How long a conversation keeps its kind.
    pub keep: Duration,
    /// A digest of this configuration.
    pub digest: [u8; 16],
}

/// By what a virtual model chooses.
#[derive(Clone, Debug, PartialEq)]
pub enum By {
    /// The kinds' rules, without asking anybody.
    Rules,
    /// The answer of a chat model.
    Llm(Service),
    /// The example that is nearest, if it is nearer than this.
    Embedding(Service, f64),
}

/// A model at one of the upstreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The upstream, by its index.
    pub upstream: usize,
    /// Its name for the model.
    pub model: String,
}

/// A kind of prompt.
#[derive(Clone, Debug)]
pub struct Kind {
    /// Its name, in headers, stats and logs.
    pub name: String,
    /// The model that answers.
    pub model: String,
    /// What it is, for a model that tells kinds.
    pub description: String,
    /// Prompts of this kind.
    pub examples: Vec<String>,
    /// A prompt that fits one of these is of this kind.
    pub rules: Vec<Rule>,
}

impl Choose {
    /// The first kind whose rules a prompt fits.
    pub fn by_rules(&self, opening: &Opening) -> Option<usize> {
        self.kinds.iter().position(|kind| kind.rules.iter().any(|rule| rule.fits(opening)))
    }

    /// All models that may answer.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| kind.model.as_str()).chain([self.otherwise.as_str()])
    }

    /// The service that it asks.
    pub fn service(&self) -> Option<&Service> {
        match &self.by {
            By::Rules => None,
            By::Llm(service) | By::Embedding(service, _) => Some(service),
        }
    }
}

/// How a kind was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// By rules.
    Rules,
    /// By the answer of a service.
    Asked,
    /// By an earlier answer for the same prompt.
    Remembered,
    /// By the conversation's earlier request.
    Kept,
    /// Nothing fits.
    Otherwise,
    /// The service failed, or took too long.
    Failed,
    /// The key may not use the kind's model.
    NotAllowed,
}

impl Found {
    /// The name in stats.
    pub fn name(self) -> &'static str {
        match self {
            Found::Rules => "rules",
            Found::Asked => "asked",
            Found::Remembered => "remembered",
            Found::Kept => "kept",
            Found::Otherwise => "otherwise",
            Found::Failed => "failed",
            Found::NotAllowed => "not_allowed",
        }
    }
}

/// The beginning of a text, at most so many bytes.
fn start_of(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
