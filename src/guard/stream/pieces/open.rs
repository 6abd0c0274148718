//! The open brackets at the start and end of a piece of JSON, so that the piece can be read as a complete text.

use crate::guard::stream::event::EventError;
use crate::guard::texts::fold;
use crate::json::{Scanner, Value, MAX_DEPTH};

/// The fields that show the kind of the texts beside them, or the end of an answer: the reader needs them in each
/// piece.
const LABELS: [&str; 11] = [
    "contentindex",
    "done",
    "finishreason",
    "index",
    "outputindex",
    "role",
    "sequencenumber",
    "signature",
    "summaryindex",
    "thought",
    "type",
];
/// Longer names and labels are ignored.
const MAX_LABEL: usize = 256;
/// The maximum size of an object's labels: it has at most one of every kind.
const MAX_LABELS: usize = 2048;
/// The maximum number of distinguished elements of an array.
const MAX_ELEMENTS: usize = 1024;

/// The next expected token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// After an opening bracket.
    First,
    /// After a comma.
    Another,
    /// After a name.
    Colon,
    /// After a colon, or at the beginning.
    Value,
    /// After a value.
    Behind,
}

/// An open object or array.
#[derive(Debug, Default)]
struct Level {
    is_array: bool,
    /// The labels so far, each followed by a comma.
    labels: Vec<u8>,
    /// The name of the current value, with quotes.
    name: Vec<u8>,
    /// The number of finished elements.
    elements: usize,
    /// Where it begins in the current piece.
    start: usize,
    /// Whether texts in it have been reported.
    spoken: bool,
    /// Whether a long string in it was treated as not a text.
    hidden: bool,
}

/// The open brackets.
#[derive(Debug)]
pub(super) struct Open {
    levels: Vec<Level>,
    next: Next,
    /// The last byte of the previous value.
    last: u8,
}

impl Open {
    pub(super) fn new() -> Self {
        Open { levels: Vec::new(), next: Next::Value, last: 0 }
    }

    /// A new piece begins.
    pub(super) fn begin_piece(&mut self) {
        self.levels.iter_mut().for_each(|level| level.start = 0);
    }

    /// Whether a string at this position is a name.
    pub(super) fn is_name_next(&self) -> bool {
        matches!(self.next, Next::First | Next::Another) && self.levels.last().is_some_and(|level| !level.is_array)
    }

    /// One of `{}[],:`, at this position of the piece.
    pub(super) fn mark(&mut self, mark: u8, at: usize) -> Result<(), EventError> {
        let in_array = self.levels.last().map(|level| level.is_array);
        let is_value = match self.next {
            Next::Value => true,
            Next::First | Next::Another => in_array == Some(true),
            Next::Colon | Next::Behind => false,
        };
        let closes = matches!(self.next, Next::First | Next::Behind);
        match mark {
            b'{' | b'[' if is_value => {
                if self.levels.len() >= MAX_DEPTH as usize {
                    return Err(EventError::TooLarge);
                }
                self.levels.push(Level { is_array: mark == b'[', start: at, ..Level::default() });
                self.next = Next::First;
            }
            b'}' | b']' if closes && in_array == Some(mark == b']') => {
                self.levels.pop();
                self.value_ended(mark);
            }
            b',' if self.next == Next::Behind => {
                if let Some(level) = self.levels.last_mut() {
                    level.elements = level.elements.saturating_add(1).min(MAX_ELEMENTS);
                }
                self.next = if in_array.is_some() { Next::Another } else { return Err(EventError::NotJson) };
            }
            b':' if self.next == Next::Colon => self.next = Next::Value,
            _ => return Err(EventError::NotJson),
        }
        Ok(())
    }

    /// A name, with quotes.
    pub(super) fn name(&mut self, raw: &[u8]) {
        if let Some(level) = self.levels.last_mut() {
            level.name.clear();
            level.name.extend_from_slice(if raw.len() > MAX_LABEL { b"\"-\"" } else { raw });
        }
        self.next = Next::Colon;
    }

