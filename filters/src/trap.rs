//! Traps on demand, to show that a crash of one worker's filters harms nobody for long. A release has none of it: it is
//! behind the cargo feature `trap`.

use crate::clusters;
use crate::host::{self, Headers};

/// The request header that demands it.
const TRAP_HEADER: &str = "x-sluice-trap";

/// Does what the request that has come demands: `now` is the end of this VM; `below-zero:CLUSTER` counts an attempt at a
/// cluster down that never was.
pub fn on_demand() {
    let Some(demand) = host::header(Headers::Request, TRAP_HEADER) else {
        return;
    };
    if let Some(cluster) = demand.strip_prefix("below-zero:") {
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
