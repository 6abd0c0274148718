//! A guard over a streamed answer: bytes in, in any chunking, and out what may be shown.
//!
//! The texts of the events are collected per [`Flow`]; in [`Mode::Window`] the events wait until a check has seen
//! their texts, and go on in their order. Whoever runs the checks takes [`Window`]s out and says what became of
//! each. [`Rewrite`] changes the texts as they go on, which needs no check.

mod ending;
mod event;
mod flow;
mod guard;
mod outline;
mod pieces;
mod queue;
mod voice;
mod written;

use std::ops::Range;
use std::time::Duration;

use super::texts::Kind;

pub use guard::StreamGuard;

/// How a stream is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Text is shown in windows, each after its check.
    Window,
    /// Everything is shown; what was said is checked at the end.
    Final,
    /// Nothing is checked.
    Pass,
}

/// What happens to that which cannot be checked: no JSON, more than the limits. Of an answer that is only restored, what is
/// no JSON is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unchecked {
    /// It is shown, after all that stands before it.
    #[default]
    Pass,
    /// The answer ends there, as if a check had found something.
    Block,
}

/// How much is collected, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The characters of a window: it ends with the first sentence after them, or at twice as many.
    pub window: usize,
    /// How long a text waits for its window to fill.
    pub delay: Duration,
    /// The characters before a window that are shown to the check with it, so that it sees words across.
    pub overlap: usize,
    /// In [`Mode::Final`]: the bytes of text that are collected before they are checked.
    pub collected: usize,
    /// The bytes of the events that wait.
    pub held: usize,
    /// The bytes of the largest event that is held; a larger one is read in pieces.
    pub event: usize,
    /// What becomes of that which cannot be checked, in [`Mode::Window`], or cannot be restored, in [`Mode::Pass`].
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

/// What belongs together in a stream: the pieces of one flow make one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// OpenAI's choice, Gemini's candidate, Anthropic's block, OpenAI Responses' output item.
    pub choice: u32,
    /// The tool's call within a choice, the part within an item.
    pub part: u32,
    /// What it is.
    pub kind: Kind,
    /// Its texts come whole, each for itself: what an event says again (OpenAI Responses' `*.done`), and arguments
    /// that are no fragments.
    pub whole: bool,
}

/// A piece of text for a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// By which it is released.
    pub id: u64,
    /// Whose it is.
    pub flow: Flow,
    /// The text, after some that was in earlier windows.
    pub text: String,
    /// Where the new text begins.
    pub fresh: usize,
}

/// What a check found in a window: what to write in the place of which bytes of its text.
pub type Replacement = (Range<usize>, String);

/// Changes the texts of a stream on their way to the client, flow by flow, such as placeholders to what they stand
/// for. In a flow of [`Kind::Arguments`] the text is JSON, and so must be what it returns.
pub trait Rewrite {
    /// The next piece of a flow; returns what may be shown now.
    fn push(&mut self, flow: Flow, text: &str) -> String;
    /// The flow has ended; returns what was held back. The next piece, if one comes, begins another text.
    fn finish(&mut self, flow: Flow) -> String;
    /// Nothing can be held back here; returns what was. The text may go on.
    fn flush(&mut self, flow: Flow) -> String;
}
