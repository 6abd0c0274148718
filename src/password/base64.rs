//! Base64 with the standard alphabet (RFC 4648, section 4), read strictly: one text for one value.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Reads base64, with its padding or without any. `None` for any other character, white space included, for padding
/// of the wrong length, for a length no bytes have, and for bits that are left over and not zero.
///
/// ```
/// use sluice::password::decode_standard;
///
/// assert_eq!(decode_standard("c2FsdA==").as_deref(), Some(&b"salt"[..]));
/// assert_eq!(decode_standard("c2FsdA").as_deref(), Some(&b"salt"[..]));
/// assert_eq!(decode_standard("c2FsdB=="), None, "not all of the last bits are zero");
/// ```
pub fn decode_standard(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if padding > 0 && (padding > 2 || text.len() % 4 != 0) || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0);
    for digit in digits.bytes() {
        bits = bits << 6 | value(digit)?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

/// Writes base64, with padding.
///
/// ```
/// assert_eq!(sluice::password::encode_standard(b"salt"), "c2FsdA==");
/// ```
pub fn encode_standard(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4_usize {
            let digit = ALPHABET.get((bits >> (18 - 6 * at) & 63) as usize).copied();
            text.push(char::from(digit.filter(|_| at <= group.len()).unwrap_or(b'=')));
        }
    }
    text
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}
