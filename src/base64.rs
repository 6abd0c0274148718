//! Base64 (RFC 4648), strictly: each sequence of bytes has exactly one text, except that the padding of the standard
//! alphabet may be left out.
//!
//! A reader that ignores line breaks, spare bits or a token's padding would accept several texts of one token. Then a
//! cache or revocation by text would miss the other texts.

use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use base64::Engine;

/// Writes the alphabet for URLs, without padding (section 5).
pub fn encode_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads the alphabet for URLs, without padding. `None` for any text that [`encode_url`] would not write.
///
/// ```
/// use sluice::base64::decode_url;
///
/// assert_eq!(decode_url("-_8").as_deref(), Some(&b"\xfb\xff"[..]));
/// assert_eq!(decode_url("-_9"), None, "a spare bit");
/// assert_eq!(decode_url("-_8="), None, "padding");
/// ```
pub fn decode_url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Writes the standard alphabet, with padding (section 4).
pub fn encode_standard(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
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
    let engine = if text.ends_with('=') { STANDARD } else { STANDARD_NO_PAD };
    engine.decode(text).ok()
}
