//! The texts of requests and answers that a check must see, and where they stand, so that a text can be changed
//! without touching another byte.
//!
//! The dialects' shapes do not collide, so one reader serves them all, and reads more than an endpoint documents:
//! servers take each other's fields (vLLM's embeddings take `messages`), and a text that is looked at in vain
//! costs less than one that slips by. For the same reason a field is text unless [`FIELDS`] says that it is none. Names are compared as the most lenient server would
//! (see [`fold`]): Go's decoder, and so Ollama, ignores case; protobuf's takes `function_call` and `functionCall`.

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

/// The most texts of one body. A conversation of thousands of turns has fewer, and so have hundreds of tools.
pub const MAX_PASSAGES: usize = 30_000;

/// What kind of text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Said to the other side.
    Plain,
    /// What the model thought before it spoke.
    Reasoning,
    /// Why the model does not answer.
    Refusal,
    /// The arguments of a tool's call, which are JSON themselves: what is put into them must be escaped for it.
    Arguments,
    /// One string of arguments that stand in the body as JSON.
    Argument,
    /// A name for which providers allow few letters: a placeholder in it has no brackets.
    Name,
    /// What an answer repeats of its request, such as its tools: the client's values come back in it, and it is not
    /// checked.
    Given,
    /// What its model has signed, such as Anthropic's thinking. The provider refuses it if a byte has changed: it is
    /// checked, and never rewritten.
    Sealed,
}

/// One text of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Whose words it is.
    pub speaker: Speaker,
    /// What it is.
    pub kind: Kind,
    /// Where the JSON string stands in the body, quotes and all.
    pub span: Range<usize>,
    /// The strings that go on with it, where an answer is an array of a stream's pieces.
    pub more: Vec<Range<usize>>,
    /// What it says: the string with its escapes decoded, and with those of JSON that stands in it.
    pub text: String,
    /// The string with its own escapes decoded only, where that is something else.
    pub source: Option<String>,
}

impl Passage {
    /// The string as its reader takes it out of the body.
    pub fn source(&self) -> &str {
        self.source.as_deref().unwrap_or(&self.text)
    }
}

/// Why the texts of a body cannot be told. Nothing of such a body has been checked.
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

/// The texts of a request, in their order; empty ones are left out.
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

/// The texts of an answer that is one JSON text, in their order.
///
/// # Errors
/// As [`passages`].
pub fn answer_passages(body: &[u8]) -> Result<Vec<Passage>, Unreadable> {
    answer::read(body)?.passages()
}

/// Where a body says its texts again, token by token (`logprobs`), and what to write there if one of them changes: a
/// masked value would stand there in full.
///
/// # Errors
/// As [`passages`].
pub fn echoes(body: &[u8], is_answer: bool) -> Result<Vec<(Range<usize>, String)>, Unreadable> {
    let texts = if is_answer { answer::read(body)? } else { request::read(body)? };
    Ok(texts.echoes.into_iter().map(|echo| (echo.span.clone(), echo.nothing())).collect())
}

/// The body with the JSON strings at these places replaced by other texts; every other byte stays. Of ranges that
/// overlap, or lie outside, the later is left out.
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

/// The same with JSON values as they are to be written.
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

/// A field's name as it is compared: decoded, in lower case, without underscores. What folds like Go's
/// `encoding/json` and protobuf's JSON names do is one name.
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

/// A value's beginning is not moved past: looks ahead at the fields of the object that comes next.
pub(super) fn look_ahead<'a>(scanner: &Scanner<'a>, mut field: impl FnMut(&str, crate::json::Value<'a>)) {
    let mut ahead = scanner.clone();
    // what is no JSON is told when it is read
    let _ = ahead.object(|key, ahead| {
        field(&fold(&key), ahead.value()?);
        Ok(())
    });
}
