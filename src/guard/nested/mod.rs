//! JSON within text. A tool's arguments, its results and structured outputs are texts that are JSON themselves, and
//! may have more of it in their strings. A value must be found there as a reader finally sees it: behind an escaped
//! line feed a number stands alone, and an address does not begin with the `n` of `\n`.
//!
//! [`Nesting`] reads a text once, in pieces that may be cut anywhere. It tells JSON from prose as it goes: a document
//! begins where the text or a line of it begins with a bracket that JSON could follow, and ends with its last bracket, or
//! with the first character that JSON has no place for. What stands in its strings is decoded, and read in the same
//! way, [`LAYERS`] - 1 deep.

mod locate;
mod walk;

pub(in crate::guard) use locate::Locator;
pub use locate::{escaped, locate, view, Spot};
pub use walk::{Role, Unit};

use std::ops::Range;

/// The text itself, and how deep strings in strings are read.
pub const LAYERS: usize = 4;

/// Where reading stands in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the text's beginning: it may be a JSON string.
    Start,
    /// At the beginning of a line.
    Margin,
    /// Behind the bracket that may begin a document: `true` for `{`.
    Opened(bool),
    /// In a document, so deep in brackets, outside strings.
    Structure(u32),
    /// In a string of it.
    String(u32),
    /// Behind a document.
    After,
    /// In a line that is no JSON.
    Prose,
}

/// An escape that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    /// The backslash has come.
    Backslash,
    /// `\u` and so many digits, of this value.
    Hex { digits: u8, value: u16 },
    /// The first half of a surrogate pair has come.
    High(u16),
    /// And a backslash after it.
    HighBackslash(u16),
    /// And `u` and so many digits.
    HighHex { high: u16, digits: u8, value: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layer {
    place: Place,
    escape: Escape,
    /// Where the escape begins in the text.
    began: usize,
}

const FRESH: Layer = Layer { place: Place::Start, escape: Escape::None, began: 0 };

/// Reads one text. The state between two pieces never stands within an escape.
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
    /// Reads on. `each` is handed what the text says, in order: all of it, but for escapes that are no character.
    /// Returns how far the text is read: up to its end, or to an escape that the next piece goes on with; that is to
    /// be handed in again. `last`: nothing follows.
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

    /// Whether what a text says may differ from how it is written, or some of it is JSON.
    fn is_of_interest(text: &str) -> bool {
        memchr::memchr3(b'\\', b'{', b'[', text.as_bytes()).is_some()
    }
}

/// Where something stands in the text that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// As it is written, from here on.
    Plain(usize),
    /// Written as an escape.
    Escaped(Range<usize>),
}

impl Source {
    /// Where a part of it stands.
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
