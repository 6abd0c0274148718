//! What all workers remember of data they share, and when it is out of date: one counter counts every change,
//! which costs less to read than the data.

use std::cell::Cell;

use sluice::contract::stats;

use crate::host;

thread_local! {
    static COUNTER: u32 = host::define_counter(stats::STATE_CHANGES).unwrap_or(0);
    /// What was read in the callback under way, if it lets itself be remembered.
    static READ: Cell<Read> = const { Cell::new(Read::Always) };
}

#[derive(Clone, Copy)]
enum Read {
    /// Nobody says where a callback begins.
    Always,
    /// Not yet in this callback.
    NotYet,
    /// In this callback.
    Already(u64),
}

/// How many changes there have been. Each worker compares it to what it was when it read the data last.
pub fn count() -> u64 {
    if let Read::Already(count) = READ.get() {
        return count;
    }
    let count = host::metric(counter());
    if let Read::NotYet = READ.get() {
        READ.set(Read::Already(count));
    }
    count
}

/// Something has been changed.
pub fn note() {
    host::increment(counter(), 1);
    if let Read::Already(_) = READ.get() {
        READ.set(Read::NotYet);
    }
}

/// Runs one callback, in which the counter is read at most once.
pub fn within_callback<T>(callback: impl FnOnce() -> T) -> T {
    READ.set(Read::NotYet);
    let result = callback();
    READ.set(Read::Always);
    result
}

fn counter() -> u32 {
    COUNTER.with(|counter| *counter)
}
