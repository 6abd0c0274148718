//! The requests that ended last. Each worker keeps its own; while an administrator looks, it adds them twice a second to
//! the list in the shared data of all workers.
//!
//! A worker learns that somebody looks from the counter of changes, which it reads anyway. So nothing is asked of Envoy
//! while nobody looks.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use sluice::codec::{Changed, SharedRecord};
use sluice::recent_requests::{EndedRequest, Kept, RecentRequests, Watched};
use sluice::wire_names::{RECENT_REQUESTS, RECENT_REQUESTS_WATCHED};

use crate::data_version;
use crate::host::{self, shared_data};

/// How long a worker keeps its requests while an administrator looks.
const PAUSE: Duration = Duration::from_millis(500);

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
    /// Until when an administrator looks, and the version of the shared data that says so.
    static WATCHED: Cell<(Watched, Option<u64>)> = const { Cell::new((Watched(0), None)) };
    static FLUSHED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Keeps a request that has ended.
pub fn keep(ended: EndedRequest) {
    KEPT.with_borrow_mut(|kept| kept.add(ended));
}

/// Whether an administrator looks.
pub fn is_watched() -> bool {
    watched().is_on(host::recent())
}

fn watched() -> Watched {
    let (watched, known) = WATCHED.get();
    let version = data_version::latest();
    if known == Some(version) {
        return watched;
    }
    let watched = shared_data::record(RECENT_REQUESTS_WATCHED);
    WATCHED.set((watched, Some(version)));
    watched
}

/// Shares the kept requests, if somebody looks and it is time. Called on each tick.
pub fn flush_now_and_then() {
    let now = host::recent();
    if watched().is_on(now) && now >= FLUSHED.get() + PAUSE {
        flush(now);
    }
}

/// The list, for an administrator, who looks from now on. Other workers add theirs within half a second.
pub fn list() -> String {
    let now = host::now();
    if let Some(extended) = watched().extended(now) {
        shared_data::put(RECENT_REQUESTS_WATCHED, &extended.encode());
        data_version::advance();
    }
    flush(now);
    shared_data::record::<RecentRequests>(RECENT_REQUESTS).list()
}

fn flush(now: Duration) {
    FLUSHED.set(now);
    if KEPT.with_borrow(Kept::is_empty) {
        return;
    }
    let new = KEPT.with_borrow_mut(Kept::take);
    // what is lost with the last try is not worth keeping
    shared_data::update(RECENT_REQUESTS, |list: &mut RecentRequests| {
        list.merge(&new);
        Changed::Write
    });
}
