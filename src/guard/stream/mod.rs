//! A guard for a streamed answer: bytes go in, with any cuts, and the bytes to show come out.
//!
//! The texts of the events are collected per [`Flow`]. In [`Mode::Window`] the events wait until their texts have been
//! checked, and pass in order. The caller takes [`Window`]s out, runs the checks, and reports each result. [`Rewrite`]
//! changes the texts when they pass, without a check.

mod ending;
mod event;
mod event_meta;
mod flow;
mod guard;
mod pieces;
mod queue;
mod writer;
mod written;

use std::ops::Range;
use std::time::Duration;

use super::texts::PassageKind;

pub use guard::StreamGuard;

/// How a stream is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Text is shown in windows, each after its check.
    Window,
    /// Everything is shown at once, and checked at the end.
    Final,
    /// Nothing is checked.
    Pass,
}

/// The policy for uncheckable events: not JSON, or above the limits. If an answer is only restored, events that are not
/// JSON are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unchecked {
    /// They are shown, after everything before them.
    #[default]
    Pass,
    /// The answer ends there, as after a blocking finding.
    Block,
}

/// The sizes and times of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The characters of a window: it ends with the next sentence end, or at twice as many.
    pub window: usize,
    /// How long a text waits for its window to fill.
    pub delay: Duration,
    /// The characters before a window that are checked with it, so that words across windows are found.
    pub overlap: usize,
    /// In [`Mode::Final`]: the bytes of text to collect before a check.
    pub collected: usize,
    /// The maximum size of waiting events, in bytes.
    pub held: usize,
    /// The size of the largest held event in bytes; a larger one is read in pieces.
    pub event: usize,
    /// The policy for uncheckable events in [`Mode::Window`], and unrestorable ones in [`Mode::Pass`].
    pub unchecked: Unchecked,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            window: 200,
            delay: Duration::from_millis(500),
            overlap: 50,
            collected: 256 << 10,
            held: 12 << 20,
            event: 1 << 20,
            unchecked: Unchecked::default(),
        }
    }
}

/// A sequence of texts in a stream: its pieces form one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// OpenAI's choice, Gemini's candidate, Anthropic's block, OpenAI Responses' output item.
    pub choice: u32,
    /// The tool call in a choice, the part in an item.
    pub part: u32,
    /// The kind of text.
    pub kind: PassageKind,
    /// Its texts are complete and separate: texts that an event repeats (OpenAI Responses' `*.done`), and arguments
    /// that are not fragments.
    pub whole: bool,
}

/// A piece of text to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Identifies it for the release.
    pub id: u64,
    /// The role.
    pub flow: Flow,
    /// The text, after some text of earlier windows.
    pub text: String,
    /// Where the new text begins.
    pub fresh: usize,
}

/// A finding in a window: the replacement for a range of its text.
pub type Replacement = (Range<usize>, String);

/// Changes the texts of a stream on their way to the client, flow by flow, for example from placeholders to values. In
/// a flow of [`PassageKind::Arguments`] the text is JSON, and so must be its result.
pub trait Rewrite {
    /// Adds the next piece of a flow; returns the text to show now.
    fn push(&mut self, flow: Flow, text: &str) -> String;
    /// The flow has ended; returns the held text. A later piece begins another text.
    fn finish(&mut self, flow: Flow) -> String;
    /// Nothing can be held here; returns the held text. The text may continue.
    fn flush(&mut self, flow: Flow) -> String;
}
