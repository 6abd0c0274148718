//! The forms in which models, and software between a model and its client, write placeholders. A vault creates
//! `<EMAIL_ADDRESS_1>`.
//!
//! | form | by | accepted |
//! |---|---|---|
//! | `<EMAIL_ADDRESS_1>` | | yes |
//! | `\u003cEMAIL_ADDRESS_1\u003e`, in JSON of any depth | Go's, Gson's and PHP's encoders | yes, see [`nested`](crate::guard::nested) |
//! | the same, `\\u003c`, `\x3c` in prose | code that is quoted | yes, and the value is escaped as well |
//! | `&lt;`, `&#60;`, `&#x3c;` | HTML, XML | yes |
//! | `%3C`, `%253C` | URLs |  yes, and the value is percent-encoded as well, as often |
//! | `\<`, `EMAIL\_ADDRESS\_1` | Markdown | yes |
//! | `＜EMAIL_ADDRESS_1＞` | models that write Chinese, Japanese | yes |
//! | `<email_address_1>`, `<Email_Address_1>` | translations, headings | yes |
//! | `< EMAIL_ADDRESS_1 >`, `<EMAIL ADDRESS 1>`, `<EMAIL-ADDRESS-1>` | small models | yes, with both brackets |
//! | `<EMAIL_ADDRESS_1`, `<EMAIL_ADDRESS_1/>`, `&lt;EMAIL_ADDRESS_1>` | small models, XML | yes |
//! | `EMAIL_ADDRESS_1`, `EMAIL_ADDRESS_1>`, `[EMAIL_ADDRESS_1]` | models that take the brackets for markup | yes, in capitals, if the entity is a well-known one: names of an operator's patterns may be words of their own |
//! | `</EMAIL_ADDRESS_1>` | XML | no: there is nothing that ends |
//! | `<EMAIL_ADDRESS_01>`, `<EMAIL_ADDRESS>`, `<EMAILADDRESS1>` | | no: which one is meant is not known |
//!
//! If a conversation itself contains one of these forms, it stays: its number is not used ([`reservable`]).

use std::ops::Range;

use super::name::MAX_NAME;
use super::originals::{Originals, BARE};

/// The longest placeholder, in bytes, without its brackets.
const MAX_KEY: usize = MAX_NAME + "_12345".len();
/// The longest written form of a placeholder, in bytes: `&#x3c; NAME_12345 &#x3e;`, with Markdown's escape for each
/// underscore.
pub const MAX_PLACEHOLDER: usize = 2 * ("&#x3c;  ".len() + MAX_KEY);

/// The encoding of a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    /// As in a JSON string, this many times.
    Escaped(u8),
    /// As in a URL, this many times.
    Percent(u8),
}

/// In small letters; the longer of two with the same beginning comes first.
const OPEN: &[(&str, Form)] = &[
    ("<", Form::Plain),
    ("&lt;", Form::Plain),
    ("&#60;", Form::Plain),
    ("&#x3c;", Form::Plain),
    ("\\<", Form::Plain),
    ("\\u003c", Form::Escaped(1)),
    ("\\x3c", Form::Escaped(1)),
    ("\\\\u003c", Form::Escaped(2)),
    ("%3c", Form::Percent(1)),
    ("%253c", Form::Percent(2)),
    ("＜", Form::Plain),
];
const CLOSE: &[&str] =
    &[">", "/>", "&gt;", "&#62;", "&#x3e;", "\\>", "\\u003e", "\\x3e", "\\\\u003e", "%3e", "%253e", "＞"];

/// The maximum number of spaces inside a bracket.
const MAX_SPACES: usize = 2;

/// What stands where a placeholder may begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sight<'a> {
    /// One that is so long, and stands for this value.
    Placeholder {
        length: usize,
        value: &'a str,
        form: Form,
    },
    /// The beginning of one; the text ends inside it.
    Beginning,
    Nothing,
}

