//! Whether requests may pass, and which ledger is asked.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use sluice::codec::Changed;
use sluice::fleet::{LedgerService, Progress, Readiness};
use sluice::guard::checks::Failures;
use sluice::wire_names::LEDGER_PROGRESS;

use crate::chain;
use crate::host::{self, shared_data};

thread_local! {
    /// The configured ledgers; the first of them is used.
    static SERVICES: RefCell<Vec<Weak<LedgerService>>> = const { RefCell::new(Vec::new()) };
    /// Whether requests may pass. Once they may, they always may.
    static READY: Cell<bool> = const { Cell::new(false) };
    /// The streams that wait until requests may pass.
    static WAITING: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    static FAILURES: RefCell<Failures> = RefCell::default();
}

/// Has the ledger be asked, as long as this lives.
pub fn open(service: &Rc<LedgerService>) {
    SERVICES.with_borrow_mut(|services| {
        services.retain(|known| known.strong_count() > 0);
        services.push(Rc::downgrade(service));
    });
}

pub(super) fn service() -> Option<Rc<LedgerService>> {
    SERVICES.with_borrow(|services| services.iter().find_map(Weak::upgrade))
}

/// Whether requests may pass: the ledger has told what it knows, or has not answered in time.
pub fn is_ready() -> bool {
    if !READY.get() {
        READY.set(progress().is_over());
    }
    READY.get()
}

/// Whether and when the limits have begun with the ledger's usage.
pub fn stage() -> (Readiness, Duration) {
    progress().stage()
}

pub(super) fn progress() -> Progress {
    shared_data::record(LEDGER_PROGRESS)
}

pub(super) fn update(change: impl FnMut(&mut Progress) -> Changed) -> Option<Progress> {
    shared_data::update(LEDGER_PROGRESS, change)
}

/// Has a request wait until requests may pass: a tick wakes it.
pub fn wait(context: u32) {
    let now = host::now();
    update(|progress| progress.begin(now));
    WAITING.with_borrow_mut(|waiting| waiting.push(context));
    chain::wait_for_wake();
}

/// A request that may have waited has ended.
pub fn forget(context: u32) {
    WAITING.with_borrow_mut(|waiting| waiting.retain(|known| *known != context));
}

/// Lets the waiting requests pass.
pub(super) fn wake_all() {
    let waiting = WAITING.take();
    waiting.into_iter().for_each(chain::wake);
}

/// Logs a failure, once a minute.
#[cold]
pub(super) fn complain(service: &LedgerService, kind: &'static str, text: &str) {
    let untold = FAILURES.with_borrow_mut(|failures| failures.note("", kind, host::recent()));
    if let Some(untold) = untold {
        let cluster = &service.cluster;
        log::warn!("sluice: ledger: the cluster {cluster:?}: {text}; and {untold} times since this was logged last");
    }
}
