//! The core of Sluice, the LLM gateway that runs inside Envoy: all decisions, without their execution.
//!
//! No clock, no randomness, no I/O and no host: bytes and time come in as arguments, decisions go out as
//! values. `filters/` connects it to Envoy.

#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unreachable,
    clippy::todo,
    clippy::unimplemented
)]

pub mod base64;
pub mod cache;
pub mod callout;
pub mod chat_model;
pub mod codec;
pub mod config;
pub mod connect_failure;
pub mod date;
pub mod embeddings;
pub mod endpoint;
pub mod error;
pub mod eventstream;
pub mod exchange;
pub mod fleet;
pub mod forwarding;
pub mod gateway;
pub mod guard;
pub mod hash;
pub mod header_plan;
pub mod health;
pub mod in_flight;
pub mod intake;
pub mod json;
pub mod keys;
pub mod kinds;
pub mod known_models;
pub mod label;
pub mod latency;
pub mod limits;
pub mod memory_budget;
pub mod multipart;
pub mod order;
pub mod outcome;
pub mod parsed_request;
pub mod password;
pub mod pattern;
pub mod presets;
pub mod prompts;
pub mod recent_requests;
pub mod record;
pub mod response_gate;
pub mod rewrite;
pub mod routing;
pub mod splice;
pub mod stored;
pub mod stream_ends;
pub mod texts;
pub mod timing;
pub mod tools;
pub mod totals;
pub mod translate;
pub mod uri;
pub mod usage;
pub mod user_text;
pub mod validation;
pub mod websocket;
pub mod wire_names;
