//! Values some of whose characters are written as HTML's references, `mario&#64;example.com`, or percent-encoded as in a
//! URL, `mailto:mario%40example.com`. Pages hide addresses so from programs that collect them, and editors write spaces in
//! numbers so.

use std::ops::Range;

use memchr::{memchr, memchr2};

use crate::uri::hex_byte;

/// The references by name that may stand in a value.
const NAMES: [(&str, char); 14] = [
    ("apos", '\''),
    ("colon", ':'),
    ("commat", '@'),
    ("dash", '-'),
    ("hyphen", '-'),
    ("lowbar", '_'),
    ("lpar", '('),
    ("nbsp", ' '),
    ("num", '#'),
    ("percnt", '%'),
    ("period", '.'),
    ("plus", '+'),
    ("rpar", ')'),
    ("sol", '/'),
];
/// The longest that is looked for, with `&` and `;`.
const MAX_LENGTH: usize = "&#0000064;".len();

/// A text with its references decoded, and where they stand.
pub(super) struct Decoded {
    pub(super) text: String,
    /// For each reference, where its one byte stands in the text, and where it is written.
    references: Vec<(usize, Range<usize>)>,
}

impl Decoded {
    /// `None` if there are none.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut decoded = Decoded { text: String::new(), references: Vec::new() };
        let (mut copied, mut at) = (0, 0);
        while let Some(distance) = text.as_bytes().get(at..).and_then(|rest| memchr2(b'&', b'%', rest)) {
            at += distance;
            let Some((character, length)) = reference(text.as_bytes().get(at..).unwrap_or_default()) else {
                at += 1;
                continue;
            };
            decoded.text.push_str(text.get(copied..at).unwrap_or_default());
            decoded.references.push((decoded.text.len(), at..at + length));
            decoded.text.push(character);
            at += length;
            copied = at;
        }
        if decoded.references.is_empty() {
            return None;
        }
        decoded.text.push_str(text.get(copied..).unwrap_or_default());
        Some(decoded)
    }

    /// Where a part of the decoded text is written; `None` if there is no reference in it.
    pub(super) fn source(&self, span: &Range<usize>) -> Option<Range<usize>> {
        let first = self.references.partition_point(|(at, _)| *at < span.start);
        let end = self.references.partition_point(|(at, _)| *at < span.end);
        let written = |at: usize, before: usize| match before.checked_sub(1).and_then(|last| self.references.get(last))
        {
            Some((decoded, source)) => source.end + (at - decoded - 1),
            None => at,
        };
        (first < end).then(|| written(span.start, first)..written(span.end, end))
    }
}

/// The character that a reference at the beginning stands for, and its length. Only of ASCII: no other stands in a value.
fn reference(text: &[u8]) -> Option<(char, usize)> {
    match text.first() {
        Some(b'%') => percent(text),
        Some(_) | None => spelled(text),
    }
}

/// `%40`, or `%2540` in a URL within a URL.
fn percent(text: &[u8]) -> Option<(char, usize)> {
    let character = |digits: Option<&[u8]>| {
        let character = char::from(hex_byte(digits?)?);
        (character == ' ' || character.is_ascii_graphic()).then_some(character)
    };
    match (character(text.get(1..3))?, character(text.get(3..5))) {
        ('%', Some(inner)) => Some((inner, "%2540".len())),
        (outer, _) => Some((outer, "%40".len())),
    }
}

/// One of HTML's references.
fn spelled(text: &[u8]) -> Option<(char, usize)> {
    let end = memchr(b';', text.get(..MAX_LENGTH).unwrap_or(text))?;
    let name = std::str::from_utf8(text.get(1..end)?).ok()?;
    let character = match name.strip_prefix('#') {
        Some(number) => {
            let hex = number.strip_prefix(['x', 'X']).map(|digits| u32::from_str_radix(digits, 16));
            let code = hex.unwrap_or_else(|| number.parse()).ok().filter(|_| !number.contains('+'))?;
            match char::from_u32(code)? {
                '\u{a0}' => ' ',
                graphic if graphic == ' ' || graphic.is_ascii_graphic() => graphic,
                _ => return None,
            }
        }
        None => NAMES.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((character, end + 1))
}
