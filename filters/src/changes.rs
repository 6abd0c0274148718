//! Tells workers when their cached copies of shared data are out of date: one counter counts all changes, which is
//! cheaper to read than the data.

use std::cell::Cell;

use sluice::wire_names::stats;

use crate::host;

thread_local! {
    static COUNTER: u32 = host::define_counter(stats::STATE_CHANGES).unwrap_or(0);
    static LATEST: Cell<u64> = const { Cell::new(0) };
}

/// Reads the number of changes: for each new request, and on each tick.
pub fn read() {
    LATEST.set(host::metric(counter()));
}

/// The number of changes at the last read. Each worker compares it with the number when it read the data.
/// data.
pub fn latest() -> u64 {
    LATEST.get()
}

/// Counts a change.
pub fn note() {
    host::increment(counter(), 1);
    read();
}

fn counter() -> u32 {
    COUNTER.with(|counter| *counter)
}