/// Whether a placeholder may begin with this byte.
pub(super) fn may_begin(byte: u8) -> bool {
    matches!(byte, b'<' | b'&' | b'\\' | b'%' | 0xef) || byte.is_ascii_uppercase()
}

/// What `text` begins with, behind the character `before`. `last`: nothing follows the text.
pub(super) fn sight<'a>(text: &str, before: Option<char>, last: bool, originals: &'a Originals) -> Sight<'a> {
    if text.starts_with(|first: char| first.is_ascii_uppercase()) {
        return match before.is_none_or(|before| !is_word(before) && before != '/') {
            true => bare(text, last, originals),
            false => Sight::Nothing,
        };
    }
    let mut may_begin = false;
    for (open, form) in OPEN {
        match starts(text, open) {
            Starts::No => {}
            Starts::Perhaps => may_begin = true,
            Starts::Yes => return named(text, open.len(), *form, last, originals),
        }
    }
    if may_begin && !last {
        Sight::Beginning
    } else {
        Sight::Nothing
    }
}

/// A name behind an opening bracket.
fn named<'a>(text: &str, open: usize, form: Form, last: bool, originals: &'a Originals) -> Sight<'a> {
    let at = open + spaces(text.get(open..).unwrap_or_default());
    let Read { value, end, loose, ended } = read(text, at, true, originals);
    if ended && !last {
        return Sight::Beginning;
    }
    let Some(value) = value else {
        return Sight::Nothing;
    };
    let found = |length| Sight::Placeholder { length, value, form };
    let rest = text.get(end..).unwrap_or_default();
    let blank = spaces(rest);
    match close(rest.get(blank..).unwrap_or_default(), last) {
        Closes::Yes(length) => found(end + blank + length),
        Closes::Perhaps => Sight::Beginning,
        Closes::No if loose || rest.starts_with(|next: char| is_word(next)) || rest.starts_with("\\_") => {
            Sight::Nothing
        }
        Closes::No => found(end),
    }
}

/// A name without an opening bracket.
fn bare<'a>(text: &str, last: bool, originals: &'a Originals) -> Sight<'a> {
    let Read { value, end, ended, .. } = read(text, 0, false, originals);
    if ended && !last {
        return Sight::Beginning;
    }
    let Some(value) = value else {
        return Sight::Nothing;
    };
    let rest = text.get(end..).unwrap_or_default();
    if rest.starts_with(is_word) || rest.starts_with("\\_") {
        return Sight::Nothing;
    }
    let found = |length| Sight::Placeholder { length, value, form: Form::Plain };
    match close(rest, last) {
        Closes::Yes(length) => found(end + length),
        Closes::Perhaps => Sight::Beginning,
        Closes::No => found(end),
    }
}

/// The longest name that stands at a place.
struct Read<'a> {
    /// What it stands for; `None` if there is none.
    value: Option<&'a str>,
    end: usize,
    /// Whether it has another character instead of an underscore.
    loose: bool,
    /// Whether the text ends inside it, or with it.
    ended: bool,
}

/// `lenient`: as it may be written between brackets.
fn read<'a>(text: &str, start: usize, lenient: bool, originals: &'a Originals) -> Read<'a> {
    let mut read = Read { value: None, end: start, loose: false, ended: false };
    let mut reading = originals.reading(!lenient);
    let (bytes, mut at, mut loose) = (text.as_bytes(), start, false);
    loop {
        let (byte, length) = match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) | (Some(b'\\'), None) => {
                read.ended = true;
                return read;
            }
            (Some(b'\\'), Some(b'_')) => (b'_', 2),
            (Some(b'_'), _) => (b'_', 1),
            (Some(b' ' | b'-'), _) if lenient => {
                loose = true;
                (b'_', 1)
            }
            (Some(letter), _) if letter.is_ascii_uppercase() || letter.is_ascii_digit() => (*letter, 1),
            (Some(letter), _) if letter.is_ascii_lowercase() && lenient => (letter.to_ascii_uppercase(), 1),
            (Some(_), _) => return read,
        };
        if !reading.push(byte) {
            return read;
        }
        at += length;
        if let Some(value) = reading.value() {
            read = Read { value: Some(value), end: at, loose, ended: false };
        }
    }
}

