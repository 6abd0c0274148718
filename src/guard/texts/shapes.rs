//! Strings that are not text, recognised by their characters, in raw JSON form.

/// The longest id or word.
const MAX_WORD: usize = 256;
/// How much of Base64 is checked: its decoder refuses invalid characters after that.
const LOOKED_AT: usize = 64;

/// An id, a word of an enumeration, a date, a version, a media type.
pub(super) fn is_word(raw: &[u8]) -> bool {
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.:/+=,;$#".contains(byte);
    raw.len() <= MAX_WORD && raw.iter().all(belongs)
}

/// Base64, with or without `data:` and a media type before it.
pub(super) fn is_data(raw: &[u8]) -> bool {
    let comma = raw.starts_with(b"data:").then(|| memchr::memchr(b',', raw.get(..MAX_WORD).unwrap_or(raw))).flatten();
    let data = comma.map_or(raw, |comma| raw.get(comma + 1..).unwrap_or_default());
    // some encoders write `/` as an escape, and end lines
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-+/=\\".contains(byte);
    data.iter().take(LOOKED_AT).all(belongs)
}

/// An address that a provider fetches, or the text in it.
pub(super) fn is_link(raw: &[u8]) -> bool {
    let scheme = memchr::memchr(b':', raw).and_then(|colon| raw.get(..colon)).unwrap_or_default();
    let is_scheme =
        !scheme.is_empty() && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    match scheme.eq_ignore_ascii_case(b"data") {
        true => is_data(raw),
        false => {
            is_scheme && !raw.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, b'<' | b'"'))
                || is_data(raw)
        }
    }
}

/// The longest field name without personal data, and its maximum number of digits.
const MAX_PLAIN_NAME: usize = 32;
const MAX_PLAIN_DIGITS: usize = 3;

/// Whether a field's or a function's name is an ordinary identifier, with few digits.
pub(super) fn is_plain_name(name: &[u8]) -> bool {
    if name.len() > MAX_PLAIN_NAME {
        return false;
    }
    let digits = name.iter().filter(|byte| byte.is_ascii_digit()).count();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$');
    digits <= MAX_PLAIN_DIGITS && name.iter().all(plain)
}

/// Whether a placeholder is allowed in a name.
pub(super) fn is_numbered(name: &[u8]) -> bool {
    name.windows(2).any(|pair| matches!(pair, [b'_', digit] if digit.is_ascii_digit()))
}