    /// A value without brackets, as written.
    ///
    /// # Errors
    /// It shows that a reported text was read wrongly.
    pub(super) fn scalar(&mut self, raw: &[u8]) -> Result<(), EventError> {
        let Some(level) = self.levels.last_mut().filter(|level| !level.is_array) else {
            self.value_ended(raw.last().copied().unwrap_or(0));
            return Ok(());
        };
        if let Ok(Value::String(name)) = Scanner::new(&level.name).value() {
            let name = fold(&name);
            let room = MAX_LABELS.saturating_sub(level.labels.len());
            if LABELS.contains(&&*name) && room > 0 {
                level.tell_late(&name, raw)?;
                let raw = if raw.len() > MAX_LABEL { b"\"-\"" } else { raw };
                level.labels.extend([&level.name, &b":"[..], raw, b","].concat());
            }
        }
        self.value_ended(raw.last().copied().unwrap_or(0));
        Ok(())
    }

    /// A value has ended, with this byte.
    pub(super) fn value_ended(&mut self, last: u8) {
        (self.next, self.last) = (Next::Behind, last);
    }

    /// A text was reported that begins at this position of the piece.
    pub(super) fn spoke(&mut self, at: usize) {
        self.levels.iter_mut().filter(|level| level.start <= at).for_each(|level| level.spoken = true);
    }

    /// The current string, which continues, is not a text.
    pub(super) fn hide(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.hidden = true;
        }
    }

    /// The text before the next piece: the open brackets with their labels.
    pub(super) fn beginning(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let Some((top, outer)) = self.levels.split_last() else {
            return if self.next == Next::Behind { b"null".to_vec() } else { out };
        };
        outer.iter().for_each(|level| level.begin(&mut out, Next::Value));
        top.begin(&mut out, self.next);
        out
    }

    /// Whether nothing is open.
    pub(super) fn is_complete(&self) -> bool {
        self.levels.is_empty() && matches!(self.next, Next::Value | Next::Behind)
    }

    /// The text that completes the previous part; `within_string`: a string is open.
    pub(super) fn end(&self, within_string: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let in_array = self.levels.last().map(|level| level.is_array);
        match (within_string, self.next, in_array) {
            (true, ..) => out.push(b'"'),
            (false, Next::Colon, _) => out.extend_from_slice(b":null"),
            (false, Next::Another, Some(false)) => out.extend_from_slice(b"\"\":null"),
            (false, Next::Another, _) => out.extend_from_slice(match self.last {
                b'}' => b"{}",
                b']' => b"[]",
                b'"' => b"\"\"",
                _ => b"null",
            }),
            // an element may follow, which needs another one before it
            (false, Next::First, Some(true)) if self.levels.len() == 1 => out.extend_from_slice(b"{}"),
            (false, Next::Value, Some(_)) => out.extend_from_slice(b"null"),
            (false, Next::Value | Next::First | Next::Behind, _) => {}
        }
        out.extend(self.levels.iter().rev().map(|level| if level.is_array { b']' } else { b'}' }));
        out
    }
}

impl Level {
    /// Whether a label comes too late for texts that depend on it. Other labels do not matter.
    fn tell_late(&self, name: &str, raw: &[u8]) -> Result<(), EventError> {
        let Ok(Value::String(value)) = Scanner::new(raw).value() else {
            return Ok(());
        };
        let value = value.decode();
        let is_signed = name == "signature" && !value.is_empty() || name == "type" && value.contains("thinking");
        let is_text = name == "type" && value == "text";
        match self.spoken && is_signed || self.hidden && is_text {
            true => Err(EventError::TooLarge),
            false => Ok(()),
        }
    }

    fn begin(&self, out: &mut Vec<u8>, next: Next) {
        if self.is_array {
            out.push(b'[');
            (0..self.elements).for_each(|_| out.extend_from_slice(b"null,"));
            if next == Next::Behind {
                out.extend_from_slice(b"null");
            }
            return;
        }
        out.push(b'{');
        out.extend_from_slice(&self.labels);
        match next {
            Next::First | Next::Another => {}
            Next::Colon => out.extend_from_slice(&self.name),
            Next::Value => out.extend([&self.name, &b":"[..]].concat()),
            Next::Behind => out.extend_from_slice(b"\"\":null"),
        }
    }
}
