//! International bank account numbers.

use super::groups::{read_mark, Mark};
use super::surroundings::{byte, word_after, word_before};

/// The length of the numbers of each country (SWIFT's registry, and countries with the same format).
#[rustfmt::skip]
const COUNTRIES: &[(&[u8; 2], usize)] = &[
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22),
    (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18),
    (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27),
    (b"GT", 28), (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26),
    (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20),
    (b"LU", 20), (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20),
    (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24),
    (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24),
    (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25),
    (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20),
    (b"YE", 30),
];

/// Whether this text, without spaces, is an IBAN: with its country's length and the right check digits.
///
/// ```
/// use sluice::guard::pii::is_iban;
///
/// assert!(is_iban("DE89370400440532013000"));
/// assert!(!is_iban("DE89370400440532013001"), "the check digits");
/// ```
pub fn is_iban(code: &str) -> bool {
    find(code, 0) == Some(code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The end of the IBAN that begins with the letter at `start`, written without gaps or with single spaces or hyphens;
/// `None` if there is none.
pub(super) fn find(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let length = length(byte(bytes, start), byte(bytes, start + 1))?;
    if word_before(text, start) {
        return None;
    }
    let (mut at, mut rest, mut head) = (start, 0, 0);
    for index in 0..length {
        if index == 4 {
            (head, rest) = (rest, 0);
        }
        if index >= 4 {
            at += gap(bytes, at);
        }
        rest = take(rest, byte(bytes, at), index)?;
        at += 1;
    }
    // the first four characters are checked last; they are two letters and two digits, together six digits
    let checked = (rest * 1_000_000 + head) % 97 == 1;
    (checked && !word_after(text, at)).then_some(at)
}

/// The length of the space or hyphen at `at`.
fn gap(bytes: &[u8], at: usize) -> usize {
    match read_mark(bytes, at) {
        (length, Mark::Space | Mark::Dash) => length,
        (_, Mark::None | Mark::Dot | Mark::Slash) => 0,
    }
}

/// The remainder modulo 97 after one more character. `None` if the character is not allowed there.
fn take(remainder: u64, byte: u8, index: usize) -> Option<u64> {
    let value = (byte as char).to_digit(36).map(u64::from)?;
    let fits = match index {
        0 | 1 => value > 9,
        2 | 3 => value < 10,
        _ => true,
    };
    let next = remainder * if value > 9 { 100 } else { 10 } + value;
    fits.then_some(if index < 4 { next } else { next % 97 })
}

fn length(first: u8, second: u8) -> Option<usize> {
    let country = [first.to_ascii_uppercase(), second.to_ascii_uppercase()];
    COUNTRIES.iter().find(|(listed, _)| **listed == country).map(|(_, length)| *length)
}
