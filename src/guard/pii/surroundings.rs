//! The text around a possible finding, and whether it is part of the same word or number.

/// Whether a character belongs to the adjacent word. Letters of scripts without spaces do not: an address between
/// Chinese characters stands alone.
pub(super) fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || is_foreign_letter(character)
}

/// Whether it is a letter beyond ASCII, of a script with spaces between words: Latin, Greek, Cyrillic, Armenian.
pub(super) fn is_foreign_letter(character: char) -> bool {
    ('\u{c0}'..='\u{58f}').contains(&character) && character.is_alphabetic()
}

/// The byte at `at`; NUL beyond the text, which belongs to nothing.
pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// The byte before `at`; before the text NUL.
pub(super) fn byte_before(bytes: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(0, |before| byte(bytes, before))
}

/// Whether a word continues to the left of `at`.
pub(super) fn word_before(text: &str, at: usize) -> bool {
    match byte_before(text.as_bytes(), at) {
        ascii if ascii.is_ascii() => {
            (ascii.is_ascii_alphanumeric() || ascii == b'_') && !is_escape(text.as_bytes(), at)
        }
        _ => text.get(..at).and_then(|before| before.chars().next_back()).is_some_and(is_word),
    }
}

/// Whether an escape ends before `at`: in quoted code, `\n4111` is a line end and a number.
pub(super) fn is_escape(bytes: &[u8], at: usize) -> bool {
    matches!(byte_before(bytes, at), b'n' | b'r' | b't') && at > 1 && byte_before(bytes, at - 1) == b'\\'
}

/// Whether a word continues to the right of `at`.
pub(super) fn word_after(text: &str, at: usize) -> bool {
    match byte(text.as_bytes(), at) {
        ascii if ascii.is_ascii() => ascii.is_ascii_alphanumeric() || ascii == b'_',
        _ => text.get(at..).and_then(|after| after.chars().next()).is_some_and(is_word),
    }
}

/// Whether one of `marks` and a digit come before `at`: then this is the rest of a longer number.
pub(super) fn joined_before(bytes: &[u8], at: usize, marks: &[u8]) -> bool {
    marks.contains(&byte_before(bytes, at)) && byte_before(bytes, at.saturating_sub(1)).is_ascii_digit() && at > 1
}

/// Whether one of `marks` and a digit come at `at`: then this is the beginning of a longer number.
pub(super) fn joined_after(bytes: &[u8], at: usize, marks: &[u8]) -> bool {
    marks.contains(&byte(bytes, at)) && byte(bytes, at.saturating_add(1)).is_ascii_digit()
}
