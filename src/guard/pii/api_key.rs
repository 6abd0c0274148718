//! Services' secrets, found by the prefixes that the services gave them for this purpose.

use std::ops::Range;

use memchr::{memchr2_iter, memmem};

use super::surroundings::{byte, byte_before, is_escape};

/// The characters after a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alphabet {
    /// Capitals and digits.
    Capitals,
    /// Letters and digits.
    Alphanumeric,
    /// Letters, digits, `-` and `_`.
    Base64Url,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Alphabet::Capitals => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Alphabet::Alphanumeric => byte.is_ascii_alphanumeric(),
            Alphabet::Base64Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
        }
    }
}

/// The format of a kind of key: its prefix, the characters after it, their minimum and maximum number, and the minimum length of a
/// part without `-` and `_`, because words joined by these are not keys.
struct KeyFormat {
    prefix: &'static str,
    alphabet: Alphabet,
    lengths: (usize, usize),
    unbroken: usize,
}

const fn format(prefix: &'static str, alphabet: Alphabet, least: usize, most: usize, unbroken: usize) -> KeyFormat {
    KeyFormat { prefix, alphabet, lengths: (least, most), unbroken }
}

/// Keys whose prefix ends in `-` or `_`.
const JOINED: &[KeyFormat] = &[
    format("sk-", Alphabet::Base64Url, 20, 512, 16), // OpenAI; Anthropic's sk-ant-, OpenRouter's sk-or-, ...
    format("sk_live_", Alphabet::Alphanumeric, 16, 256, 16), // Stripe
    format("sk_test_", Alphabet::Alphanumeric, 16, 256, 16),
    format("rk_live_", Alphabet::Alphanumeric, 16, 256, 16),
    format("gsk_", Alphabet::Alphanumeric, 40, 256, 16), // Groq
    format("hf_", Alphabet::Alphanumeric, 30, 256, 16),  // Hugging Face
    format("ghp_", Alphabet::Alphanumeric, 36, 255, 36), // GitHub
    format("gho_", Alphabet::Alphanumeric, 36, 255, 36),
    format("ghu_", Alphabet::Alphanumeric, 36, 255, 36),
    format("ghs_", Alphabet::Alphanumeric, 36, 255, 36),
    format("ghr_", Alphabet::Alphanumeric, 36, 255, 36),
    format("github_pat_", Alphabet::Base64Url, 22, 255, 16),
    format("glpat-", Alphabet::Base64Url, 20, 255, 8), // GitLab
    format("xoxb-", Alphabet::Base64Url, 20, 255, 8),  // Slack
    format("xoxp-", Alphabet::Base64Url, 20, 255, 8),
    format("xoxa-", Alphabet::Base64Url, 20, 255, 8),
    format("xoxr-", Alphabet::Base64Url, 20, 255, 8),
    format("xoxs-", Alphabet::Base64Url, 20, 255, 8),
];

/// Keys whose prefix is searched directly.
const PLAIN: &[KeyFormat] = &[
    format("AKIA", Alphabet::Capitals, 16, 16, 16), // Amazon
    format("ASIA", Alphabet::Capitals, 16, 16, 16),
    format("AIza", Alphabet::Base64Url, 35, 35, 1), // Google
];

/// Calls `found` for each key. After a prefix, a key's characters are read once.
pub(super) fn scan(text: &str, mut found: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for mark in memchr2_iter(b'-', b'_', bytes) {
        if mark < done {
            continue;
        }
        let before = bytes.get(..=mark).unwrap_or_default();
        let Some(format) = JOINED.iter().find(|format| before.ends_with(format.prefix.as_bytes())) else {
            continue;
        };
        let start = mark + 1 - format.prefix.len();
        if !begins(bytes, start) {
            continue; // before the rest is read, because there may be another false start at every step
        }
        done = run(bytes, mark + 1, format.alphabet);
        if is_key(bytes, start, done, format) {
            found(start..done);
        }
    }
    for format in PLAIN {
        let mut done = 0;
        for start in memmem::find_iter(bytes, format.prefix) {
            let end = if start < done { start } else { run(bytes, start + format.prefix.len(), format.alphabet) };
            if is_key(bytes, start, end, format) {
                found(start..end);
            }
            done = done.max(end);
        }
    }
    web_tokens(bytes, found);
}

/// Whether `start..end` is a key.
fn is_key(bytes: &[u8], start: usize, end: usize, format: &KeyFormat) -> bool {
    let Some(secret) = bytes.get(start + format.prefix.len()..end) else {
        return false;
    };
    let (least, most) = format.lengths;
    let unbroken = secret.split(|byte| matches!(byte, b'-' | b'_')).map(<[u8]>::len).max().unwrap_or(0);
    // words are not that long
    let mixed = unbroken >= 36 || (secret.iter().any(u8::is_ascii_digit) && secret.iter().any(u8::is_ascii_alphabetic));
    (least..=most).contains(&secret.len())
        && unbroken >= format.unbroken
        && mixed
        && begins(bytes, start)
        && !byte(bytes, end).is_ascii_alphanumeric()
}

/// The longest one, in bytes; few servers accept longer headers.
pub(super) const MAX_WEB_TOKEN: usize = 16 << 10;

/// JSON web tokens: `eyJ...`, a dot, `eyJ...`, a dot, and the signature.
fn web_tokens(bytes: &[u8], mut found: impl FnMut(Range<usize>)) {
    let mut done = 0;
    for start in memmem::find_iter(bytes, "eyJ") {
        if start < done || !begins(bytes, start) {
            continue;
        }
        let header = run(bytes, start, Alphabet::Base64Url);
        done = header;
        let claims = bytes.get(header..).is_some_and(|rest| rest.starts_with(b".eyJ"));
        if !claims || header - start < 10 {
            continue;
        }
        let claims = run(bytes, header + 1, Alphabet::Base64Url);
        done = claims;
        let signature = run(bytes, claims + 1, Alphabet::Base64Url);
        if byte(bytes, claims) == b'.' && signature - claims > 10 && signature - start <= MAX_WEB_TOKEN {
            found(start..signature);
            done = signature;
        }
    }
}

/// The end of the characters that may belong to a key.
fn run(bytes: &[u8], start: usize, alphabet: Alphabet) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !alphabet.has(*byte)).unwrap_or(rest.len())
}

/// Whether the text before is not part of the same word.
fn begins(bytes: &[u8], start: usize) -> bool {
    let before = byte_before(bytes, start);
    !before.is_ascii_alphanumeric() && !matches!(before, b'_' | b'-') || is_escape(bytes, start)
}
