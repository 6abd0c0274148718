//! Tells workers when their cached copies of shared data are out of date. The version is a counter of all changes, which
//! is cheaper to read than the data.

use std::cell::Cell;

use sluice::wire_names::stats;

use crate::host;

thread_local! {
    static COUNTER: u32 = host::define_counter(stats::STATE_CHANGES).unwrap_or(0);
    static LATEST: Cell<u64> = const { Cell::new(0) };
}

/// Reads the version: for each new request, and on each tick.
pub fn read() {
    LATEST.set(host::metric(counter()));
}

/// The version at the last read. A worker reads the data again if this is not the version that it last read.
pub fn latest() -> u64 {
    LATEST.get()
}

/// Counts a change.
pub fn advance() {
    host::increment(counter(), 1);
    read();
}

fn counter() -> u32 {
    COUNTER.with(|counter| *counter)
}
