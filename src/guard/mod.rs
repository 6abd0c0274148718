//! Checks for toxicity and personal data in requests and answers.

pub mod api;
mod blocked;
pub mod checks;
pub mod nested;
pub mod pii;
pub mod rewriting;
pub mod stream;
pub mod texts;
mod work;

pub use blocked::blocked;

use std::ops::Range;
use std::sync::Arc;

/// The role of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The operator of the application: `system`, `developer`, `instructions`.
    System,
    /// The user; also for texts without a role, such as the input of embeddings.
    User,
    /// The model.
    Assistant,
    /// A tool: its results.
    Tool,
}

/// A finding in a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The entity, in Presidio's terms: `EMAIL_ADDRESS`, `CREDIT_CARD`, ... Shared, because a text may have very many.
    pub entity: Arc<str>,
    /// The span in the text, in bytes, on character boundaries.
    pub span: Range<usize>,
    /// The score: 0 to 1.
    pub score: f32,
    /// The text that a service wants in its place; `None`: the entity's name.
    pub replacement: Option<Arc<str>>,
}
