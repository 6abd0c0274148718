//! A strict JSON scanner that returns borrowed values and byte positions.
//!
//! The gateway must find a few fields in bodies of up to megabytes, know *where* they are (so that a rewrite replaces
//! bytes instead of serialising again), and refuse anything that an upstream's parser would read differently. A tree
//! would cost an allocation per value. This scanner does not allocate and does not recurse, so no nesting can exhaust
//! the stack.
//!
//! Grammar: RFC 8259, nothing more (no comments, no trailing commas, no NaN).
//!
//! ```
//! use sluice::json::{Scanner, Value};
//!
//! let mut scanner = Scanner::new(br#"{"model": "gpt-4o", "messages": [1, 2, 3]}"#);
//! let mut model = None;
//! scanner.object(|key, scanner| {
//!     match (key.is("model"), scanner.value()?) {
//!         (true, Value::String(text)) => model = Some(text.decode().into_owned()),
//!         _ => {}
//!     }
//!     Ok(())
//! })?;
//! scanner.end()?;
//! assert_eq!(model.as_deref(), Some("gpt-4o"));
//! # Ok::<(), sluice::json::JsonError>(())
//! ```

mod parts;
mod plain;
mod text;
mod tokens;

use std::fmt;
use std::ops::Range;

pub(crate) use parts::{Partial, Position};
pub(crate) use plain::plain_prefix;
pub(crate) use text::decode_part;
pub use text::{write_escaped, write_number, write_string, Text};

/// The deepest accepted nesting. Real requests (tool schemas are the deepest) stay under 30. Upstream parsers give up
/// somewhere above 100, so a deeper body is an attack or a mistake.
pub const MAX_DEPTH: u32 = 128;

/// Why a body is not accepted as JSON. `at` is a byte offset from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// The text ends inside a value.
    UnexpectedEnd,
    /// A byte that is not allowed here.
    Unexpected {
        /// Its position.
        at: usize,
    },
    /// More than [`MAX_DEPTH`] levels of nesting.
    TooDeep,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::UnexpectedEnd => write!(f, "the JSON ends too early"),
            JsonError::Unexpected { at } => write!(f, "unexpected character at byte {at}"),
            JsonError::TooDeep => write!(f, "nested deeper than {MAX_DEPTH} levels"),
        }
    }
}

/// A scanned value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(&'a [u8]),
    /// A string.
    String(Text<'a>),
    /// An array; `empty` when it has no element.
    Array {
        /// No element.
        empty: bool,
    },
    /// An object.
    Object,
}

impl Value<'_> {
    /// The value as a count, if it is a number that can be one. Fractions are cut off, since providers that count in
    /// doubles write `12.0`; negative numbers are not counts.
    pub fn as_count(&self) -> Option<u64> {
        let Value::Number(digits) = self else {
            return None;
        };
        if let 1..=19 = digits.len() {
            // nearly all have few digits, which cannot overflow
            let value = digits.iter().try_fold(0, |value, digit| match digit {
                b'0'..=b'9' => Some(value * 10 + u64::from(digit - b'0')),
                _ => None,
            });
            if value.is_some() {
                return value;
            }
        }
        let text = std::str::from_utf8(digits).ok()?;
        text.parse().ok().or_else(|| {
            let number: f64 = text.parse().ok()?;
            // 2^53: up to here every integer is exact as a double
            (0.0..=9_007_199_254_740_992.0).contains(&number).then_some(number as u64)
        })
    }
}

/// Walks through one JSON text.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// The current number of open objects and arrays.
    depth: u32,
}

impl<'a> Scanner<'a> {
    /// Starts before the text's first value.
    pub fn new(text: &'a [u8]) -> Self {
        Scanner { text, at: 0, depth: 0 }
    }

