//! Generators for property tests.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Number, Value};

/// Strings with everything that must be escaped, and characters of every UTF-8 length.
pub fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        6 => prop::char::range('a', 'z'),
        2 => prop::sample::select(vec!['"', '\\', '/', '\n', '\r', '\t', '\0', '\u{1f}', '\u{7f}', ' ']),
        2 => prop::sample::select(vec!['é', '€', '\u{2028}', '\u{fffd}', '😀', '\u{10ffff}']),
        1 => any::<char>(),
    ];
    vec(character, 0..12).prop_map(String::from_iter)
}

/// The same, longer.
pub fn long_text() -> impl Strategy<Value = String> {
    vec(text(), 0..8).prop_map(|parts| parts.concat())
}

/// JSON values of a few levels.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // eighths, because serde_json changes the last digit of other fractions
        any::<i32>().prop_map(|eighths| Number::from_f64(f64::from(eighths) / 8.0).map_or(Value::Null, Value::Number)),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::Array),
            vec((text(), inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A valid JSON text, compact or with white space.
pub fn json_text() -> impl Strategy<Value = String> {
    (json(), any::<bool>()).prop_map(|(value, pretty)| {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        text.unwrap()
    })
}

/// Bytes that are the pieces of JSON and near-JSON.
pub fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let spaces = [" ", "\n", "\t", "\u{c}", "\u{1}", "\u{feff}", "é"];
    let tokens = r#"{ } [ ] , : " "a" "model" \ \u \ud83d \ude00 \n \x 0 - 1 12.5 e E+3 . true false null nul"#;
    let piece = prop::sample::select(tokens.split(' ').chain(spaces).collect::<Vec<_>>());
    vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Cuts `bytes` into chunks with the lengths in `lengths`; the last chunk takes the rest.
pub fn chunks<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut chunks = Vec::new();
    for length in lengths {
        let (chunk, tail) = rest.split_at(*length.min(&rest.len()));
        chunks.push(chunk);
        rest = tail;
    }
    chunks.push(rest);
    chunks
}

/// Strings from the characters of `alphabet`.
pub fn of_characters(
    alphabet: &'static str,
    length: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = String> {
    vec(prop::sample::select(alphabet.chars().collect::<Vec<_>>()), length).prop_map(String::from_iter)
}
