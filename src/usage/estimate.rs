//! Estimates for answers without complete usage, from the texts that passed.

use memchr::{memchr2, memchr_iter};

use super::text_tokens::TextAmount;
use super::{TokenUsage, UsageSource, MAX_TOKENS};
use crate::json::Scanner;

/// Bytes per token of English prose with current tokenizers.
pub(super) const BYTES_PER_TOKEN: u64 = 4;
/// The fields for generated text in the dialects, as strings.
const GENERATED_FIELDS: [&str; 11] = [
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
    r#"toolUse":{"input"#, // Converse's; elsewhere `input` is a tool's arguments
];

/// The known values of an exchange besides the server's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EstimateInput {
    /// The prompt's bytes of text; `None` if it has not been read.
    pub prompt: Option<u64>,
    /// About how many tokens were generated without a report; `None` if the answer has none.
    pub unreported: Option<u64>,
    /// The answer was compressed, so nothing could be read.
    pub encoded: bool,
}

/// Completes the result of a [`Meter`](super::Meter) with other known values. If a complete answer reports nothing, the
/// tokens are estimated. If the answer was cut, the server has not reported everything: its report counts, and an
/// estimate of the rest.
///
/// ```
/// use sluice::usage::{complete, EstimateInput, UsageSource, TokenUsage};
///
/// let known = EstimateInput { prompt: Some(40), unreported: Some(3), encoded: false };
/// let (tokens, source) = complete((TokenUsage::default(), UsageSource::Missing), known);
/// assert_eq!((tokens.input, tokens.output, source), (10, 3, UsageSource::Estimated));
/// let reported = TokenUsage { input: 9, output: 1, ..TokenUsage::default() };
/// let (tokens, source) = complete((reported, UsageSource::Partial), known);
/// assert_eq!((tokens.input, tokens.output, source), (9, 4, UsageSource::Partial));
/// ```
pub fn complete(metered: (TokenUsage, UsageSource), known: EstimateInput) -> (TokenUsage, UsageSource) {
    let (tokens, source) = match believed(metered) {
        // servers that do not count write zeros
        (tokens, UsageSource::Reported) if tokens.total() == 0 && known.unreported > Some(0) => {
            (tokens, UsageSource::Missing)
        }
        believed => believed,
    };
    let prompt = known.prompt.map(|bytes| bytes.div_ceil(BYTES_PER_TOKEN));
    match (source, known) {
        (UsageSource::Reported | UsageSource::Counted | UsageSource::Estimated, _) => (tokens, source),
        (UsageSource::Partial | UsageSource::Missing, EstimateInput { encoded: true, .. }) => {
            (tokens, UsageSource::Missing)
        }
        (UsageSource::Missing, EstimateInput { unreported: Some(output), .. }) => match prompt {
            // it was reported before the answer began, and not again
            Some(_) if tokens.input > 0 => {
                (TokenUsage { output: tokens.output.max(output), ..tokens }, UsageSource::Estimated)
            }
            Some(input) => (TokenUsage { input, output, ..TokenUsage::default() }, UsageSource::Estimated),
            None => (tokens, source),
        },
        (UsageSource::Partial, EstimateInput { unreported: Some(more), .. }) => {
            let input = if tokens.input == 0 { prompt.unwrap_or(0) } else { tokens.input };
            (TokenUsage { input, output: tokens.output.saturating_add(more), ..tokens }, source)
        }
        (UsageSource::Partial | UsageSource::Missing, EstimateInput { unreported: None, .. }) => (tokens, source),
    }
}

/// Without impossible counts; then the usage is incomplete.
fn believed((mut tokens, source): (TokenUsage, UsageSource)) -> (TokenUsage, UsageSource) {
    if tokens.is_plausible() {
        return (tokens, source);
    }
    for count in tokens.counts_mut() {
        *count = if *count <= MAX_TOKENS { *count } else { 0 };
    }
    (tokens, UsageSource::Partial)
}

/// The amount of generated text, measured without parsing: nearly all events of a stream have their text in the same
/// place as the event before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Generated {
    all: TextAmount,
    /// The output that the server's last report covers.
    reported: TextAmount,
    /// There are strings called `delta`; texts with other names repeat them (OpenAI Responses).
    deltas: bool,
    /// The field with the last event's text, and its position.
    last: Option<(usize, &'static str)>,
}

