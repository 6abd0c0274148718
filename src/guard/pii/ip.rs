//! IP addresses.

use std::net::Ipv6Addr;
use std::ops::Range;

use memchr::memchr;

use super::context;
use super::surroundings::{byte, byte_before, joined_after, joined_before, word_after, word_before};

/// The longest IPv6 address: `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`.
const MAX_V6: usize = 45;
/// With fewer hex digits it is more likely a slice (`1::2`) than an address.
const LEAST_HEX: usize = 4;

/// The end of the IPv4 address that begins with the digit at `start`; `None` if there is none, or if it is a version
/// number.
pub(super) fn v4(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = start;
    for part in 0..4 {
        if part > 0 {
            if byte(bytes, at) != b'.' {
                return None;
            }
            at += 1;
        }
        at = octet(bytes, at)?;
    }
    // `.1.3.6.1` is an SNMP object id
    let object = byte_before(bytes, start) == b'.' && byte_before(bytes, start - 1) != b'.';
    let whole = !object && !word_after(text, at) && !joined_after(bytes, at, b".-");
    (whole && !word_before(text, start) && !joined_before(bytes, start, b".-+") && !is_version(text, start, at))
        .then_some(at)
}

/// The end of the number from 0 to 255 at `start`.
fn octet(bytes: &[u8], start: usize) -> Option<usize> {
    let digits = (start..start + 4).take_while(|at| byte(bytes, *at).is_ascii_digit()).count();
    let value = (start..start + digits).fold(0, |value, at| value * 10 + u32::from(byte(bytes, at) - b'0'));
    let leading_zero = digits > 1 && byte(bytes, start) == b'0';
    ((1..=3).contains(&digits) && value <= 255 && !leading_zero).then_some(start + digits)
}

/// `version 1.2.3.4`, and browsers' `Chrome/120.0.0.0`.
fn is_version(text: &str, start: usize, end: usize) -> bool {
    let product = byte_before(text.as_bytes(), start) == b'/' && word_before(text, start - 1);
    product && text.get(start..end).is_some_and(|address| address.ends_with(".0.0")) || context::is_version(text, start)
}

/// Calls `found` for each IPv6 address. Every character that may be part of one is read once.
pub(super) fn scan_v6(text: &str, mut found: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(colon) = bytes.get(from..).and_then(|rest| memchr(b':', rest)) {
        let colon = from + colon;
        let hex = (from..colon).rev().take(5).take_while(|at| byte(bytes, *at).is_ascii_hexdigit()).count();
        let start = colon - hex;
        let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        let rest = bytes.get(start..).unwrap_or_default();
        let end = start + rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        if let Some(length) = v6(text, start, end) {
            found(start..start + length);
        }
        from = end;
    }
}

/// The length of the address in `start..end`, without punctuation after it.
fn v6(text: &str, start: usize, end: usize) -> Option<usize> {
    let run = text.get(start..end).filter(|run| run.len() <= MAX_V6 + 1)?;
    let colons = run.bytes().filter(|byte| *byte == b':').count();
    if colons < 2 || word_before(text, start) || word_after(text, end) {
        return None;
    }
    let trimmed = run.strip_suffix([':', '.']).unwrap_or(run);
    let address = [run, trimmed].into_iter().find(|run| run.parse::<Ipv6Addr>().is_ok())?;
    let hex = address.bytes().filter(u8::is_ascii_hexdigit).count();
    let digits = address.bytes().any(|byte| byte.is_ascii_digit());
    let hardware = address.split(':').count() == 8 && address.split(':').all(|group| group.len() == 2);
    let likely = address == "::1" || hex >= LEAST_HEX && (digits || colons > 3);
    (likely && !hardware && !is_index(text, start)).then_some(address.len())
}

/// `list[1::2]`; but `http://[::1]/`.
fn is_index(text: &str, start: usize) -> bool {
    let bytes = text.as_bytes();
    byte_before(bytes, start) == b'['
        && (word_before(text, start - 1) || matches!(byte_before(bytes, start - 1), b']' | b')'))
}
