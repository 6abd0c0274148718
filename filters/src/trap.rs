//! Traps on demand, to show that a crash of one worker's filters harms nobody for long, nor a lack of memory. A release has
//! none of it: it is behind the cargo feature `trap`.

use std::cell::Cell;

use crate::clusters;
use crate::host::{self, Headers};

/// The request header that demands it.
const TRAP_HEADER: &str = "x-sluice-trap";

thread_local! {
    /// What is as long as this, in bytes, is not handed over.
    static WITHHELD: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Whether Envoy is to hand over so many bytes.
pub fn hands_over(size: usize) -> bool {
    size < WITHHELD.get()
}

/// Does what the request that has come demands: `now` is the end of this VM; `below-zero:CLUSTER` counts an attempt at a
/// cluster down that never was; `no-memory:BYTES` leaves no memory in this VM for what is as long as that, until the next
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
