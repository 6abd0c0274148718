//! Restores the values of a text's placeholders.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::originals::Originals;
use super::placeholder::{may_begin, sight, Form, Sight};
use crate::guard::nested::{escaped, Nesting, Unit};
use crate::uri::hex_byte;

/// A complete text is restored in pieces of this size, so that the positions of a piece stay few.
const PIECE: usize = 16 << 10;

/// Restores a whole text.
pub(super) fn restore<'a>(originals: &Arc<Originals>, text: &'a str) -> Cow<'a, str> {
    if originals.len() == 0 || !text.bytes().any(may_begin) {
        return Cow::Borrowed(text);
    }
    let mut restorer = Restorer::new(Arc::clone(originals));
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = (PIECE.min(rest.len())..=rest.len()).find(|at| rest.is_char_boundary(*at)).unwrap_or(rest.len());
        let (piece, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        out.push_str(&restorer.push(piece));
        rest = tail;
    }
    out.push_str(&restorer.finish());
    if out == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(out)
    }
}

/// Restores a name.
pub(super) fn restore_name<'a>(originals: &Arc<Originals>, text: &'a str) -> Cow<'a, str> {
    if originals.len() == 0 || !text.contains('_') {
        return Cow::Borrowed(text);
    }
    let restored = restore(originals, text);
    // in names, custom patterns' names count, too
    let parts = restored.split_inclusive(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let part = |part: &str| {
        let word = part.trim_end_matches(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        match originals.get(word) {
            Some(value) => value.to_string() + part.get(word.len()..).unwrap_or_default(),
            None => part.to_owned(),
        }
    };
    let name: String = parts.map(part).collect();
    if name == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(name)
    }
}

/// Restores a text that arrives in pieces. It only holds back the beginning of a placeholder or of an escape. In JSON
/// text, values are escaped for it.
///
/// ```
/// use sluice::guard::pii::{Entity, Patterns, Vault};
///
/// let mut vault = Vault::default();
/// let text = "jo@example.com";
/// vault.hide(text, &Patterns::new(Entity::ALL, &[]).unwrap().find(text)).unwrap();
///
/// let mut restorer = vault.restorer();
/// assert_eq!(restorer.push("a < b, <EMAIL_"), "a < b, ");
/// assert_eq!(restorer.push("ADDRESS_1> <"), "jo@example.com ");
/// assert_eq!(restorer.finish(), "<");
/// ```
#[derive(Clone)]
pub struct Restorer {
    originals: Arc<Originals>,
    nesting: Nesting,
    /// The character before the held text.
    before: Option<char>,
    held: String,
    restored: bool,
}

impl Restorer {
    pub(super) fn new(originals: Arc<Originals>) -> Self {
        Restorer { originals, nesting: Nesting::default(), before: None, held: String::new(), restored: false }
    }

