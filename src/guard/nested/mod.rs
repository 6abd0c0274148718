//! JSON inside text. A tool's arguments, its results and structured outputs are texts that are JSON themselves, and
//! their strings may contain more JSON. Values must be found as a reader finally sees them: after an escaped line feed
//! a number stands alone, and an address does not start with the `n` of `\n`.
//!
//! [`Nesting`] reads a text once, in pieces with any cuts. It separates JSON from prose while reading: a document
//! begins where the text or a line of it starts with a bracket that JSON could follow. It ends with its last bracket,
//! or with the first character that is not valid JSON. Its strings are decoded and read in the same way, [`LAYERS`] - 1
//! levels deep.

mod locate;
mod view;
mod walk;

pub(in crate::guard) use locate::Locator;
pub use locate::{escaped, locate, Spot};
pub use view::view;
pub(in crate::guard) use view::Viewing;
pub use walk::{Role, Unit};

use std::ops::Range;

/// The text itself, and the levels of nested strings that are read.
pub const LAYERS: usize = 4;

/// The position of the reader in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReaderPosition {
    /// At the start of the text, which may be a JSON string.
    Start,
    /// At the beginning of a line.
    Margin,
    /// After the bracket that may begin a document: `true` for `{`.
    Opened(bool),
    /// In a document, at this bracket depth, outside strings.
    Structure(u32),
    /// In one of its strings.
    String(u32),
    /// After a document.
    After,
    /// In a line that is not JSON.
    Prose,
}

/// An incomplete escape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// After the backslash.
    Backslash,
    /// After `\u` and this many digits with this value.
    Hex { digits: u8, value: u16 },
    /// After the first half of a surrogate pair.
    High(u16),
    /// And a backslash after it.
    HighBackslash(u16),
    /// And `u` and so many digits.
    HighHex { high: u16, digits: u8, value: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layer {
    position: ReaderPosition,
    escape: Escape,
    /// The start of the escape in the text.
    began: usize,
}

const FRESH: Layer = Layer { position: ReaderPosition::Start, escape: Escape::None, began: 0 };

/// Reads one text. Between two pieces, the state is never inside an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nesting {
    layers: [Layer; LAYERS],
}

impl Default for Nesting {
    fn default() -> Self {
        Nesting { layers: [FRESH; LAYERS] }
    }
}

impl Nesting {
    /// Reads the next piece. `each` gets the decoded text in order, except for invalid escapes. Returns how far the
    /// piece was read: to its end, or to an escape that the next piece continues; the rest must be passed in again.
    /// `last`: nothing follows.
    pub fn walk(&mut self, text: &str, last: bool, mut each: impl FnMut(Unit<'_>)) -> usize {
        let mut walk = walk::Walk { layers: self.layers, safe: None, each: &mut each };
        walk.feed(0, text, Source::Plain(0));
        match walk.safe.filter(|_| walk.is_within_escape()) {
            Some((_, _)) if last => {
                walk.forget_escapes();
                self.layers = walk.layers;
                text.len()
            }
            Some((at, layers)) => {
                self.layers = layers;
                at
            }
            None => {
                self.layers = walk.layers;
                text.len()
            }
        }
    }

    /// Whether the decoded text may differ from the written text, or some of it is JSON.
    fn is_of_interest(text: &str) -> bool {
        memchr::memchr3(b'\\', b'{', b'[', text.as_bytes()).is_some()
    }
}

/// Where something is in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// As written, from this position.
    Plain(usize),
    /// Written as an escape.
    Escaped(Range<usize>),
}

impl Source {
    /// The position of a part of it.
    fn of(&self, part: Range<usize>) -> Range<usize> {
        match self {
            Source::Plain(start) => start + part.start..start + part.end,
            Source::Escaped(range) => range.clone(),
        }
    }

    fn part(&self, from: usize) -> Source {
        match self {
            Source::Plain(start) => Source::Plain(start + from),
            Source::Escaped(range) => Source::Escaped(range.clone()),
        }
    }
}

/// The next character boundary from `at` on.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