    /// The number of scanned bytes.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The range of a string in this text, with its quotes.
    pub fn place_of(&self, string: &Text<'a>) -> Range<usize> {
        let start = (string.raw().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        start.saturating_sub(1)..start + string.raw().len() + 1
    }

    /// The next value's first byte, after white space, without consuming it.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        match self.text.get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            Some(_) | None => self.peek_past_space(),
        }
    }

    fn peek_past_space(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Skips the next value.
    ///
    /// # Errors
    /// Invalid JSON.
    pub fn value(&mut self) -> Result<Value<'a>, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.nested().map(|_| Value::Object),
            Some(b'[') => self.nested().map(|empty| Value::Array { empty }),
            Some(b't') => self.literal(b"true").map(|()| Value::Bool(true)),
            Some(b'f') => self.literal(b"false").map(|()| Value::Bool(false)),
            Some(b'n') => self.literal(b"null").map(|()| Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(_) => Err(JsonError::Unexpected { at: self.at }),
            None => Err(JsonError::UnexpectedEnd),
        }
    }

    /// Scans over the next value and tells where it stands.
    ///
    /// # Errors
    /// Whatever makes it no JSON.
    pub fn spanned(&mut self) -> Result<(Value<'a>, Range<usize>), JsonError> {
        self.peek();
        let start = self.at;
        let value = self.value()?;
        Ok((value, start..self.at))
    }

    /// Walks over an object; `field` is called for each name and must consume exactly that field's value.
    /// Returns `false`, having consumed the value, when it is not an object.
    ///
    /// # Errors
    /// Whatever makes it no JSON, or what `field` returned.
    pub fn object(
        &mut self,
        mut field: impl FnMut(Text<'a>, &mut Scanner<'a>) -> Result<(), JsonError>,
    ) -> Result<bool, JsonError> {
        if self.peek() != Some(b'{') {
            self.value()?;
            return Ok(false);
        }
        self.enter()?;
        if self.peek() == Some(b'}') {
            self.leave();
            return Ok(true);
        }
        loop {
            let name = self.name()?;
            field(name, self)?;
            if self.next_or_close(b'}')? {
                return Ok(true);
            }
        }
    }

    /// Walks over an array; `element` is called before each element and must consume exactly one value.
    /// Returns `false`, having consumed the value, when it is not an array.
    ///
    /// # Errors
    /// Whatever makes it no JSON, or what `element` returned.
    pub fn array(
        &mut self,
        mut element: impl FnMut(&mut Scanner<'a>) -> Result<(), JsonError>,
    ) -> Result<bool, JsonError> {
        if self.peek() != Some(b'[') {
            self.value()?;
            return Ok(false);
        }
        self.enter()?;
        if self.peek() == Some(b']') {
            self.leave();
            return Ok(true);
        }
        loop {
            element(self)?;
            if self.next_or_close(b']')? {
                return Ok(true);
            }
        }
    }

    /// Nothing but white space may follow.
    ///
    /// # Errors
    /// [`JsonError::Unexpected`] where something does.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(JsonError::Unexpected { at: self.at }),
        }
    }

    fn enter(&mut self) -> Result<(), JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.at += 1;
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(JsonError::Unexpected { at: self.at }),
            None => Err(JsonError::UnexpectedEnd),
        }
    }

    fn name(&mut self) -> Result<Text<'a>, JsonError> {
        if let Some(other) = self.peek() {
            if other != b'"' {
                return Err(JsonError::Unexpected { at: self.at });
            }
        }
        let name = self.string()?;
        match self.text.get(self.at) {
            Some(b':') => self.at += 1,
            Some(_) | None => self.expect(b':')?,
        }
        Ok(name)
    }

    /// After an element: `false` if a comma says that another follows, `true` past the closing bracket.
    fn next_or_close(&mut self, close: u8) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(byte) if byte == close => {
                self.leave();
                Ok(true)
            }
            Some(_) => Err(JsonError::Unexpected { at: self.at }),
            None => Err(JsonError::UnexpectedEnd),
        }
    }

    /// Skips an array or object without recursion: which kind of bracket is open at which level is one bit
    /// of `open` each. Returns whether the outermost one is empty.
    fn nested(&mut self) -> Result<bool, JsonError> {
        let mut open: u128 = 0;
        let outside = self.depth;
        let mut empty = false;
        loop {
            // here: at the start of a value, or behind an opening bracket, where the closing one may follow
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.enter()?;
                    let object = bracket == b'{';
                    open = open << 1 | u128::from(object);
                    let close = if object { b'}' } else { b']' };
                    if self.peek() != Some(close) {
                        if object {
                            self.name()?;
                        }
                        continue;
                    }
                    self.leave();
                    open >>= 1;
                    empty = self.depth == outside;
                }
                _ => {
                    self.value()?;
                }
            }
            // after a value: close brackets until one goes on
            loop {
                if self.depth == outside {
                    return Ok(empty);
                }
                let object = open & 1 == 1;
                if !self.next_or_close(if object { b'}' } else { b']' })? {
                    if object {
                        self.name()?;
                    }
                    break;
                }
                open >>= 1;
            }
        }
    }
}
