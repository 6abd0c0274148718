//! Checks of what passes through the gateway: toxicity and personal data, in requests and in answers.

pub mod api;
mod blocked;
pub mod checks;
pub mod nested;
pub mod pii;
pub mod rewriting;
pub mod stream;
pub mod texts;

pub use blocked::blocked;

use std::ops::Range;
use std::sync::Arc;

/// Whose words a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The operator of the application: `system`, `developer`, `instructions`.
    System,
    /// The user; also what has no role, such as the input of embeddings.
    User,
    /// The model.
    Assistant,
    /// A tool: its results.
    Tool,
}

/// Something found in a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is, in Presidio's terms: `EMAIL_ADDRESS`, `CREDIT_CARD`, ... Shared: a text may have very many.
    pub entity: Arc<str>,
    /// Where it stands in the text, in bytes, on character boundaries.
    pub span: Range<usize>,
    /// How sure whoever found it is: 0 to 1.
    pub score: f32,
}
