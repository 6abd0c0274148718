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
mod fields;
mod free;
mod request;
mod shapes;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::Speaker;
use crate::json::{write_string, JsonError, Scanner, Text};
use crate::order::by_number;

pub(super) use answer::read as read_answer;
pub(super) use content::Found;
pub use fields::{field, Field, FIELDS};

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

/// The texts of a request, in order; empty ones are left out.
///
/// ```
/// use sluice::guard::texts::passages;
/// use sluice::guard::Speaker;
///
/// let body = br#"{"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]}"#;
/// let found = passages(body)?;
/// assert_eq!(found.len(), 2);
/// assert_eq!((found[0].speaker, found[0].text.as_str()), (Speaker::System, "Be kind."));
/// assert_eq!(&body[found[1].span.clone()], b"\"Hi\"");
/// # Ok::<(), sluice::guard::texts::Unreadable>(())
/// ```
///
/// # Errors
/// [`Unreadable`]: the body must then be treated as one that no check has seen.
pub fn passages(body: &[u8]) -> Result<Vec<Passage>, Unreadable> {
    request::read(body)?.passages()
}

/// The texts of an answer that is one JSON text, in order.
///
/// # Errors
/// As [`passages`].
pub fn answer_passages(body: &[u8]) -> Result<Vec<Passage>, Unreadable> {
    answer::read(body)?.passages()
}

/// Where a body repeats its texts token by token (`logprobs`), and the replacement if one of them changes: otherwise a
/// masked value would be there in full.
///
/// # Errors
/// As [`passages`].
pub fn echoes(body: &[u8], is_answer: bool) -> Result<Vec<(Range<usize>, String)>, Unreadable> {
    let texts = if is_answer { answer::read(body)? } else { request::read(body)? };
    Ok(texts.echoes.into_iter().map(|echo| (echo.span.clone(), echo.nothing())).collect())
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

/// A field's name for comparison: decoded, in lower case, without underscores. Names that Go's `encoding/json` or
/// protobuf's JSON treat as equal are equal.
pub(super) fn fold<'a>(name: &Text<'a>) -> Cow<'a, str> {
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

/// Does not consume the value: reads the fields of the next object ahead.
pub(super) fn look_ahead<'a>(scanner: &Scanner<'a>, mut field: impl FnMut(&str, crate::json::Value<'a>)) {
    let mut ahead = scanner.clone();
    // invalid JSON is reported when it is read
    let _ = ahead.object(|key, ahead| {
        field(&fold(&key), ahead.value()?);
        Ok(())
    });
}
