//! Calls of Envoy's that come within others.
//!
//! A filter may have Envoy do something that ends streams at once: too much in a buffer does. Since whoever asked for that is
//! in the middle of its work, such ends wait until it has returned.

use std::cell::{Cell, RefCell};

thread_local! {
    /// How many calls of Envoy's are under way, one within the other.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static LATE: RefCell<Vec<Late>> = const { RefCell::new(Vec::new()) };
    static IS_LATE: Cell<bool> = const { Cell::new(false) };
}

/// The end of a stream that comes while something else is being called.
pub enum Late {
    /// The stream of this number is about to be logged.
    Log(u32),
    /// The stream of this number has ended.
    Delete(u32),
}

/// Whether the stream that is being told of its end had it within another call: then a filter, or Envoy's limits, have
/// ended it, and no upstream.
pub fn is_late() -> bool {
    IS_LATE.get()
}

/// Whether a stream has ended within the call under way. Nothing may be asked of Envoy for it any more.
pub fn is_ending(context: u32) -> bool {
    LATE.with_borrow(|late| {
        late.iter().any(|end| matches!(end, Late::Log(other) | Late::Delete(other) if *other == context))
    })
}

/// Runs a call of Envoy's, then, by `end`, the ends of streams that came within it.
pub fn run<T>(callback: impl FnOnce() -> T, end: fn(Late)) -> T {
    DEPTH.set(DEPTH.get() + 1);
    let result = callback();
    let depth = DEPTH.get() - 1;
    if depth == 0 {
        IS_LATE.set(true);
        // one by one: an end may cause others
        while let Some(late) = LATE.with_borrow_mut(|late| (!late.is_empty()).then(|| late.remove(0))) {
            end(late);
        }
        IS_LATE.set(false);
    }
    DEPTH.set(depth);
    result
}

/// Has a stream's end wait if need be. Whether it has to.
pub fn is_postponed(late: Late) -> bool {
    let postponed = DEPTH.get() > 0;
    if postponed {
        LATE.with_borrow_mut(|waiting| waiting.push(late));
    }
    postponed
}
