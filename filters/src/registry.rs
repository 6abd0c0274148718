//! The exchanges under way in this VM.
//!
//! An exchange is found by an id in filter state. The id starts with a random epoch of this VM: after a
//! crash the new VM counts from the start again, and an old request's retry must not find a stranger's
//! exchange.
//!
//! To keep the id in Envoy and to ask for it is a twentieth of what a request costs, so it is left out where it is known
//! what Envoy does next: it begins the first attempt of the request that the last filter has just let go, before it
//! calls anything else in this VM. Whatever else it calls, it is told the id first.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use hashbrown::HashSet;
use sluice::contract::EXCHANGE_ID;
use sluice::exchange::Exchange;
use sluice::timing::Timing;

use crate::abi::ByNumber;
use crate::clusters::AllClusters;
use crate::host;
use crate::limits;
use crate::metrics;
use crate::waiting;

/// An exchange that several filters share.
pub type Shared = Rc<RefCell<Exchange>>;

/// Names an exchange.
type Id = u64;

thread_local! {
    static EXCHANGES: RefCell<ByNumber<Id, Shared>> = RefCell::default();
    static AT_HAND: RefCell<AtHand> = const { RefCell::new(AtHand::Unknown) };
    static NEXT: Cell<Id> = Cell::new(epoch());
    /// Filters of one request stand apart, so that all but the first have to ask for the exchange.
    static APART: Cell<bool> = const { Cell::new(false) };
    static EXPECTED: Cell<Option<Expected>> = const { Cell::new(None) };
    /// The exchanges that Envoy knows the id of, and may begin an attempt of at any time.
    static SOUGHT: RefCell<HashSet<Id>> = RefCell::new(HashSet::new());
}

/// A request that has just been let go: its first attempt comes next.
#[derive(Clone, Copy)]
struct Expected {
    /// The client's stream.
    context: u32,
    id: Id,
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
        SOUGHT.with_borrow_mut(|sought| sought.remove(&self.id));
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
    if APART.get() && !tell(id) {
        return None;
    }
    exchange.id = id;
    let shared = Rc::new(RefCell::new(exchange));
    EXCHANGES.with_borrow_mut(|exchanges| exchanges.insert(id, shared.clone()));
    AT_HAND.with_borrow_mut(|at_hand| {
        if let AtHand::Chain(exchange) = at_hand {
            *exchange = Some(shared.clone());
        }
    });
    Some((Opened { id }, shared))
}

/// Says that the filters of one request may stand apart.
pub fn stand_apart() {
    APART.set(true);
}

/// Has Envoy keep the id of the current stream's exchange.
fn tell(id: Id) -> bool {
    host::set_filter_state(EXCHANGE_ID, &id.to_le_bytes())
}

/// Has Envoy keep the id of the current stream's exchange: an attempt may begin later. `false` if it would not.
pub fn announce(id: Id) -> bool {
    let told = tell(id);
    if told {
        SOUGHT.with_borrow_mut(|sought| sought.insert(id));
    }
    told
}

/// Says that the last filter has let the current request go: the next that Envoy does is to begin an attempt of it, unless
/// a filter of its own holds the request.
pub fn let_go(context: u32) {
    let id = AT_HAND.with_borrow(|at_hand| match at_hand {
        AtHand::Chain(Some(exchange)) => Some(exchange.borrow().id),
        AtHand::Chain(None) | AtHand::Unknown => None,
    });
    if let (Some(id), false) = (id, APART.get()) {
        EXPECTED.set(Some(Expected { context, id }));
    }
}

/// Says that Envoy has called something else, for the stream `context`, than the attempt that was expected.
pub fn expect_no_more(context: u32) {
    if let Some(expected) = EXPECTED.take() {
        announce_later(expected, context);
    }
}

#[cold]
fn announce_later(expected: Expected, context: u32) {
    if find(expected.id).is_some() && host::act_on(expected.context) {
        announce(expected.id);
    }
    host::act_on(context);
}

/// The exchange of the attempt that begins, if it is known. `context` is the attempt's stream.
pub fn expected(context: u32) -> Option<Shared> {
    let expected = EXPECTED.take()?;
    if SOUGHT.with_borrow(HashSet::is_empty) {
        return find(expected.id);
    }
    announce_later(expected, context);
    None
}

/// The exchange of the attempt that begins, by Envoy's word.
pub fn sought() -> Option<Shared> {
    let id = current_id()?;
    SOUGHT.with_borrow_mut(|sought| sought.remove(&id));
    find(id)
}

/// The id of the current request's exchange, as far as Envoy knows it.
fn current_id() -> Option<Id> {
    Some(Id::from_le_bytes(*host::property(EXCHANGE_ID)?.first_chunk()?))
}

/// An exchange by its id. `None` if it has ended.
fn find(id: Id) -> Option<Shared> {
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
