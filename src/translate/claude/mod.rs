//! The features of Anthropic's models at any provider.

mod model;
mod thinking;

pub(super) use model::Version;
pub(super) use thinking::{RequestedThinking, Thinking};
