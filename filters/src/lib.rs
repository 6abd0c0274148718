//! `sluice.wasm`: every filter of Sluice in one file; envoy.yaml picks them by `root_id`.
//!
//! The filters translate: a callback to a call of the core, its decision to hostcalls. What they decide is
//! in the core.

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

mod attempt;
mod auth;
mod guard;
mod host;
mod intake;
mod metrics;
mod registry;
mod reply;
mod root;
mod router;
mod usage;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

// the SDK's macro defines the function Envoy calls first
#[allow(missing_docs)]
mod entry {
    use super::{filter, LogLevel};

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(LogLevel::Info);
        proxy_wasm::set_root_context(|_| filter());
    }}
}

/// The filter that envoy.yaml asks for.
fn filter() -> Box<dyn RootContext> {
    let root_id = host::property("plugin_root_id").unwrap_or_default();
    match root_id.as_slice() {
        b"auth" => auth::root(),
        b"guard" => guard::root(),
        b"router" => router::root(),
        b"usage" => usage::root(),
        b"attempt" => attempt::root(),
        unknown => root::refuse(&String::from_utf8_lossy(unknown)),
    }
}
