//! What all workers remember of data they share, and when it is out of date: one counter counts every change,
//! which costs less to read than the data.

use std::cell::Cell;

use sluice::wire_names::stats;

use crate::host;

thread_local! {
    static COUNTER: u32 = host::define_counter(stats::STATE_CHANGES).unwrap_or(0);
    static LATEST: Cell<u64> = const { Cell::new(0) };
}

/// Reads how many changes there have been: for each request that is taken in, and each tick.
pub fn read() {
    LATEST.set(host::metric(counter()));
}

/// How many changes there had been when that was read last. Each worker compares it to what it was when it read the
/// data.
pub fn latest() -> u64 {
    LATEST.get()
}

/// Something has been changed.
pub fn note() {
    host::increment(counter(), 1);
    read();
}

fn counter() -> u32 {
    COUNTER.with(|counter| *counter)
}
