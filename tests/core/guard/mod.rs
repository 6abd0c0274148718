//! The guard.

mod answers;
mod blocked;
mod cache;
mod classification;
mod config;
mod extraction;
mod failures;
mod guardrail;
mod masked_answers;
mod pii;
mod places;
mod requests;
mod rewriting;
mod runs;
mod signatures;
mod signed;
mod slices;
mod stream;
mod texts;

use sluice::guard::checks::Guard;

/// Reads the configuration; `KEY` is a key.
fn guard(text: &str) -> Guard {
    sluice::config::guard(text.as_bytes(), &|name| (name == "KEY").then(|| "sk-secret".to_owned())).expect(text)
}

/// The configuration of one check with these further fields.
fn one(fields: &str) -> Guard {
    guard(&format!(r#"{{"checks":[{{"name":"x","phase":["request"],{fields}}}]}}"#))
}
