//! What values may be.

use super::shapes::{is_data, is_link, is_plain_name, is_word};
use super::PassageKind;

/// A kind of strings that are not texts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// An id, a word of an enumeration.
    Word,
    /// Base64.
    Data,
    /// An address.
    Link,
    /// An ordinary identifier.
    PlainName,
}

impl Shape {
    pub(super) fn fits(self, raw: &[u8]) -> bool {
        match self {
            Shape::Word => is_word(raw),
            Shape::Data => is_data(raw),
            Shape::Link => is_link(raw),
            Shape::PlainName => is_plain_name(raw),
        }
    }
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    /// Nothing of interest.
    Skipped,
    /// A text, if it is a string.
    Text,
    /// A string, a message, a block, or several of them.
    Content,
    /// The same, except for strings of this shape.
    Unless(Shape),
    /// A name of a function or a speaker, or several.
    Name,
    /// Texts repeated token by token.
    Echo,
    /// The source of a document. Anthropic's may hold the text itself; other data is not text.
    Source,
    /// Tool calls.
    Calls,
    /// One of them.
    Call,
    /// JSON of any shape, in which every string is a text.
    Strings,
    /// A JSON schema: its keywords are not the client's words, and lists of fields repeat names from elsewhere.
    Schema,
    /// One keyword or a list of them; anything else is a field's schema.
    Keywords(Shape),
    /// A request.
    Request,
    /// An answer, or Gemini's array of them: without `alt=sse` it streams one.
    Answers,
    /// One of them, or an event.
    Answer,
    /// Its choices.
    Choices,
    /// One of them.
    Choice,
    /// OpenAI Responses' complete answer, which its first and its last event contain.
    Response,
    /// The items or blocks of a complete answer.
    Items,
    /// One of them.
    Item,
}

/// A value that is read in one piece.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaf {
    Skipped,
    Text,
    Unless(Shape),
    Name,
    Echo,
    /// A number that may be a card number.
    Number,
}

/// An object or array that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inside {
    /// A message, an item, a block or a part.
    Block,
    /// A document's source; `true`: it is the text itself.
    Source(bool),
    Strings,
    Schema,
    Request,
    /// An answer or an event, with the meaning of a `delta` that is a string; `None`: it is not text.
    Answer(Option<PassageKind>),
    Choice,
    Response,
    /// An array of such values.
    Array(How),
}
