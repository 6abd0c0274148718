//! The texts of requests and answers that a check must see, and their positions, so that a text can be changed without
//! changing other bytes.
//!
//! The dialects' shapes do not conflict, so one reader serves them all. It reads more than an endpoint documents,
//! because servers accept each other's fields (vLLM's embeddings accept `messages`), and an unnecessary check costs
//! less than a missed text. For the same reason a field is text unless [`FIELDS`] excludes it. Names are compared like
//! the most lenient server does (see [`fold`]): Go's decoder, and so Ollama, ignores case; protobuf's accepts
//! `function_call` and `functionCall`.

mod answer;
mod content;
mod context;
mod extraction;
mod fields;
mod found;
mod how;
mod labels;
mod opening;
mod reader;
mod request;
mod shapes;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::Speaker;
use crate::json::{write_string, JsonError, Text};
use crate::order::by_number;

pub(super) use extraction::echoes_in;
pub use extraction::{answer_passages, echoes, passages, Extracted, Extraction};
pub use fields::{field, Field, FIELDS};
pub use found::Echo;
pub(super) use found::Found;
pub(super) use reader::read_answer;

/// The maximum number of texts in a body. A conversation of thousands of turns has fewer, and so have hundreds of
/// tools.
pub const MAX_PASSAGES: usize = 30_000;

/// The kind of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PassageKind {
    /// Content for the other side.
    Plain,
    /// The model's reasoning before the text.
    Reasoning,
    /// Why the model does not answer.
    Refusal,
    /// The arguments of a tool call, which are JSON themselves: replacements must be escaped for it.
    Arguments,
    /// One string of arguments that are a JSON object in the body.
    Argument,
    /// A name for which providers allow few letters: placeholders in it have no brackets.
    Name,
    /// A part of the request that an answer repeats, such as its tools: the client's values are restored in it, and it
    /// is not checked.
    Given,
    /// Signed content of a model, such as Anthropic's thinking. The provider refuses it if a byte has changed: it is
    /// checked, but never rewritten.
    Signed,
}

/// One text of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The role.
    pub speaker: Speaker,
    /// The kind.
    pub kind: PassageKind,
    /// The range of its JSON string in the body, with quotes.
    pub span: Range<usize>,
    /// The strings that continue it, if an answer is an array of a stream's pieces.
    pub more: Vec<Range<usize>>,
    /// The decoded text: with the string's escapes decoded, and those of nested JSON.
    pub text: String,
    /// The text with only the string's own escapes decoded, if that is different.
    pub source: Option<String>,
}

impl Passage {
    /// The string as its reader gets it from the body.
    pub fn source(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.text)
    }
}

/// Why a body's texts cannot be read. Nothing of such a body has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no JSON.
    Json(JsonError),
    /// It has more than [`MAX_PASSAGES`].
    TooMany,
}

impl From<JsonError> for Unreadable {
    fn from(error: JsonError) -> Self {
        Unreadable::Json(error)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Json(error) => error.fmt(f),
            Unreadable::TooMany => write!(f, "more than {MAX_PASSAGES} texts"),
        }
    }
}

/// The body with the JSON strings in these ranges replaced by other texts; all other bytes stay. Of ranges that overlap
/// or are out of range, the later one is ignored.
///
/// ```
/// use sluice::guard::texts::splice;
///
/// let spliced = splice(br#"{"a": "x", "b": 1.0}"#, &[(6..9, "say \"y\"".into())]);
/// assert_eq!(spliced, br#"{"a": "say \"y\"", "b": 1.0}"#);
/// ```
pub fn splice(body: &[u8], replacements: &[(Range<usize>, String)]) -> Vec<u8> {
    let written = replacements.iter().map(|(range, text)| {
        let mut string = String::with_capacity(text.len() + 8);
        write_string(&mut string, text);
        (range.clone(), string)
    });
    splice_raw(body, written.collect())
}

/// The same with JSON values in written form.
pub fn splice_values(body: &[u8], splices: Vec<(Range<usize>, String)>) -> Vec<u8> {
    splice_raw(body, splices)
}

/// The same.
pub(super) fn splice_raw(body: &[u8], mut splices: Vec<(Range<usize>, String)>) -> Vec<u8> {
    by_number(&mut splices, |(range, _)| range.start);
    let added: usize = splices.iter().map(|(_, json)| json.len()).sum();
    let mut out = Vec::with_capacity(body.len() + added);
    let mut copied = 0;
    for (range, json) in splices {
        let Some(before) =
            body.get(copied..range.start).filter(|_| range.end <= body.len() && range.start <= range.end)
        else {
            continue;
        };
        out.extend_from_slice(before);
        out.extend_from_slice(json.as_bytes());
        copied = range.end;
    }
    out.extend_from_slice(body.get(copied..).unwrap_or_default());
    out
}

/// The longest name that may be a field's, as written, in bytes.
const MAX_NAME: usize = 4096;

/// A field's name for comparison: decoded, in lower case, without underscores. Names that Go's `encoding/json` or
/// protobuf's JSON treat as equal are equal. A name that is too long for a field's is all the same.
pub(super) fn fold<'a>(name: &Text<'a>) -> Cow<'a, str> {
    if name.raw().len() > MAX_NAME {
        return Cow::Borrowed("?");
    }
    let decoded = name.decode();
    if decoded.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return decoded;
    }
    let folded = decoded.chars().filter(|character| *character != '_').flat_map(|character| match character {
        'ſ' => 's'.to_lowercase(), // equal to `s` and `S` in Unicode's simple folding
        other => other.to_lowercase(),
    });
    Cow::Owned(folded.collect())
}
