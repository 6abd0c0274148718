//! The exchanges under way in this VM.
//!
//! An exchange is found by an id in filter state. The id starts with a random epoch of this VM: after a
//! crash the new VM counts from the start again, and an old request's retry must not find a stranger's
//! exchange.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hashbrown::HashMap;
use sluice::contract::EXCHANGE_ID;
use sluice::exchange::Exchange;
use sluice::timing::Timing;

use crate::clusters::AllClusters;
use crate::host;
use crate::limits;
use crate::metrics;
use crate::waiting;

/// An exchange that several filters share.
pub type Shared = Rc<RefCell<Exchange>>;

/// Names an exchange.
pub type Id = u64;

thread_local! {
    static EXCHANGES: RefCell<HashMap<Id, Shared>> = RefCell::new(HashMap::new());
    static AT_HAND: RefCell<AtHand> = const { RefCell::new(AtHand::Unknown) };
    static NEXT: Cell<Id> = Cell::new(epoch());
}

/// What is known of the current request's exchange without asking Envoy.
enum AtHand {
    /// Nothing.
    Unknown,
    /// This callback is one of a chain's, which keeps the exchange once one is opened.
    Chain(Option<Shared>),
}

/// A random start in the upper half, so that sequences of two VMs do not meet.
fn epoch() -> Id {
    host::seed() << 32
}

/// Ends an exchange when the filter that opened it ends.
pub struct Opened {
    id: Id,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let ended = EXCHANGES.with_borrow_mut(|exchanges| exchanges.remove(&self.id));
        if let Some(Ok(mut exchange)) = ended.as_ref().map(|exchange| exchange.try_borrow_mut()) {
            limits::settle(&mut exchange);
            exchange.close(&AllClusters);
        }
        if is_idle() {
            metrics::flush();
        }
        waiting::poll_queue(); // a slot may have become free
    }
}

/// Whether no exchange is under way.
pub fn is_idle() -> bool {
    EXCHANGES.with_borrow(|exchanges| exchanges.is_empty())
}

/// Opens an exchange for the current request. `None` if Envoy would not keep its id.
pub fn open(mut exchange: Exchange) -> Option<(Opened, Shared)> {
    exchange.timing = Timing::arrived(host::now());
    let id = NEXT.with(|next| next.replace(next.get().wrapping_add(1)));
    if !host::set_filter_state(EXCHANGE_ID, &id.to_le_bytes()) {
        return None;
    }
    let shared = Rc::new(RefCell::new(exchange));
    EXCHANGES.with_borrow_mut(|exchanges| exchanges.insert(id, shared.clone()));
    AT_HAND.with_borrow_mut(|at_hand| {
        if let AtHand::Chain(exchange) = at_hand {
            *exchange = Some(shared.clone());
        }
    });
    Some((Opened { id }, shared))
}

/// The id of the current request's exchange. `None` if no filter has opened one.
pub fn current_id() -> Option<Id> {
    Some(Id::from_le_bytes(*host::property(EXCHANGE_ID)?.first_chunk()?))
}

/// An exchange by its id. `None` if it has ended.
pub fn find(id: Id) -> Option<Shared> {
    EXCHANGES.with_borrow(|exchanges| exchanges.get(&id).cloned())
}

/// Runs `callback` with the exchange at hand that its chain keeps, and returns it, or the one that was
/// opened meanwhile.
pub fn within<T>(exchange: Option<Shared>, callback: impl FnOnce() -> T) -> (T, Option<Shared>) {
    AT_HAND.set(AtHand::Chain(exchange));
    let result = callback();
    match AT_HAND.replace(AtHand::Unknown) {
        AtHand::Chain(exchange) => (result, exchange),
        AtHand::Unknown => (result, None),
    }
}

/// The current request's exchange. `None` if no filter has opened one, or if it has ended.
pub fn current() -> Option<Shared> {
    let at_hand = AT_HAND.with_borrow(|at_hand| match at_hand {
        AtHand::Chain(exchange) => exchange.clone(),
        AtHand::Unknown => None,
    });
    if at_hand.is_some() {
        return at_hand;
    }
    find(current_id()?)
}
