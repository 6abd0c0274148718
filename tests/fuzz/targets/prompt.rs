//! A template and its variables, separated by a NUL.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::prompts::{Template, Variables, MAX_RENDERED};

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let source = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let variables: Variables = serde_json::from_slice(parts.next().unwrap_or_default()).unwrap_or_default();
    match Template::parse(&source) {
        Ok(template) => {
            if let Ok(text) = template.render(&variables) {
                assert!(text.len() <= MAX_RENDERED);
            }
        }
        Err(error) => assert!(error.line >= 1 && error.line <= 1 + source.matches('\n').count()),
    }
});
