//! Personal data: found, merged, masked, hidden and restored.

mod custom;
mod found;
mod merge;
mod numbers;
mod precision;
mod speed;
mod vault;

use sluice::guard::pii::{Entity, Patterns};
use sluice::guard::Finding;

/// All built-in patterns.
fn all() -> Patterns {
    Patterns::new(Entity::ALL, &[]).unwrap()
}

fn finding(entity: &str, span: std::ops::Range<usize>, score: f32) -> Finding {
    Finding { entity: entity.into(), span, score, replacement: None }
}
