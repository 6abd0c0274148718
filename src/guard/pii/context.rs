//! The words before a number that show its kind.

/// How far back to look, in bytes.
const REACH: usize = 24;

/// Words before a telephone number.
const PHONE: &[&str] = &[
    "phone",
    "phones",
    "telephone",
    "tel",
    "telefon",
    "telefono",
    "telefone",
    "call",
    "dial",
    "mobile",
    "mobil",
    "cell",
    "cellphone",
    "fax",
    "whatsapp",
    "sms",
    "handy",
    "handynummer",
    "telefonnummer",
];

/// Words before a version.
const VERSION: &[&str] = &["version", "versions", "ver", "release", "build", "firmware"];

/// Whether the words before `at` indicate a telephone number.
pub(super) fn is_phone(text: &str, at: usize) -> bool {
    announced(text, at, usize::MAX, PHONE)
}

/// Whether the word directly before `at` indicates a version.
pub(super) fn is_version(text: &str, at: usize) -> bool {
    announced(text, at, 1, VERSION)
}

/// Whether one of `words` is among the last `count` words of the line before `at`.
fn announced(text: &str, at: usize, count: usize, words: &[&str]) -> bool {
    let mut from = at.saturating_sub(REACH);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let before = text.get(from..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.split(|character: char| !character.is_alphanumeric())
        .rev()
        .filter(|word| !word.is_empty())
        .take(count)
        .any(|word| words.iter().any(|listed| listed.eq_ignore_ascii_case(word)))
}
