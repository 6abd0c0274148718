//! Settings of the whole router, and their defaults.

use std::time::Duration;

/// The default memory of all kept answers.
pub const CACHE_MEMORY: usize = 64 << 20;

/// The model's name in answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseModel {
    /// The target's, as the target wrote it.
    #[default]
    Target,
    /// The client's own.
    Requested,
}

/// The default time to remember which upstream stores a response.
pub const STORED_RESPONSES: Duration = Duration::from_secs(24 * 60 * 60);

/// When answers name their cluster and the outcomes of attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerHeaders {
    /// Always.
    Always,
    /// Unless the first attempt succeeded, or was refused because of the client's request: then few need it.
    #[default]
    AfterFailure,
    /// Never.
    Never,
}

/// The default limit of held JSON answers.
pub const HOLD_JSON: usize = 4 << 20;
