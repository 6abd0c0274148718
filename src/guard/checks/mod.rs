//! What is checked, by whom, and what follows from it.
//!
//! A [`Guard`] is the configuration: a list of [`Check`]s. A [`Round`] puts some texts to the checks that apply to
//! them, all at once, and makes one [`Outcome`] of what they say, in whatever order their answers come.

mod check;
mod failures;
mod known;
mod outcome;
mod round;

use std::time::Duration;

pub use check::{Action, Check, Custom, LocalPatterns, Means, OnFailure, Phase, Subject, Unrewritable};
pub use failures::Failures;
pub use known::Known;
pub use outcome::{Flag, Marked, Outcome, Refusal, Rewriting, Verdict};
pub use round::{Ask, Question, Round, Spoken};

/// When a stream's text is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamMode {
    /// In windows, each after its check.
    Window,
    /// At once; it is checked at the end, so that nothing can be done but to flag it.
    Final,
}

/// How streams are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPolicy {
    /// When text is let go.
    pub mode: StreamMode,
    /// How many characters make a window.
    pub characters: usize,
    /// How long text waits for its window to fill.
    pub time: Duration,
}

impl Default for StreamPolicy {
    fn default() -> Self {
        StreamPolicy { mode: StreamMode::Window, characters: 200, time: Duration::from_millis(500) }
    }
}

/// How long, and how many, results of checks are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// How long.
    pub time: Duration,
    /// How many; zero: none.
    pub entries: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Memory { time: Duration::from_secs(60), entries: 1000 }
    }
}

/// The configuration of the guard. The default has no check.
#[derive(Debug)]
pub struct Guard {
    /// The checks; the first that blocks is the one that is named.
    pub checks: Vec<Check>,
    /// How streams are checked.
    pub stream: StreamPolicy,
    /// What is remembered.
    pub memory: Memory,
    /// The most callouts under way in one worker; a further one fails as [`Failure::Busy`](super::api::Failure::Busy).
    pub max_in_flight: usize,
    /// The most text one check may send to its service, in bytes.
    pub max_text: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Guard {
            checks: Vec::new(),
            stream: StreamPolicy::default(),
            memory: Memory::default(),
            max_in_flight: 100,
            max_text: 256 << 10,
        }
    }
}
