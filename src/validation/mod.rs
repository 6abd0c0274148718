//! Checks the bodies of conversations before they go to a model server: roles, parts, tools, ranges.
//!
//! What a body may be is a table (`schemas`); `walk` compares a body with it in one pass. Unknown fields are allowed, because
//! servers have fields of their own, and so is `null` wherever a field may be missing.

mod schemas;
mod walk;

use crate::endpoint::Endpoint;
use crate::error::ApiError;

pub use walk::{Problem, Wrong};

/// What is done about bodies that are not what their API takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// They are not checked.
    #[default]
    Off,
    /// They pass; they are counted and logged.
    Warn,
    /// They are refused.
    On,
}

/// The first problem of a body; `None` if it has none, or is not a conversation.
///
/// ```
/// use sluice::endpoint::Endpoint;
/// use sluice::validation::validate;
///
/// let body = br#"{"messages":[{"role":"user","content":[{"type":"text","text":1}]}]}"#;
/// let problem = validate(Endpoint::ChatCompletions, body).unwrap();
/// assert_eq!(problem.path(), "messages[0].content[0].text");
/// ```
pub fn validate(endpoint: Endpoint, body: &[u8]) -> Option<Problem> {
    walk::check(schemas::of(endpoint)?, body)
}

impl Problem {
    /// The refusal of the request.
    pub fn error(&self) -> ApiError {
        let code = match self.wrong {
            Wrong::Missing => "missing_required_parameter",
            Wrong::Type(_) => "invalid_type",
            Wrong::Range(..) | Wrong::Choice(_) | Wrong::Few(_) | Wrong::Many(_) | Wrong::Empty => "invalid_value",
        };
        ApiError::bad_request(code, self.first(), format!("`{}` {}.", self.path(), self.wrong))
    }
}
