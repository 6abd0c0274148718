//! Single steps through a text and its nested strings.

use std::ops::Range;

use crate::json::plain_prefix;

use super::{Escape, Layer, ReaderPosition, Source, FRESH, LAYERS};

/// The kinds of parts of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Words: prose, or the inside of a string.
    Text,
    /// A part of a number in a document.
    Number,
    /// A document's structure, which must stay.
    Structure,
}

/// A part of a text, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    /// The decoded text.
    pub text: &'a str,
    /// The range in the written text.
    pub source: Range<usize>,
    /// The number of enclosing strings.
    pub depth: u8,
    /// Its kind.
    pub role: Role,
}

pub(super) struct Walk<'w> {
    pub layers: [Layer; LAYERS],
    /// The position and the state before the outermost incomplete escape.
    pub safe: Option<(usize, [Layer; LAYERS])>,
    /// Not generic, or ten callers would have ten copies of all this.
    pub each: &'w mut dyn FnMut(Unit<'_>),
}

impl Walk<'_> {
    pub(super) fn is_within_escape(&self) -> bool {
        self.layers.iter().any(|layer| layer.escape != Escape::None)
    }

    pub(super) fn forget_escapes(&mut self) {
        self.layers.iter_mut().for_each(|layer| layer.escape = Escape::None);
    }

    fn layer(&self, depth: usize) -> Layer {
        self.layers.get(depth).copied().unwrap_or(FRESH)
    }

    fn position(&mut self, depth: usize, position: ReaderPosition) {
        if let Some(layer) = self.layers.get_mut(depth) {
            layer.position = position;
        }
    }

    fn escape(&mut self, depth: usize, escape: Escape) {
        if let Some(layer) = self.layers.get_mut(depth) {
            layer.escape = escape;
        }
    }

    fn emit(&mut self, depth: usize, text: &str, source: Range<usize>, role: Role) {
        (self.each)(Unit { text, source, depth: u8::try_from(depth).unwrap_or(u8::MAX), role });
    }

    /// The next part at this depth.
    pub(super) fn feed(&mut self, depth: usize, text: &str, source: Source) {
        if depth + 1 == LAYERS {
            return self.emit(depth, text, source.of(0..text.len()), Role::Text);
        }
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let layer = self.layer(depth);
            let part = source.part(at);
            at += match (layer.position, layer.escape) {
                (ReaderPosition::String(brackets), Escape::None) => self.in_string(depth, brackets, rest, &part),
                (ReaderPosition::String(_), _) => self.in_escape(depth, &layer, rest, &part),
                (ReaderPosition::Prose, _) => self.in_prose(depth, rest, &part),
                (
                    ReaderPosition::Start
                    | ReaderPosition::Margin
                    | ReaderPosition::Opened(_)
                    | ReaderPosition::Structure(_)
                    | ReaderPosition::After,
                    _,
                ) => self.outside(depth, layer.position, rest, &part),
            };
        }
    }

    /// The rest of a line that is not JSON.
    fn in_prose(&mut self, depth: usize, rest: &str, source: &Source) -> usize {
        let end = match memchr::memchr(b'\n', rest.as_bytes()) {
            Some(line_feed) => {
                self.position(depth, ReaderPosition::Margin);
                line_feed + 1
            }
            None => rest.len(),
        };
        self.emit(depth, rest.get(..end).unwrap_or_default(), source.of(0..end), Role::Text);
        end
    }

    /// The inside of a string up to a special character, or that character.
    fn in_string(&mut self, depth: usize, brackets: u32, rest: &str, source: &Source) -> usize {
        let plain = plain_prefix(rest.as_bytes());
        if plain > 0 {
            self.feed(depth + 1, rest.get(..plain).unwrap_or_default(), source.part(0));
            return plain;
        }
        let here = source.of(0..1);
        match rest.as_bytes().first() {
            Some(b'"') => {
                self.leave_string(depth);
                self.position(
                    depth,
                    if brackets == 0 { ReaderPosition::After } else { ReaderPosition::Structure(brackets) },
                );
                self.emit(depth, "\"", here, Role::Structure);
            }
            Some(b'\\') => {
                if depth == 0 && !self.is_within_escape() {
                    self.safe = Some((here.start, self.layers));
                }
                if let Some((character, length)) = whole_escape(rest.as_bytes()) {
                    self.decoded(depth, character, source.of(0..length));
                    return length;
                }
                if let Some(layer) = self.layers.get_mut(depth) {
                    layer.escape = Escape::Backslash;
                    layer.began = here.start;
                }
            }
            // not JSON after all
            _ => {
                self.leave_string(depth);
                self.position(depth, ReaderPosition::Prose);
                return 0;
            }
        }
        1
    }

    /// Escapes that are still open at the end of a string are invalid.
    fn leave_string(&mut self, depth: usize) {
        self.layers.iter_mut().skip(depth).for_each(|layer| layer.escape = Escape::None);
    }

    fn enter_string(&mut self, depth: usize, brackets: u32) {
        self.position(depth, ReaderPosition::String(brackets));
        if let Some(inner) = self.layers.get_mut(depth + 1) {
            *inner = FRESH;
        }
    }

    /// The next character of an escape; it is not consumed if it is not part of the escape.
    fn in_escape(&mut self, depth: usize, layer: &Layer, rest: &str, source: &Source) -> usize {
        let Some(next) = rest.chars().next() else {
            return 0;
        };
        let until = layer.began..source.of(0..next.len_utf8()).end;
        let before = layer.began..source.of(0..0).start.max(layer.began);
        match (layer.escape, next) {
            (Escape::None, _) => {}
            (Escape::Backslash, 'u') => self.escape(depth, Escape::Hex { digits: 0, value: 0 }),
            (Escape::Backslash, _) => match simple(next) {
                Some(character) => self.decoded(depth, character, until),
                None => {
                    self.decoded(depth, '\\', before);
                    return 0;
                }
            },
            (Escape::Hex { digits, value }, _) => match next.to_digit(16) {
                Some(digit) => self.hex(depth, digits + 1, push(value, digit), until),
                None => {
                    self.spelled(depth, digits, value, before);
                    return 0;
                }
            },
            (Escape::High(high), '\\') => self.escape(depth, Escape::HighBackslash(high)),
            (Escape::HighBackslash(high), 'u') => {
                self.escape(depth, Escape::HighHex { high, digits: 0, value: 0 });
            }
            (Escape::HighHex { high, digits, value }, _) if next.is_ascii_hexdigit() => {
                let value = push(value, next.to_digit(16).unwrap_or(0));
                if digits < 3 {
                    self.escape(depth, Escape::HighHex { high, digits: digits + 1, value });
                } else {
                    self.decoded(depth, pair(high, value), until);
                }
            }
            // half a surrogate pair, and something else
            (Escape::High(_), _) => {
                self.decoded(depth, char::REPLACEMENT_CHARACTER, before);
                return 0;
            }
            (Escape::HighBackslash(_), _) => {
                self.decoded(depth, char::REPLACEMENT_CHARACTER, before.clone());
                if let Some(layer) = self.layers.get_mut(depth) {
                    layer.escape = Escape::Backslash;
                    layer.began = before.end;
                }
                return 0;
            }
            (Escape::HighHex { digits, value, .. }, _) => {
                self.decoded(depth, char::REPLACEMENT_CHARACTER, before.clone());
                self.spelled(depth, digits, value, before.end..before.end);
                return 0;
            }
        }
        next.len_utf8()
    }

    fn hex(&mut self, depth: usize, digits: u8, value: u16, source: Range<usize>) {
        match (digits, value) {
            (0..=3, _) => self.escape(depth, Escape::Hex { digits, value }),
            (_, 0xd800..=0xdbff) => self.escape(depth, Escape::High(value)),
            (_, _) => {
                let character = char::from_u32(u32::from(value)).unwrap_or(char::REPLACEMENT_CHARACTER);
                self.decoded(depth, character, source);
            }
        }
    }

    /// A complete escape: one character, one layer deeper.
    fn decoded(&mut self, depth: usize, character: char, source: Range<usize>) {
        self.escape(depth, Escape::None);
        let mut utf8 = [0; 4];
        let text = character.encode_utf8(&mut utf8);
        self.feed(depth + 1, text, Source::Escaped(source));
    }

    /// `\u` without four digits stands for itself.
    fn spelled(&mut self, depth: usize, digits: u8, value: u16, source: Range<usize>) {
        self.escape(depth, Escape::None);
        let width = usize::from(digits);
        let text = if width == 0 { "\\u".to_owned() } else { format!("\\u{value:0width$x}") };
        self.feed(depth + 1, &text, Source::Escaped(source));
    }

    /// One character outside strings and prose.
    fn outside(&mut self, depth: usize, position: ReaderPosition, rest: &str, source: &Source) -> usize {
        let Some(next) = rest.chars().next() else {
            return 0;
        };
        let (position, role) = after(position, next);
        match position {
            ReaderPosition::String(brackets) => self.enter_string(depth, brackets),
            ReaderPosition::Prose => {
                self.position(depth, position);
                if next != '\n' {
                    return self.in_prose(depth, rest, source);
                }
                self.position(depth, ReaderPosition::Margin);
            }
            ReaderPosition::Start
            | ReaderPosition::Margin
            | ReaderPosition::Opened(_)
            | ReaderPosition::Structure(_)
            | ReaderPosition::After => {
                self.position(depth, position);
            }
        }
        let mut length = next.len_utf8();
        if matches!(position, ReaderPosition::Structure(_)) {
            let same = |byte: &&u8| byte.is_ascii() && after(position, char::from(**byte)) == (position, role);
            length += rest.as_bytes().iter().skip(length).take_while(same).count();
        }
        self.emit(depth, rest.get(..length).unwrap_or_default(), source.of(0..length), role);
        length
    }
}

