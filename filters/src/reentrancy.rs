//! Calls from Envoy that arrive during another call.
//!
//! A filter's host call may make Envoy end streams at once, for example with too much data in a buffer. The filter is
//! then still in the middle of its work, so these ends wait until it has returned.

use std::cell::{Cell, RefCell};

thread_local! {
    /// The number of nested calls from Envoy.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static LATE: RefCell<Vec<Late>> = const { RefCell::new(Vec::new()) };
    static IS_LATE: Cell<bool> = const { Cell::new(false) };
}

/// The end of a stream that arrives during another call.
pub enum Late {
    /// The stream with this number is about to be logged.
    Log(u32),
    /// The stream with this number has ended.
    Delete(u32),
}

/// Whether the stream that is now ending ended during another call: then a filter, or Envoy's limits, have ended it,
/// and not its upstream.
pub fn is_late() -> bool {
    IS_LATE.get()
}

/// Whether a stream has ended during the current call. No host call may be made for it.
pub fn is_ending(context: u32) -> bool {
    LATE.with_borrow(|late| {
        late.iter().any(|end| matches!(end, Late::Log(other) | Late::Delete(other) if *other == context))
    })
}

/// Runs a call from Envoy, then, with `end`, the stream ends that arrived during it.
pub fn run<T>(callback: impl FnOnce() -> T, end: fn(Late)) -> T {
    DEPTH.set(DEPTH.get() + 1);
    let result = callback();
    let depth = DEPTH.get() - 1;
    if depth == 0 {
        IS_LATE.set(true);
        // one by one, because an end may cause others
        while let Some(late) = LATE.with_borrow_mut(|late| (!late.is_empty()).then(|| late.remove(0))) {
            end(late);
        }
        IS_LATE.set(false);
    }
    DEPTH.set(depth);
    result
}

/// Delays a stream's end if necessary. Returns whether it was delayed.
pub fn is_postponed(late: Late) -> bool {
    let postponed = DEPTH.get() > 0;
    if postponed {
        LATE.with_borrow_mut(|waiting| waiting.push(late));
    }
    postponed
}
