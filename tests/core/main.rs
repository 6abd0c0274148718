//! The core's tests: tables of cases, and properties over generated ones.
//!
//! The same tests run natively (`cargo test`) and as WebAssembly in Wasmtime
//! (`make test-core-wasm`). The generated cases are the same in every run; the fuzz targets in
//! `tests/fuzz/` look for new ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// tables have their own types, which are easiest to read in place
#![allow(clippy::type_complexity)]

mod base64;
mod cache;
mod cache_config;
mod clusters;
mod codec;
mod config;
mod connect_failure;
mod costs;
mod date;
mod document;
mod embeddings;
mod endpoint;
mod error;
mod eventstream;
mod exchange;
mod fleet;
mod forwarding;
mod gateway;
mod generate;
mod guard;
mod header_plan;
mod health;
mod in_flight;
mod json;
mod keys;
mod kinds;
mod known_models;
mod label;
mod limits;
mod memory;
mod memory_budget;
mod model_limits;
mod model_pauses;
mod multipart;
mod outcome;
mod parsed_request;
mod password;
mod paths;
mod phase;
mod presets;
mod prompts;
mod readers;
mod recent_requests;
mod record;
mod refusal;
mod response_gate;
mod retry_after;
mod rewrite;
mod route;
mod routing;
mod similar;
mod splice;
mod stored;
mod strategy;
mod stream_ends;
mod streams;
mod texts;
mod timing;
mod tools;
mod totals;
mod translate;
mod usage;
mod validation;
mod websocket;

/// A property's configuration with so many generated cases. As WebAssembly a quarter of them shows that the target behaves the
/// same; the native run has them all.
pub fn cases(natively: u32) -> proptest::test_runner::Config {
    let divisor = if cfg!(target_arch = "wasm32") { 4 } else { 1 };
    proptest::test_runner::Config::with_cases(natively / divisor)
}
