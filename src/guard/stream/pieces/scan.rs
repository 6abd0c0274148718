//! Finds the end of a piece.

use memchr::memchr2;

use super::open::Open;
use crate::guard::stream::event::EventError;
use crate::usage::Framing;

/// How much more than a piece is read, so that no escape and no field's name is cut.
pub(super) const AHEAD: usize = 32;

/// The position in an event.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) framing: Framing,
    /// The size of a piece, in bytes.
    pub(super) size: usize,
    pub(super) open: Open,
    pub(super) line: Line,
}

/// The position in a line of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Start,
    /// In the value of a `data` line.
    Data,
    /// In a line of another field.
    Other,
}

/// The kind of the next bytes.
enum Token {
    /// This many irrelevant bytes.
    Blank(usize),
    /// This many bytes of a line without data.
    Line(usize),
    /// A structural character.
    Mark(u8),
    /// A name with this length.
    Name(usize),
    /// A string with this length.
    String(usize),
    /// A string that continues after the last byte.
    OpenString,
    /// A number or a word with this length.
    Scalar(usize),
    /// More bytes are needed.
    Unknown,
}

impl Scan {
    pub(super) fn new(framing: Framing, size: usize) -> Self {
        let line = match framing {
            Framing::Sse => Line::Start,
            Framing::Ndjson | Framing::Json | Framing::EventStream => Line::Data,
        };
        Scan { framing, size, open: Open::new(), line }
    }

    /// The length of the piece that begins between two values, and whether it ends inside a string.
    ///
    /// # Errors
    /// It is not JSON, or something in it is too long.
    pub(super) fn next(&mut self, bytes: &[u8], is_all: bool) -> Result<(usize, bool), EventError> {
        self.open.begin_piece();
        let end = self.size.min(bytes.len());
        let mut at = 0;
        while at < end {
            let rest = bytes.get(at..(end + AHEAD).min(bytes.len())).unwrap_or_default();
            let is_all = is_all && end + AHEAD >= bytes.len();
            // the first token of the piece may be a little longer than the piece
            let fits = |length: usize| at + length <= end || at == 0 && length <= end + AHEAD;
            let length = match self.token(rest, is_all)? {
                Token::Blank(length) => length,
                Token::Line(length) => length.min(end - at),
                Token::Mark(mark) => {
                    self.open.mark(mark, at)?;
                    1
                }
                Token::Name(length) if fits(length) => {
                    self.open.name(rest.get(..length).unwrap_or_default());
                    length
                }
                Token::String(length) | Token::Scalar(length) if fits(length) => {
                    self.open.scalar(rest.get(..length).unwrap_or_default())?;
                    length
                }
                Token::OpenString | Token::Unknown if is_all => return Err(EventError::NotJson),
                Token::String(_) | Token::OpenString if at == 0 => {
                    let inside = bytes.get(1..end).unwrap_or_default();
                    let (length, _) = string_part(inside);
                    return Ok((1 + length, true));
                }
                Token::Name(_) | Token::String(_) | Token::Scalar(_) | Token::OpenString | Token::Unknown => break,
            };
            at += length;
        }
        // a name or a number with thousands of bytes
        if at == 0 {
            return Err(EventError::TooLarge);
        }
        Ok((at, false))
    }

    fn token(&mut self, rest: &[u8], is_all: bool) -> Result<Token, EventError> {
        let is_sse = self.framing == Framing::Sse;
        let first = rest.first().copied().unwrap_or_default();
        match self.line {
            Line::Start => return Ok(self.begin_line(rest, is_all)),
            Line::Other => {
                let length = memchr2(b'\n', b'\r', rest);
                if length == Some(0) {
                    self.line = Line::Start;
                    return Ok(Token::Blank(1));
                }
                return Ok(Token::Line(length.unwrap_or(rest.len())));
            }
            Line::Data => {}
        }
        Ok(match first {
            b'\n' | b'\r' if is_sse => {
                self.line = Line::Start;
                Token::Blank(1)
            }
            b' ' | b'\t' | b'\n' | b'\r' => Token::Blank(1),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => Token::Mark(first),
            b'"' => match (string_part(rest.get(1..).unwrap_or_default()), self.open.is_name_next()) {
                ((length, true), true) => Token::Name(1 + length),
                ((length, true), false) => Token::String(1 + length),
                ((_, false), true) => Token::Unknown,
                ((_, false), false) => Token::OpenString,
            },
            _ => {
                let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                match rest.iter().position(|byte| !belongs(byte)) {
                    Some(0) => return Err(EventError::NotJson),
                    Some(length) => Token::Scalar(length),
                    None if is_all => Token::Scalar(rest.len()),
                    None => Token::Unknown,
                }
            }
        })
    }

    /// Determines a line's field from its beginning.
    fn begin_line(&mut self, rest: &[u8], is_all: bool) -> Token {
        const DATA: &[u8] = b"data:";
        const BOM: &[u8] = b"\xef\xbb\xbf";
        if matches!(rest.first(), Some(b'\n' | b'\r')) {
            return Token::Blank(1);
        }
        if rest.starts_with(BOM) {
            return Token::Blank(BOM.len());
        }
        if rest.starts_with(DATA) {
            self.line = Line::Data;
            return Token::Blank(DATA.len());
        }
        let may_be = DATA.starts_with(rest) || BOM.starts_with(rest);
        if may_be && !is_all {
            return Token::Unknown;
        }
        let bare = rest.strip_prefix(b"data").filter(|rest| matches!(rest.first(), Some(b'\n' | b'\r')));
        self.line = if bare.is_some() { Line::Data } else { Line::Other };
        Token::Blank(if bare.is_some() { b"data".len() } else { 0 })
    }
}

/// How much of the inside of a string has arrived, including its end, and whether it has ended; no escape and no
/// character is cut.
pub(super) fn string_part(inside: &[u8]) -> (usize, bool) {
    let mut at = 0;
    loop {
        let rest = inside.get(at..).unwrap_or_default();
        let Some(special) = memchr2(b'"', b'\\', rest) else {
            return (at + whole_characters(rest), false);
        };
        at += special;
        let rest = inside.get(at..).unwrap_or_default();
        match (rest.first(), escape_length(rest)) {
            (Some(b'"'), _) => return (at + 1, true),
            (_, Some(length)) => at += length,
            (_, None) => return (at, false),
        }
    }
}

/// The length of the escape that begins here; a surrogate pair is one escape. `None` if it is incomplete.
fn escape_length(rest: &[u8]) -> Option<usize> {
    let half = |at: usize, range: std::ops::Range<u16>| {
        let digits = std::str::from_utf8(rest.get(at..at + 4)?).ok();
        Some(digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()).is_some_and(|code| range.contains(&code)))
    };
    if *rest.get(1)? != b'u' {
        return Some(2);
    }
    if !half(2, 0xd800..0xdc00)? || *rest.get(6)? != b'\\' || *rest.get(7)? != b'u' {
        return Some(6);
    }
    Some(if half(8, 0xdc00..0xe000)? { 12 } else { 6 })
}

/// The size of its complete characters.
fn whole_characters(bytes: &[u8]) -> usize {
    let begins = |byte: &u8| !(0x80..0xc0).contains(byte);
    let Some(last) = bytes.iter().rev().take(4).position(begins) else {
        return bytes.len();
    };
    let start = bytes.len() - 1 - last;
    let length = match bytes.get(start) {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xff) => 4,
        _ => 1,
    };
    if start + length > bytes.len() {
        start
    } else {
        bytes.len()
    }
}
