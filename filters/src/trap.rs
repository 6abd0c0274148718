//! Lets a test crash a worker's filters, or simulate a lack of memory, by a request header. Only built with the cargo
//! feature `trap`; releases must not contain it.

use std::cell::Cell;

use crate::clusters;
use crate::host::{self, Headers};

/// The request header that triggers it.
const TRAP_HEADER: &str = "x-sluice-trap";

thread_local! {
    /// Data of at least this length, in bytes, is not passed on.
    static WITHHELD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Whether Envoy may pass on this many bytes.
pub fn hands_over(size: usize) -> bool {
    size < WITHHELD.get()
}

/// Does what the request's header demands. `now` ends this VM. `below-zero:CLUSTER` subtracts an attempt that never
/// existed at a cluster. `no-memory:BYTES` leaves no memory in this VM for data of this length or more, until the next
/// demand.
pub fn on_demand() {
    let Some(demand) = host::header(Headers::Request, TRAP_HEADER) else {
        return;
    };
    if let Some(size) = demand.strip_prefix("no-memory:") {
        WITHHELD.set(size.parse().unwrap_or(usize::MAX));
    } else if let Some(cluster) = demand.strip_prefix("below-zero:") {
        clusters::count_below_zero(cluster);
    } else {
        end();
    }
}

#[cfg(target_family = "wasm")]
fn end() {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_family = "wasm"))]
fn end() {}
