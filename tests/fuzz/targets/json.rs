//! The scanner accepts the same texts as serde_json (except for depth), and decodes strings alike.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use sluice::json::{JsonError, Scanner, Value};

fuzz_target!(|text: &[u8]| {
    let mut scanner = Scanner::new(text);
    let found = scanner.spanned().and_then(|found| scanner.end().map(|()| found));
    // `IgnoredAny` only checks the grammar, without a depth limit
    let is_json = serde_json::from_slice::<IgnoredAny>(text).is_ok();
    match found {
        Err(JsonError::TooDeep) => {}
        Err(_) => assert!(!is_json, "refused"),
        Ok((value, span)) => {
            assert!(is_json, "accepted");
            if let Ok(parsed) = serde_json::from_slice::<serde_json::Value>(text) {
                let inner: serde_json::Value = serde_json::from_slice(&text[span]).expect("the span is the value");
                assert_eq!(inner, parsed);
                if let (Value::String(string), Some(want)) = (value, parsed.as_str()) {
                    assert_eq!(string.decode(), want);
                }
            }
            assert_eq!(walk(&mut Scanner::new(text)), Ok(()), "walked");
        }
    }
});

fn walk(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    match scanner.peek() {
        Some(b'{') => scanner.object(|_, scanner| walk(scanner)).map(|_| ()),
        Some(b'[') => scanner.array(walk).map(|_| ()),
        _ => scanner.value().map(|_| ()),
    }
}
