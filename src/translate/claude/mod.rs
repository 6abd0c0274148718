//! What Anthropic's models can do, whoever serves them.

mod model;
mod thinking;

pub(super) use model::Version;
pub(super) use thinking::{Thinking, Wish};