/// The next state after a character, and its kind.
fn after(position: ReaderPosition, next: char) -> (ReaderPosition, Role) {
    let blank = matches!(next, ' ' | '\t' | '\r' | '\n');
    match (position, next) {
        (ReaderPosition::Structure(_) | ReaderPosition::Opened(_), _) if blank => (position, Role::Structure),
        (_, '\n') => {
            (if position == ReaderPosition::Start { ReaderPosition::Start } else { ReaderPosition::Margin }, Role::Text)
        }
        (_, _) if blank => (position, Role::Text),
        (ReaderPosition::Start, '"') => (ReaderPosition::String(0), Role::Structure),
        (ReaderPosition::Start | ReaderPosition::Margin | ReaderPosition::After, '{' | '[') => {
            (ReaderPosition::Opened(next == '{'), Role::Structure)
        }
        (ReaderPosition::Start | ReaderPosition::Margin | ReaderPosition::After, _) => {
            (ReaderPosition::Prose, Role::Text)
        }
        (ReaderPosition::Opened(_), '"') => (ReaderPosition::String(1), Role::Structure),
        (ReaderPosition::Opened(true), '}') | (ReaderPosition::Opened(false), ']') => {
            (ReaderPosition::After, Role::Structure)
        }
        (ReaderPosition::Opened(false), '{' | '[') => (ReaderPosition::Structure(2), Role::Structure),
        (ReaderPosition::Opened(false), '-' | '0'..='9') => (ReaderPosition::Structure(1), Role::Number),
        (ReaderPosition::Opened(false), 't' | 'f' | 'n') => (ReaderPosition::Structure(1), Role::Structure),
        (ReaderPosition::Structure(brackets), '"') => (ReaderPosition::String(brackets), Role::Structure),
        (ReaderPosition::Structure(brackets), '{' | '[') => {
            (ReaderPosition::Structure(brackets.saturating_add(1)), Role::Structure)
        }
        (ReaderPosition::Structure(0 | 1), '}' | ']') => (ReaderPosition::After, Role::Structure),
        (ReaderPosition::Structure(brackets), '}' | ']') => (ReaderPosition::Structure(brackets - 1), Role::Structure),
        (ReaderPosition::Structure(_), '-' | '+' | '.' | '0'..='9') => (position, Role::Number),
        (ReaderPosition::Structure(_), ',' | ':') => (position, Role::Structure),
        // of `true`, `false`, `null`, and of a number's exponent
        (ReaderPosition::Structure(_), 't' | 'r' | 'u' | 'e' | 'f' | 'a' | 'l' | 's' | 'n' | 'E') => {
            (position, Role::Structure)
        }
        (
            ReaderPosition::Opened(_)
            | ReaderPosition::Structure(_)
            | ReaderPosition::String(_)
            | ReaderPosition::Prose,
            _,
        ) => (ReaderPosition::Prose, Role::Text),
    }
}

/// A complete escape at the beginning: its character, and its length. `None` also for half a surrogate pair.
fn whole_escape(text: &[u8]) -> Option<(char, usize)> {
    let kind = char::from(*text.get(1)?);
    if kind != 'u' {
        return Some((simple(kind)?, 2));
    }
    let digits = text.get(2..6)?;
    let code = digits.iter().try_fold(0, |code, digit| Some(push(code, char::from(*digit).to_digit(16)?)))?;
    let is_first_half = matches!(code, 0xd800..=0xdbff);
    let character = char::from_u32(u32::from(code)).unwrap_or(char::REPLACEMENT_CHARACTER);
    (!is_first_half).then_some((character, 6))
}

fn simple(escape: char) -> Option<char> {
    Some(match escape {
        '"' | '\\' | '/' => escape,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        _ => return None,
    })
}

fn push(value: u16, digit: u32) -> u16 {
    value << 4 | u16::try_from(digit & 15).unwrap_or(0)
}

fn pair(high: u16, low: u16) -> char {
    let low_half = u32::from(low).checked_sub(0xdc00).filter(|half| *half < 0x400);
    let code = low_half.map(|half| 0x10000 + ((u32::from(high) - 0xd800) << 10) + half);
    code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}