    /// Adds the next piece; returns the text that can be released, restored.
    pub fn push(&mut self, piece: &str) -> String {
        if self.originals.len() == 0 {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        self.go_on(false)
    }

    /// The rest, once the text has ended.
    pub fn finish(&mut self) -> String {
        let rest = self.go_on(true);
        *self = Restorer::new(Arc::clone(&self.originals));
        rest
    }

    /// The held text, if nothing can be held here; the text may continue.
    pub fn flush(&mut self) -> String {
        self.go_on(true)
    }

    /// How many bytes are held: at most a placeholder whose characters are all escapes.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whether a placeholder has stood in the text so far.
    pub(in crate::guard) fn has_restored(&self) -> bool {
        self.restored
    }

    fn go_on(&mut self, last: bool) -> String {
        let text = std::mem::take(&mut self.held);
        let mut seen = Seen::default();
        let mut state = self.nesting;
        let complete = state.walk(&text, last, |unit| seen.add(&unit));
        let mut out = String::with_capacity(text.len());
        let (mut copied, mut at) = (0, 0);
        let mut kept = complete;
        while let Some(rest) = seen.view.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(distance) = rest.bytes().position(may_begin) else {
                break;
            };
            at += distance;
            let Some(rest) = seen.view.get(at..) else {
                // inside a character whose first byte is not one of these
                at = (at..seen.view.len()).find(|at| seen.view.is_char_boundary(*at)).unwrap_or(seen.view.len());
                continue;
            };
            let before = seen.view.get(..at).and_then(|before| before.chars().next_back()).or(self.before);
            match sight(rest, before, last, &self.originals) {
                Sight::Placeholder { length, value, form } => {
                    let (source, depth) = seen.source(at..at + length);
                    out.push_str(text.get(copied..source.start).unwrap_or_default());
                    match (form, depth) {
                        (Form::Plain, 0) => out.push_str(value),
                        _ => out.push_str(&escaped(&encoded(value, form), depth)),
                    }
                    copied = source.end;
                    at += length;
                    self.restored = true;
                }
                Sight::Beginning => {
                    kept = seen.source(at..at + 1).0.start;
                    seen.view.truncate(at);
                    break;
                }
                Sight::Nothing => at += rest.chars().next().map_or(1, char::len_utf8),
            }
        }
        out.push_str(text.get(copied..kept).unwrap_or_default());
        if let Some(before) = seen.view.chars().next_back() {
            self.before = Some(before);
        }
        match kept < complete {
            true => drop(self.nesting.walk(text.get(..kept).unwrap_or_default(), false, |_| ())),
            false => self.nesting = state,
        }
        self.held.push_str(text.get(kept..).unwrap_or_default());
        out
    }
}

/// A value in the encoding of its placeholder.
fn encoded(value: &str, form: Form) -> Cow<'_, str> {
    match form {
        Form::Plain => Cow::Borrowed(value),
        Form::Escaped(times) => Cow::Owned(escaped(value, times)),
        // a value that was found percent-encoded is not encoded twice
        Form::Percent(times) => {
            (0..times).fold(Cow::Borrowed(value), |text, time| Cow::Owned(percent_encoded(&text, time == 0)))
        }
    }
}

/// `keep`: what is percent-encoded already stays.
fn percent_encoded(text: &str, keep: bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (at, byte) in text.bytes().enumerate() {
        let is_encoded = || byte == b'%' && text.as_bytes().get(at + 1..at + 3).and_then(hex_byte).is_some();
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        match is_plain || keep && is_encoded() {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The view of a piece, and where it is written.
#[derive(Default)]
struct Seen {
    view: String,
    parts: Vec<Part>,
}

struct Part {
    view: usize,
    source: Range<usize>,
    depth: u8,
    /// Whether the view equals the text.
    plain: bool,
}

impl Seen {
    fn add(&mut self, unit: &Unit<'_>) {
        let (view, plain) = (self.view.len(), unit.source.len() == unit.text.len());
        self.view.push_str(unit.text);
        match self.parts.last_mut() {
            Some(part) if part.plain && plain && part.depth == unit.depth && part.source.end == unit.source.start => {
                part.source.end = unit.source.end;
            }
            _ => self.parts.push(Part { view, source: unit.source.clone(), depth: unit.depth, plain }),
        }
    }

    /// Where a part of the view is written, and its depth.
    fn source(&self, view: Range<usize>) -> (Range<usize>, u8) {
        let part = |at: usize| {
            let after = self.parts.partition_point(|part| part.view <= at);
            after.checked_sub(1).and_then(|last| self.parts.get(last))
        };
        let start = part(view.start).map_or((0, 0), |part| match part.plain {
            true => (part.source.start + (view.start - part.view), part.depth),
            false => (part.source.start, part.depth),
        });
        let end = part(view.end.saturating_sub(1)).map_or(0, |part| match part.plain {
            true => part.source.start + (view.end - part.view),
            false => part.source.end,
        });
        (start.0..end, start.1)
    }
}

impl fmt::Debug for Restorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restorer").field("held", &self.held.len()).finish_non_exhaustive()
    }
}
