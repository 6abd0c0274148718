//! Tells the ledger that a key was revoked or restored, while the administrator's request waits for the result. What
//! the ledger does not take now, it is told later, by a tick.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::codec::Changed;
use sluice::fleet::{LedgerService, RevocationChange, Unsent};
use sluice::wire_names::UNSENT_REVOCATIONS;

use super::sending::{send, settle, Reply, GRACE, TIMEOUT};
use crate::chain;
use crate::host::{self, shared_data};

thread_local! {
    /// The running calls.
    static TOLD: RefCell<HashMap<u32, Told>> = RefCell::default();
    /// The result for the request that is being woken.
    static RESULTS: RefCell<HashMap<u32, bool>> = RefCell::default();
}

struct Told {
    context: u32,
    change: RevocationChange,
    service: Rc<LedgerService>,
    until: Duration,
}

/// Tells the ledger a change. Returns whether the request must wait for the result; if not, the ledger does not know
/// the change.
pub fn spread(service: &Rc<LedgerService>, context: u32, change: RevocationChange) -> bool {
    let mut is_kept = false;
    shared_data::update(UNSENT_REVOCATIONS, |unsent: &mut Unsent| {
        is_kept = unsent.add(change.clone());
        Changed::when(is_kept)
    });
    if !is_kept {
        log::error!(
            "sluice: ledger: {} changes wait for the cluster {:?} already, so it will not be told that the key {:?} was \
             revoked or restored",
            Unsent::MAX,
            service.cluster,
            change.id
        );
    }
    let (method, path, body) = change.call();
    let Some(token) = send(service, method, &path, &body, TIMEOUT) else {
        return false;
    };
    let until = host::now() + TIMEOUT + GRACE;
    TOLD.with_borrow_mut(|told| told.insert(token, Told { context, change, service: service.clone(), until }));
    chain::wait_for_wake();
    true
}

/// Whether the ledger knows the change of the request that has just been woken. `None`: it was woken for something else.
pub fn spread_result(context: u32) -> Option<bool> {
    RESULTS.with_borrow_mut(|results| results.remove(&context))
}

/// The request has ended, and its call with it. A tick tells the ledger.
pub fn forget(context: u32) {
    TOLD.with_borrow_mut(|told| told.retain(|_, known| known.context != context));
}

/// A call was answered; whether it was one of these.
pub(super) fn answered(token: u32, read: impl FnOnce() -> Reply) -> bool {
    let Some(known) = TOLD.with_borrow_mut(|told| told.remove(&token)) else {
        return false;
    };
    let is_taken = settle(&known.service, &read(), &known.change) == Some(true);
    wake(known.context, is_taken);
    true
}

/// Ends waits whose answer will not arrive.
pub(super) fn end_overdue(now: Duration) {
    if TOLD.with_borrow(HashMap::is_empty) {
        return;
    }
    let overdue: Vec<_> = TOLD.with_borrow_mut(|told| told.extract_if(|_, known| known.until < now).collect());
    overdue.into_iter().for_each(|(_, known)| wake(known.context, false));
}

fn wake(context: u32, is_taken: bool) {
    RESULTS.with_borrow_mut(|results| results.insert(context, is_taken));
    chain::wake(context);
    RESULTS.with_borrow_mut(|results| results.remove(&context));
}
