//! The checks, their services and their effects.
//!
//! A [`Guard`] is the configuration: a list of [`Check`]s. A [`CheckRun`] runs all checks that apply to some texts at the
//! same time, and combines their results into one [`CheckOutcome`], in any order of arrival.

mod cache;
mod check;
mod extracts;
mod failures;
mod outcome;
mod part;
mod passage_text;
mod run;

use std::time::Duration;

pub use cache::ResultCache;
pub use check::{Action, Backend, Check, CheckPhase, CheckSubject, Custom, LocalPatterns, OnFailure, Unrewritable};
pub use failures::Failures;
pub use outcome::{CheckOutcome, CheckRefusal, CheckVerdict, Flag, PassageRewrite, RewriteMode};
pub use passage_text::PassageText;
pub use run::{Ask, CheckRun, Question};

/// When a stream's text is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamMode {
    /// In windows, each after its check.
    Window,
    /// At once; it is checked at the end, so it can only be flagged.
    Final,
}

/// How streams are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPolicy {
    /// When text is released.
    pub mode: StreamMode,
    /// The number of characters in a window.
    pub characters: usize,
    /// How long text waits for its window to fill.
    pub time: Duration,
    /// The number of characters before a window that are checked with it.
    pub overlap: usize,
}

impl Default for StreamPolicy {
    fn default() -> Self {
        StreamPolicy { mode: StreamMode::Window, characters: 200, time: Duration::from_millis(500), overlap: 50 }
    }
}

/// The time and number of cached results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// The time.
    pub time: Duration,
    /// The number; zero: none.
    pub entries: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        CacheLimits { time: Duration::from_secs(60), entries: 1000 }
    }
}

/// The configuration of the guard. The default has no check.
#[derive(Debug)]
pub struct Guard {
    /// The checks; the first one that blocks is reported.
    pub checks: Vec<Check>,
    /// How streams are checked.
    pub stream: StreamPolicy,
    /// The cache of results.
    pub cache: CacheLimits,
    /// The maximum number of running callouts in one worker; further ones fail with
    /// [`Failure::Busy`](super::api::Failure::Busy).
    pub max_in_flight: usize,
    /// The maximum text that one check may send to its service, in bytes.
    pub max_text: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Guard {
            checks: Vec::new(),
            stream: StreamPolicy::default(),
            cache: CacheLimits::default(),
            max_in_flight: 100,
            max_text: 256 << 10,
        }
    }
}
