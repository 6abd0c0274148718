//! JSON strings: reading their escapes, and writing them.

use std::borrow::Cow;

use memchr::memchr;

/// The inside of a JSON string, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The bytes between the quotes, and whether they contain an escape.
    pub(super) fn new(raw: &'a [u8], escaped: bool) -> Self {
        Text { raw, escaped }
    }

    /// Whether the string equals `expected` once its escapes are decoded.
    pub fn is(&self, expected: &str) -> bool {
        if self.escaped {
            self.decode() == expected
        } else {
            self.raw == expected.as_bytes()
        }
    }

    /// The bytes between the quotes, with escapes: for matching names that need no escape.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The string with its escapes decoded. Lone surrogates and invalid UTF-8 become U+FFFD.
    pub fn decode(&self) -> Cow<'a, str> {
        if self.escaped {
            Cow::Owned(unescape(self.raw))
        } else {
            String::from_utf8_lossy(self.raw)
        }
    }
}

/// Decodes the escapes of a string the scanner has accepted.
fn unescape(raw: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(raw.len());
    unescape_part(raw, usize::MAX, &mut bytes);
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(invalid) => String::from_utf8_lossy(invalid.as_bytes()).into_owned(),
    }
}

/// Decodes about this many bytes of it. Returns how many it has decoded: between two characters.
fn unescape_part(raw: &[u8], size: usize, bytes: &mut Vec<u8>) -> usize {
    let mut rest = raw;
    while raw.len() - rest.len() < size {
        let plain = memchr(b'\\', rest).unwrap_or(rest.len());
        let left = size - (raw.len() - rest.len());
        if plain > 0 {
            let plain = if plain > left { character_end(rest, left).min(plain) } else { plain };
            bytes.extend_from_slice(rest.get(..plain).unwrap_or_default());
            rest = rest.get(plain..).unwrap_or_default();
            continue;
        }
        let Some((&kind, tail)) = rest.get(1..).and_then(<[u8]>::split_first) else {
            return raw.len();
        };
        rest = tail;
        match kind {
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'u' => {
                let character = unicode_escape(&mut rest);
                let mut utf8 = [0; 4];
                bytes.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
            }
            other => bytes.push(other),
        }
    }
    raw.len() - rest.len()
}

/// The first position from `at` on where no character continues. UTF-8 has at most three bytes that continue one.
fn character_end(bytes: &[u8], at: usize) -> usize {
    let continues = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    at + (at..at.saturating_add(3)).take_while(continues).count()
}

/// Decodes about this many bytes of a string that the scanner has accepted, from `at` on, and appends them. The parts
/// together are what [`Text::decode`] returns. Returns where the next part begins.
pub(crate) fn decode_part(raw: &[u8], at: usize, size: usize, out: &mut String) -> usize {
    let rest = raw.get(at..).unwrap_or_default();
    if at == 0 && memchr(b'\\', rest).is_none() {
        out.reserve_exact(raw.len());
    }
    let mut bytes = Vec::with_capacity(size.min(rest.len()));
    let decoded = unescape_part(rest, size.max(1), &mut bytes);
    out.push_str(&String::from_utf8_lossy(&bytes));
    at + decoded
}

/// Reads the digits after `\u`, and the second half of a surrogate pair if there is one.
fn unicode_escape(rest: &mut &[u8]) -> char {
    let Some(first) = hex4(rest) else {
        return char::REPLACEMENT_CHARACTER;
    };
    if (0xd800..0xdc00).contains(&first) {
        let mut ahead = *rest;
        if ahead.starts_with(b"\\u") {
            ahead = ahead.get(2..).unwrap_or_default();
            if let Some(second @ 0xdc00..0xe000) = hex4(&mut ahead) {
                *rest = ahead;
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
        }
    }
    char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn hex4(rest: &mut &[u8]) -> Option<u32> {
    let (digits, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Appends `text` as a JSON string with quotes.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    write_escaped(out, text);
    out.push('"');
}

/// Appends what stands between the quotes of a JSON string. One that is written in parts is the same.
pub fn write_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some((plain, special, after)) = split_at_special(rest) {
        out.push_str(plain);
        match special {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => out.push_str(&format!("\\u{control:04x}")),
        }
        rest = after;
    }
    out.push_str(rest);
}

/// The text before the first character that needs an escape (all of these are ASCII), that character, and the text
/// after it.
fn split_at_special(text: &str) -> Option<(&str, u8, &str)> {
    let at = super::plain::plain_prefix(text.as_bytes());
    Some((text.get(..at)?, *text.as_bytes().get(at)?, text.get(at + 1..)?))
}

/// Appends a number, three times as fast as formatting.
pub fn write_number(out: &mut String, number: u64) {
    let mut digits = [0; 20]; // enough for u64::MAX
    let mut rest = number;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    let digits = digits.get(20 - used..).unwrap_or_default();
    out.push_str(std::str::from_utf8(digits).unwrap_or_default());
}
