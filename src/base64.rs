//! Base64 (RFC 4648), strictly: each sequence of bytes has exactly one text, except that the padding of the standard
//! alphabet may be left out.
//!
//! A reader that ignores line breaks, spare bits or a token's padding would accept several texts of one token. Then a
//! cache or revocation by text would miss the other texts.

/// The digits that differ between the alphabets.
const URL: [u8; 2] = [b'-', b'_'];
const STANDARD: [u8; 2] = [b'+', b'/'];

/// Writes the alphabet for URLs, without padding (section 5).
///
/// ```
/// use sluice::base64::{decode_url, encode_url};
///
/// assert_eq!(encode_url(b"\xfb\xff"), "-_8");
/// assert_eq!(decode_url("-_8").as_deref(), Some(&b"\xfb\xff"[..]));
/// assert_eq!(decode_url("-_9"), None, "a spare bit");
/// assert_eq!(decode_url("-_8="), None, "padding");
/// ```
pub fn encode_url(bytes: &[u8]) -> String {
    encode(bytes, URL)
}

/// Reads the alphabet for URLs, without padding. `None` for any text that [`encode_url`] would not write.
pub fn decode_url(text: &str) -> Option<Vec<u8>> {
    decode(text.as_bytes(), URL)
}

/// Writes the standard alphabet, with padding (section 4).
///
/// ```
/// assert_eq!(sluice::base64::encode_standard(b"salt"), "c2FsdA==");
/// ```
pub fn encode_standard(bytes: &[u8]) -> String {
    let mut text = encode(bytes, STANDARD);
    while text.len() % 4 != 0 {
        text.push('=');
    }
    text
}

/// Reads the standard alphabet, with padding as in HTTP Basic, or without. `None` for anything else.
///
/// ```
/// use sluice::base64::decode_standard;
///
/// assert_eq!(decode_standard("c2FsdA==").as_deref(), Some(&b"salt"[..]));
/// assert_eq!(decode_standard("c2FsdA").as_deref(), Some(&b"salt"[..]));
/// assert_eq!(decode_standard("c2FsdB=="), None, "a spare bit");
/// assert_eq!(decode_standard("c2FsdA="), None, "half of the padding");
/// ```
pub fn decode_standard(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let is_padded = digits.len() < text.len();
    if is_padded && text.len() % 4 != 0 {
        return None;
    }
    decode(digits.as_bytes(), STANDARD)
}

/// Writes digits without padding; `last` has the two digits that differ between the alphabets.
fn encode(bytes: &[u8], last: [u8; 2]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let [first, second, third] = std::array::from_fn(|place| chunk.get(place).copied().unwrap_or(0));
        let group = u32::from_be_bytes([0, first, second, third]);
        for place in 0..=chunk.len() {
            text.push(digit(group >> (18 - 6 * place) & 63, last));
        }
    }
    text
}

fn digit(value: u32, [plus, slash]: [u8; 2]) -> char {
    let value = value as u8;
    char::from(match value {
        0..26 => b'A' + value,
        26..52 => b'a' + (value - 26),
        52..62 => b'0' + (value - 52),
        62 => plus,
        63.. => slash,
    })
}

/// Reads digits without padding; `last` has the two digits that differ between the alphabets.
fn decode(digits: &[u8], last: [u8; 2]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let mut group = 0_u32;
        for digit in chunk {
            group = group << 6 | value(*digit, last)?;
        }
        // one digit alone is less than a byte
        let (length, spare) = match chunk.len() {
            4 => (3, 0),
            3 => (2, 2),
            2 => (1, 4),
            _ => return None,
        };
        if group.trailing_zeros() < spare {
            return None;
        }
        bytes.extend((group >> spare).to_be_bytes().into_iter().skip(4 - length));
    }
    Some(bytes)
}

fn value(digit: u8, [plus, slash]: [u8; 2]) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        _ if digit == plus => 62,
        _ if digit == slash => 63,
        _ => return None,
    };
    Some(value.into())
}
