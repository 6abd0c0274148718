//! Scanning in parts, so that other work can run in between: a value of megabytes takes milliseconds.

use super::plain::plain_prefix;
use super::{JsonError, Scanner, Text, Value};

/// The position of a scanner, to continue later in the same text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    at: usize,
    depth: u32,
}

/// A value that is scanned in parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Partial {
    next: ScanState,
    /// The kinds of its open brackets: one bit each, as in [`Scanner::nested`].
    open: u128,
    /// The number of its open brackets.
    depth: u32,
    /// Whether it begins with a bracket, and ends at once.
    empty: bool,
    /// The first byte of the value.
    first: u8,
}

/// What comes next in a value that is scanned in parts.
#[derive(Clone, Copy, Debug, Default)]
enum ScanState {
    #[default]
    Value,
    /// The rest of a string: where it begins, and whether it has had an escape.
    String { start: usize, escaped: bool, is_name: bool },
    /// What follows a value.
    After,
}

impl<'a> Scanner<'a> {
    /// Continues in the same text.
    pub(crate) fn resume(text: &'a [u8], position: Position) -> Self {
        Scanner { text, at: position.at, depth: position.depth }
    }

    /// Where to continue.
    pub(crate) fn pause(&self) -> Position {
        Position { at: self.at, depth: self.depth }
    }

    /// The number of bytes that are left.
    pub(crate) fn rest(&self) -> usize {
        self.text.len().saturating_sub(self.at)
    }

    /// The bytes of the text.
    pub(crate) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Enters an object or array, whose bracket comes next.
    ///
    /// # Errors
    /// It is too deep.
    pub(crate) fn open(&mut self) -> Result<(), JsonError> {
        self.enter()
    }

    /// The name of the next member of an object; `None` after its end. `first`: nothing of it has been read.
    ///
    /// # Errors
    /// Invalid JSON.
    #[inline]
    pub(crate) fn next_member(&mut self, first: bool) -> Result<Option<Text<'a>>, JsonError> {
        match self.goes_on(first, b'}')? {
            true => self.name().map(Some),
            false => Ok(None),
        }
    }

    /// Whether an array has another element, which comes next. `first`: nothing of it has been read.
    ///
    /// # Errors
    /// Invalid JSON.
    #[inline]
    pub(crate) fn next_element(&mut self, first: bool) -> Result<bool, JsonError> {
        self.goes_on(first, b']')
    }

    #[inline]
    fn goes_on(&mut self, first: bool, close: u8) -> Result<bool, JsonError> {
        if !first {
            return self.next_or_close(close).map(|closed| !closed);
        }
        let empty = self.peek() == Some(close);
        if empty {
            self.leave();
        }
        Ok(!empty)
    }

    /// Scans over about this many bytes of the next value. Returns the value once it has ended. All white space before
    /// it must have been read.
    ///
    /// # Errors
    /// Invalid JSON.
    pub(crate) fn value_in_parts(
        &mut self,
        partial: &mut Partial,
        size: usize,
    ) -> Result<Option<Value<'a>>, JsonError> {
        let until = self.at.saturating_add(size.max(1));
        while self.at < until {
            match partial.next {
                ScanState::Value => match self.peek() {
                    Some(b'"') => {
                        self.at += 1;
                        partial.next = ScanState::String { start: self.at, escaped: false, is_name: false };
                    }
                    Some(bracket @ (b'{' | b'[')) => {
                        self.enter()?;
                        let is_object = bracket == b'{';
                        let is_outermost = partial.depth == 0;
                        if is_outermost {
                            partial.first = bracket;
                        }
                        partial.open = partial.open << 1 | u128::from(is_object);
                        partial.depth += 1;
                        if !self.goes_on(true, if is_object { b'}' } else { b']' })? {
                            partial.empty = is_outermost;
                            self.close(partial);
                        } else if is_object {
                            self.name_in_parts(partial)?;
                        }
                    }
                    _ => {
                        let value = self.value()?;
                        if partial.depth == 0 {
                            return Ok(Some(value));
                        }
                        partial.next = ScanState::After;
                    }
                },
                ScanState::String { start, mut escaped, is_name } => {
                    let ended = self.string_part(&mut escaped, until)?;
                    partial.next = match (ended, is_name) {
                        (false, _) => ScanState::String { start, escaped, is_name },
                        (true, true) => {
                            self.expect(b':')?;
                            ScanState::Value
                        }
                        (true, false) if partial.depth == 0 => {
                            let raw = self.text.get(start..self.at - 1).unwrap_or_default();
                            return Ok(Some(Value::String(Text::new(raw, escaped))));
                        }
                        (true, false) => ScanState::After,
                    };
                }
                ScanState::After if partial.depth == 0 => {
                    return Ok(Some(match partial.first {
                        b'{' => Value::Object,
                        _ => Value::Array { empty: partial.empty },
                    }))
                }
                ScanState::After => {
                    let is_object = partial.open & 1 == 1;
                    if self.next_or_close(if is_object { b'}' } else { b']' })? {
                        self.close(partial);
                    } else if is_object {
                        self.name_in_parts(partial)?;
                    } else {
                        partial.next = ScanState::Value;
                    }
                }
            }
        }
        Ok(None)
    }

    /// An array or object has been left.
    fn close(&mut self, partial: &mut Partial) {
        partial.open >>= 1;
        partial.depth -= 1;
        partial.next = ScanState::After;
    }

    fn name_in_parts(&mut self, partial: &mut Partial) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                partial.next = ScanState::String { start: self.at, escaped: false, is_name: true };
                Ok(())
            }
            Some(_) => Err(JsonError::Unexpected { at: self.at }),
            None => Err(JsonError::UnexpectedEnd),
        }
    }

    /// Scans over a part of a string, at least up to `until`. Returns whether it has ended.
    fn string_part(&mut self, escaped: &mut bool, until: usize) -> Result<bool, JsonError> {
        while self.at < until {
            let end = until.min(self.text.len());
            self.at += plain_prefix(self.text.get(self.at..end).unwrap_or_default());
            match self.text.get(self.at) {
                Some(_) if self.at == end => {}
                Some(b'"') => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(b'\\') => {
                    *escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(JsonError::Unexpected { at: self.at }),
                None => return Err(JsonError::UnexpectedEnd),
            }
        }
        Ok(false)
    }
}