/// Whether the name of a placeholder without brackets may begin like this.
fn may_be_bare(name: &str) -> bool {
    BARE.iter().any(|entity| match name.strip_prefix(entity) {
        Some(number) => number.strip_prefix('_').is_some_and(is_digits) || number.is_empty(),
        None => entity.starts_with(name),
    })
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn spaces(text: &str) -> usize {
    text.bytes().take(MAX_SPACES).take_while(|byte| *byte == b' ').count()
}

enum Starts {
    Yes,
    /// The text ends too early to decide.
    Perhaps,
    No,
}

fn starts(text: &str, beginning: &str) -> Starts {
    let (text, beginning) = (text.as_bytes(), beginning.as_bytes());
    let alike = text.iter().zip(beginning).all(|(one, other)| one.to_ascii_lowercase() == *other);
    match (alike, text.len() >= beginning.len()) {
        (true, true) => Starts::Yes,
        (true, false) => Starts::Perhaps,
        (false, _) => Starts::No,
    }
}

enum Closes {
    Yes(usize),
    Perhaps,
    No,
}

fn close(text: &str, last: bool) -> Closes {
    if text.starts_with(|first: char| !matches!(first, '>' | '/' | '&' | '\\' | '%' | '＞')) {
        return Closes::No;
    }
    let mut perhaps = false;
    for close in CLOSE {
        match starts(text, close) {
            Starts::Yes => return Closes::Yes(close.len()),
            Starts::Perhaps => perhaps = true,
            Starts::No => {}
        }
    }
    if perhaps && !last {
        Closes::Perhaps
    } else {
        Closes::No
    }
}

/// Hands the names to `each` of all that could be taken for a placeholder, were there one of that name, and begins in
/// this part of a text.
pub(super) fn reservable(text: &str, part: Range<usize>, mut each: impl FnMut(&str)) {
    let bytes = text.as_bytes().get(..part.end).unwrap_or_default();
    let mut at = part.start;
    while let Some(distance) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| may_begin(*byte))) {
        at += distance;
        let rest = text.get(at..).unwrap_or_default(); // none of these bytes is inside a multi-byte character
        if rest.starts_with(|first: char| first.is_ascii_uppercase()) {
            if !goes_on(text, at) {
                numbered(rest, false, &mut each);
            }
        } else {
            let opens = |(open, _): &&(&str, Form)| matches!(starts(rest, open), Starts::Yes);
            if let Some((open, _)) = OPEN.iter().find(opens) {
                let inside = rest.get(open.len()..).unwrap_or_default();
                numbered(inside.get(spaces(inside)..).unwrap_or_default(), true, &mut each);
            }
        }
        at += 1;
    }
}

/// Whether a word continues at `at`.
fn goes_on(text: &str, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before)).copied();
    match before {
        Some(ascii) if ascii.is_ascii() => is_word(char::from(ascii)),
        Some(_) => text.get(..at).and_then(|before| before.chars().next_back()).is_some_and(is_word),
        None => false,
    }
}

/// A name and a number at the beginning of a text.
fn numbered(text: &str, lenient: bool, each: &mut impl FnMut(&str)) {
    let mut name = String::new();
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        let character = match next {
            '\\' if rest.peek() == Some(&'_') => continue,
            '_' => '_',
            ' ' | '-' if lenient => '_',
            letter if letter.is_ascii_uppercase() || letter.is_ascii_digit() => letter,
            letter if letter.is_ascii_lowercase() && lenient => letter.to_ascii_uppercase(),
            _ => return,
        };
        name.push(character);
        if name.len() > MAX_KEY || !lenient && !may_be_bare(&name) {
            return;
        }
        let goes_on = rest.peek().is_some_and(char::is_ascii_digit);
        if character.is_ascii_digit() && !goes_on {
            each(&name);
        }
    }
}
