//! `sluice.wasm`: all filters of Sluice in one file; envoy.yaml selects them with `root_id`.
//!
//! The filters connect Envoy and the core: a callback becomes a call of the core, and its decision becomes hostcalls.

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

mod admin;
mod admission;
mod allocator;
mod answer_headers;
mod attempt;
mod auth;
mod budget;
mod cache;
mod chain;
mod chain_router;
mod clusters;
mod commands;
mod data_version;
mod exports;
#[cfg(test)]
mod fake;
mod filter;
mod finished;
mod fleet;
mod guard;
mod hand_over;
#[cfg(target_family = "wasm")]
mod heap;
mod host;
mod in_flight;
mod incoming;
mod kinds;
mod known_models;
mod limit_warnings;
mod limits;
#[cfg(target_family = "wasm")]
mod memory;
mod meters;
mod metrics;
mod misplaced;
mod page;
mod password_checks;
mod recent_requests;
mod reentrancy;
mod refused_body;
mod registry;
mod replaced_body;
mod reply;
mod request_head;
mod revoked;
mod root;
mod router;
mod settings;
mod shared_limits;
mod stored;
mod stream_ends;
mod texts;
mod totals;
mod traced_answer;
#[cfg(feature = "trap")]
mod trap;
mod types;
mod usage;
mod waiting;

use filter::Filter;
use root::Root;

/// The filter that envoy.yaml selects.
fn root() -> Root {
    let root_id = host::property("plugin_root_id").unwrap_or_default();
    let root_id = String::from_utf8_lossy(&root_id).into_owned();
    let filter = filter(&root_id);
    Root::new(root_id, filter)
}

fn filter(root_id: &str) -> Option<Box<dyn Filter>> {
    match root_id {
        "attempt" => Some(attempt::filter()),
        joined => chain::filter(joined, member),
    }
}

/// A filter that can be in a chain; `attempt` cannot.
fn member(name: &str) -> Option<Box<dyn Filter>> {
    match name {
        "auth" => Some(auth::filter()),
        "guard" => Some(guard::filter()),
        "router" => Some(router::filter()),
        "usage" => Some(usage::filter()),
        _ => None,
    }
}
