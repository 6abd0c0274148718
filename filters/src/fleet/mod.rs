//! The ledger beside this Envoy: asked at the start for usage and revoked keys, then for what other Envoys revoke.
//!
//! One worker at a time asks, on its ticks: [`Progress`](sluice::fleet::Progress) in shared data says which. The
//! questions are independent of requests, which only wait at the start.

mod calls;
mod sending;
mod spreading;
mod state;

use sluice::codec::Changed;

use crate::host;

use sending::Reply;
use state::{service, update, wake_all};

pub use spreading::{spread, spread_result};
pub use state::{is_ready, open, stage, wait};

/// Asks, and wakes requests. Called on each tick.
pub fn work() {
    let Some(service) = service() else {
        return;
    };
    let now = host::recent();
    if !is_ready() {
        let mut is_late = false;
        update(|progress| {
            is_late = progress.give_up(service.start_timeout, now);
            Changed::when(is_late)
        });
        if is_late {
            log::warn!(
                "sluice: ledger: the cluster {:?} has not told the usage within {:?}; requests go on, and the limits \
                 of days, months and money begin at zero",
                service.cluster,
                service.start_timeout
            );
        }
    }
    if is_ready() {
        wake_all();
    }
    spreading::end_overdue(now);
    calls::work(&service, now);
}

/// A callout was answered, or it failed: then it has no headers.
pub fn answered(token: u32, size: usize) {
    let read = || Reply::read(size);
    if !spreading::answered(token, read) {
        calls::answered(token, read);
    }
}

/// A request that may wait for the ledger has ended.
pub fn forget(context: u32) {
    spreading::forget(context);
    state::forget(context);
}
