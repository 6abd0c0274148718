//! Chat models that answer like Llama Guard: `safe`, or `unsafe` and a line with the hazards
//! (<https://www.llama.com/docs/model-cards-and-prompt-formats/llama-guard-3/>).

use super::{Failure, Reading};
use crate::chat_model;

/// The hazards `S1` to `S14` of MLCommons' taxonomy, as Llama Guard numbers them.
const HAZARDS: [&str; 14] = [
    "violent_crimes",
    "non_violent_crimes",
    "sex_related_crimes",
    "child_sexual_exploitation",
    "defamation",
    "specialized_advice",
    "privacy",
    "intellectual_property",
    "indiscriminate_weapons",
    "hate",
    "suicide_and_self_harm",
    "sexual_content",
    "elections",
    "code_interpreter_abuse",
];

/// The request for a reading of these texts.
pub(super) fn body(model: &str, texts: &[&str]) -> String {
    let messages: Vec<(&str, &str)> = texts.iter().map(|text| ("user", *text)).collect();
    chat_model::body(model, &messages)
}

pub(super) fn read(body: &[u8]) -> Result<Reading, Failure> {
    let said = chat_model::said(body).ok_or(Failure::Shape)?;
    let mut lines = said.trim().lines().map(str::trim);
    match (lines.next(), lines.next(), lines.next()) {
        (Some("safe"), None, _) => Ok(Reading::Clean),
        // it is unsafe, whatever the stop reason
        (Some("unsafe"), None, _) => Ok(Reading::Flagged("unsafe".to_owned())),
        (Some("unsafe"), Some(codes), None) => {
            let hazards: Option<Vec<&str>> = codes.split(',').map(|code| hazard(code.trim())).collect();
            let first = hazards.and_then(|hazards| hazards.first().copied());
            first.map(|hazard| Reading::Flagged(hazard.to_owned())).ok_or(Failure::Shape)
        }
        _ => Err(Failure::Shape),
    }
}

/// `S1` is the first.
fn hazard(code: &str) -> Option<&'static str> {
    let digits = code.strip_prefix('S').filter(|digits| !digits.starts_with(['+', '0']))?;
    let number: usize = digits.parse().ok()?;
    HAZARDS.get(number.checked_sub(1)?).copied()
}