impl Generated {
    /// The bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.all.bytes
    }

    /// About how many tokens have been generated since the server's last report.
    pub(super) fn unreported(&self) -> u64 {
        self.all.since(self.reported).tokens()
    }

    /// The server has reported all output so far.
    pub(super) fn report(&mut self) {
        self.reported = self.all;
    }

    /// Adds the text of an event, or of a complete answer.
    pub(super) fn read(&mut self, data: &[u8]) {
        let same_place = self.last.and_then(|(at, name)| text_of(data.get(at..)?, name));
        match same_place {
            Some(text) => self.all.add(TextAmount::of_string(text)),
            None => self.search(data),
        }
    }

    /// Adds the texts in a digest.
    pub(super) fn add(&mut self, texts: Texts) {
        self.deltas |= texts.deltas > 0;
        self.all.add(TextAmount::of_length(if self.deltas { texts.deltas } else { texts.others }));
    }

    fn search(&mut self, data: &[u8]) {
        let mut found = 0;
        let mut before: &[u8] = b"";
        for quote in memchr_iter(b'"', data) {
            let at = quote + 1;
            let rest = data.get(at..).unwrap_or_default();
            if !matches!(rest.first(), Some(b'a' | b'c' | b'd' | b'p' | b'r' | b't')) {
                continue;
            }
            if let Some(json) = arguments(rest) {
                self.all.add(json);
                found += 2; // the next event's text is elsewhere
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
            let amount = TextAmount::of_string(text);
            let own = text.get(..raw_length(text)).unwrap_or_default();
            found += 1;
            if amount.bytes > 0 && own == before {
                continue; // the same text under another name: `reasoning` and `reasoning_details`
            }
            before = own;
            self.all.add(amount);
            self.last = Some((at, name));
        }
        if found != 1 {
            self.last = None;
        }
    }
}

/// A call's arguments if they are an object (Gemini, Ollama, Anthropic).
fn arguments(field: &[u8]) -> Option<TextAmount> {
    let names: [&[u8]; 2] = [b"args\":", b"arguments\":"];
    let value = names.into_iter().find_map(|name| field.strip_prefix(name))?.trim_ascii_start();
    if value.first() != Some(&b'{') {
        return None;
    }
    let mut scanner = Scanner::new(value);
    let whole = scanner.value().is_ok();
    let end = if whole { scanner.position() } else { value.len() };
    value.get(..end).map(TextAmount::of_json)
}

/// The bytes of generated text in a digest, by field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    deltas: u64,
    others: u64,
}

impl Texts {
    /// Adds a string of this length; `before` ends with its name and a colon.
    pub(super) fn add(&mut self, before: &[u8], length: u64) {
        let name = before.strip_suffix(b"\":").unwrap_or_default();
        let is = |field: &str| name.strip_suffix(field.as_bytes()).is_some_and(|rest| rest.ends_with(b"\""));
        if is("delta") {
            self.deltas = self.deltas.saturating_add(length);
        } else if GENERATED_FIELDS.into_iter().any(is) {
            self.others = self.others.saturating_add(length);
        }
    }
}

/// The text after `name":"`; at most one space may come before the value.
fn text_of<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value = field.strip_prefix(name.as_bytes())?.strip_prefix(b"\":")?;
    value.strip_prefix(b" ").unwrap_or(value).strip_prefix(b"\"")
}

/// The number of bytes up to the quote that ends a text.
fn raw_length(text: &[u8]) -> usize {
    let mut end = 0;
    while let Some(offset) = memchr2(b'"', b'\\', text.get(end..).unwrap_or_default()) {
        end += offset;
        if text.get(end) == Some(&b'"') {
            return end;
        }
        end += 2;
    }
    text.len()
}

/// The number of UTF-8 bytes of a text that begins here and ends at the next quote, or at the end. Nothing is decoded.
pub(super) fn length(text: &[u8]) -> u64 {
    let mut length = 0;
    let mut rest = text;
    while let Some(offset) = memchr2(b'"', b'\\', rest) {
        length += offset;
        if rest.get(offset) == Some(&b'"') {
            return length as u64;
        }
        rest = rest.get(offset..).unwrap_or_default();
        // JSON in a string, and escaped letters, have many in a row
        while rest.first() == Some(&b'\\') {
            let (escape, bytes) = match rest.get(1) {
                Some(b'u') => (6, length_of_code(rest.get(2..6).unwrap_or_default())),
                Some(_) | None => (2, 1),
            };
            length += bytes;
            rest = rest.get(escape..).unwrap_or_default();
        }
    }
    (length + rest.len()) as u64
}

/// The number of UTF-8 bytes of a `\uXXXX` escape; half of a surrogate pair counts as half of four.
fn length_of_code(digits: &[u8]) -> usize {
    let digit = |code: u16, digit: &u8| Some(code << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?);
    let code = digits.iter().try_fold(0, digit);
    match code {
        Some(0..=0x7f) | None => 1,
        Some(0x80..=0x7ff | 0xd800..=0xdfff) => 2,
        Some(0x800..=0xd7ff | 0xe000..=0xffff) => 3,
    }
}
