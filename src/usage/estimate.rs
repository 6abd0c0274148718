//! What an answer has taken whose server says nothing of it: a guess, by the length of the texts.
//!
//! A guess stands alone: nothing a server has reported is ever mixed with it.

use memchr::{memchr2, memchr_iter};

use super::{Source, TokenUsage};
use crate::json::{JsonError, Scanner, Value};

/// What English prose comes to with the tokenizers in use, in bytes.
const BYTES_PER_TOKEN: u64 = 4;
/// How deeply the parts of a prompt are looked into; real ones stay under 8.
const MAX_DEPTH: u32 = 12;
/// The fields of a prompt that hold text, or what holds text. All others are ids, roles, images.
const PROMPT_FIELDS: [&[u8]; 8] =
    [b"content", b"text", b"parts", b"tool_calls", b"function", b"arguments", b"output", b"thinking"];
/// The fields in which the dialects write the text they generate, as strings.
const GENERATED_FIELDS: [&str; 10] = [
    "content",
    "text",
    "delta",
    "response",
    "reasoning_content",
    "reasoning",
    "thinking",
    "arguments",
    "partial_json",
    "refusal",
];

/// What is known of an exchange besides what its server has reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How many bytes of text the prompt has; `None` if it has not been read.
    pub prompt: Option<u64>,
    /// How many bytes of text were generated; `None` if the answer says that there is none.
    pub generated: Option<u64>,
    /// The answer came compressed, so that nothing could be read of it.
    pub encoded: bool,
}

/// Completes what a [`Meter`](super::Meter) has found by what else is known: where an answer is complete and its server
/// has said nothing, the tokens are estimated.
///
/// ```
/// use sluice::usage::{complete, Known, Source, TokenUsage};
///
/// let known = Known { prompt: Some(40), generated: Some(9), encoded: false };
/// let (tokens, source) = complete((TokenUsage::default(), Source::Missing), known);
/// assert_eq!((tokens.input, tokens.output, source), (10, 3, Source::Estimated));
/// ```
pub fn complete(metered: (TokenUsage, Source), known: Known) -> (TokenUsage, Source) {
    let (tokens, source) = metered;
    match (source, known) {
        (Source::Reported | Source::Counted | Source::Estimated, _) => (tokens, source),
        (Source::Partial | Source::Missing, Known { encoded: true, .. }) => (tokens, Source::Missing),
        (Source::Missing, Known { prompt: Some(prompt), generated: Some(generated), .. }) => {
            let [input, output] = [prompt, generated].map(|bytes| bytes.div_ceil(BYTES_PER_TOKEN));
            (TokenUsage { input, output, ..TokenUsage::default() }, Source::Estimated)
        }
        (Source::Partial | Source::Missing, _) => (tokens, source),
    }
}

/// How many bytes of text stand in the next value, which is a prompt or a part of one; it is scanned over. A number
/// among them is a token by itself: some clients send what they have tokenized.
///
/// # Errors
/// Whatever makes it no JSON.
pub(crate) fn text_of_prompt(scanner: &mut Scanner<'_>) -> Result<u64, JsonError> {
    text_within(scanner, MAX_DEPTH)
}

fn text_within(scanner: &mut Scanner<'_>, depth: u32) -> Result<u64, JsonError> {
    let mut sum: u64 = 0;
    match (scanner.peek(), depth.checked_sub(1)) {
        (Some(b'['), Some(depth)) => {
            scanner.array(|scanner| {
                sum = sum.saturating_add(text_within(scanner, depth)?);
                Ok(())
            })?;
        }
        (Some(b'{'), Some(depth)) => {
            scanner.object(|key, scanner| {
                if PROMPT_FIELDS.contains(&key.raw()) {
                    sum = sum.saturating_add(text_within(scanner, depth)?);
                } else {
                    scanner.value()?;
                }
                Ok(())
            })?;
        }
        _ => {
            sum = match scanner.value()? {
                Value::String(text) => length(text.raw()),
                Value::Number(_) => BYTES_PER_TOKEN,
                Value::Null | Value::Bool(_) | Value::Array { .. } | Value::Object => 0,
            };
        }
    }
    Ok(sum)
}

/// How much text has been generated, told without parsing: nearly all events of a stream have their text where the last
/// one had it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Generated {
    bytes: u64,
    /// There are strings called `delta`; whatever has another name repeats them (OpenAI Responses).
    deltas: bool,
    /// The field the last event had its text in, and where that began.
    last: Option<(usize, &'static str)>,
}

impl Generated {
    /// How many bytes there have been.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds the text of an event, or of a whole answer.
    pub(super) fn read(&mut self, data: &[u8]) {
        let same_place = self.last.and_then(|(at, name)| text_of(data.get(at..)?, name));
        match same_place {
            Some(text) => self.bytes = self.bytes.saturating_add(length(text)),
            None => self.search(data),
        }
    }

    fn search(&mut self, data: &[u8]) {
        let mut found = 0;
        for quote in memchr_iter(b'"', data) {
            let at = quote + 1;
            let rest = data.get(at..).unwrap_or_default();
            if !matches!(rest.first(), Some(b'a' | b'c' | b'd' | b'p' | b'r' | b't')) {
                continue;
            }
            let text = GENERATED_FIELDS.into_iter().find_map(|name| Some((name, text_of(rest, name)?)));
            let Some((name, text)) = text else {
                continue;
            };
            self.deltas |= name == "delta";
            if self.deltas && name != "delta" {
                continue;
            }
            self.bytes = self.bytes.saturating_add(length(text));
            self.last = Some((at, name));
            found += 1;
        }
        if found != 1 {
            self.last = None;
        }
    }
}

/// What follows `name":"`, which a text begins with; at most one space stands before the value.
fn text_of<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value = field.strip_prefix(name.as_bytes())?.strip_prefix(b"\":")?;
    value.strip_prefix(b" ").unwrap_or(value).strip_prefix(b"\"")
}

/// How many bytes of UTF-8 a text has that begins here and goes on to the next quote, or to the end. Nothing is decoded.
fn length(text: &[u8]) -> u64 {
    let mut length = 0;
    let mut rest = text;
    while let Some(offset) = memchr2(b'"', b'\\', rest) {
        length += offset;
        if rest.get(offset) == Some(&b'"') {
            return length as u64;
        }
        let (escape, bytes) = match rest.get(offset + 1) {
            Some(b'u') => (6, length_of_code(rest.get(offset + 2..offset + 6).unwrap_or_default())),
            Some(_) | None => (2, 1),
        };
        length += bytes;
        rest = rest.get(offset + escape..).unwrap_or_default();
    }
    (length + rest.len()) as u64
}

/// How many bytes of UTF-8 the four digits of a `\uXXXX` stand for: half a pair of surrogates for half of four.
fn length_of_code(digits: &[u8]) -> usize {
    let code = std::str::from_utf8(digits).ok().and_then(|digits| u16::from_str_radix(digits, 16).ok());
    match code {
        Some(0..=0x7f) | None => 1,
        Some(0x80..=0x7ff | 0xd800..=0xdfff) => 2,
        Some(0x800..=0xd7ff | 0xe000..=0xffff) => 3,
    }
}
