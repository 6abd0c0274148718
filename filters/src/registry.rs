//! The running exchanges in this VM.
//!
//! An exchange has an id, and filter state tells which stream it belongs to. The id starts with a random epoch of this
//! VM: after a crash the new VM starts to count again, and an old request's retry must not find another request's
//! exchange.
//!
//! Reading a property is expensive; testing whether one exists is cheap. So the name of an empty property, the mark,
//! contains the id. The id to test is nearly always known: after the last filter has passed a request on, Envoy begins
//! its first attempt before it calls anything else in this VM. If Envoy does call something else, it is told the id
//! first. If nobody has told it, all marks are tested.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use sluice::exchange::Exchange;
use sluice::wire_names::{EXCHANGE_ID, MARK};

use crate::host;
use crate::types::ByNumber;

/// An exchange that several filters share.
pub type SharedExchange = Rc<RefCell<Exchange>>;

/// The id of an exchange.
pub type Id = u64;

thread_local! {
    static EXCHANGES: RefCell<ByNumber<Id, SharedExchange>> = RefCell::default();
    static AT_HAND: RefCell<AtHand> = const { RefCell::new(AtHand::Unknown) };
    static NEXT: Cell<Id> = Cell::new(epoch());
    /// Whether the filters of one request are several entries, so that all but the first must read the exchange from
    /// Envoy.
    static SPLIT: Cell<bool> = const { Cell::new(false) };
    /// Whether a filter needs the answers' usage.
    static METERS: Cell<bool> = const { Cell::new(false) };
    static EXPECTED: Cell<Option<Expected>> = const { Cell::new(None) };
}

/// A request that was just passed on: its first attempt is next, unless another filter holds it.
#[derive(Clone, Copy)]
pub struct Expected {
    /// The client's stream.
    context: u32,
    id: Id,
}

/// The current request's exchange, as far as it is known without asking Envoy.
enum AtHand {
    /// Nothing.
    Unknown,
    /// This callback is one of a chain's, which keeps the exchange once one is opened.
    Chain(Option<SharedExchange>),
}

/// A random start in the upper half, so that the sequences of two VMs do not meet.
fn epoch() -> Id {
    host::seed() << 32
}

/// Whether no exchange is running.
pub fn is_idle() -> bool {
    EXCHANGES.with_borrow(|exchanges| exchanges.is_empty())
}

/// Opens an exchange for the current request; whoever opens it closes it. `None` if Envoy would not keep its id.
pub fn open(mut exchange: Exchange) -> Option<(Id, SharedExchange)> {
    let id = NEXT.with(|next| next.replace(next.get().wrapping_add(1)));
    let told = SPLIT.get();
    if !(if told { tell(id) } else { host::set_filter_state(Mark::of(id).name(), b"") }) {
        return None;
    }
    exchange.arrived(id, told, host::now());
    let shared = Rc::new(RefCell::new(exchange));
    EXCHANGES.with_borrow_mut(|exchanges| exchanges.insert(id, shared.clone()));
    AT_HAND.with_borrow_mut(|at_hand| {
        if let AtHand::Chain(exchange) = at_hand {
            *exchange = Some(shared.clone());
        }
    });
    Some((id, shared))
}

/// Forgets an exchange that has ended, and returns it.
pub fn close(id: Id) -> Option<SharedExchange> {
    EXCHANGES.with_borrow_mut(|exchanges| exchanges.remove(&id))
}

/// The filters of one request may be several entries in envoy.yaml.
pub fn split_filters() {
    SPLIT.set(true);
}

/// Notes that a filter needs the answers' usage.
pub fn want_usage() {
    METERS.set(true);
}

/// Whether one does.
pub fn has_meter() -> bool {
    METERS.get()
}

/// Stores the id of the current stream's exchange in Envoy.
fn tell(id: Id) -> bool {
    host::set_filter_state(EXCHANGE_ID, &id.to_le_bytes())
}

/// The mark of an exchange's stream: a name with the id, in letters.
struct Mark([u8; MARK.len() + 16]);

impl Mark {
    fn of(id: Id) -> Self {
        let mut name = [b'a'; MARK.len() + 16];
        let (prefix, letters) = name.split_at_mut(MARK.len());
        prefix.copy_from_slice(MARK.as_bytes());
        for (letter, place) in letters.iter_mut().rev().zip(0..) {
            *letter += (id >> (4 * place)) as u8 & 15;
        }
        Mark(name)
    }

    fn name(&self) -> &str {
        host::text(&self.0)
    }
}

/// Stores the id of the current stream's exchange in Envoy, so that a later attempt finds it.
pub fn publish_id(exchange: &mut Exchange) {
    if !exchange.is_id_published() && tell(exchange.id()) {
        exchange.id_published();
    }
}

/// The last filter has passed the current request on: its first attempt is expected next.
pub fn expect_attempt(context: u32) {
    let id = AT_HAND.with_borrow(|at_hand| match at_hand {
        AtHand::Chain(Some(exchange)) => {
            exchange.try_borrow().ok().filter(|open| !open.is_id_published()).map(|open| open.id())
        }
        AtHand::Chain(None) | AtHand::Unknown => None,
    });
    EXPECTED.set(id.map(|id| Expected { context, id }));
}

/// Notes that Envoy has called something other than the expected attempt, for the stream `context`.
pub fn expect_no_more(context: u32) {
    if let Some(expected) = EXPECTED.take() {
        expected.publish_id(context);
    }
}

impl Expected {
    /// Publishes its id, while the stream `context` is being called.
    #[cold]
    fn publish_id(self, context: u32) {
        if let Some(exchange) = find(self.id).filter(|_| host::act_on(self.context)) {
            exchange.try_borrow_mut().ok().as_deref_mut().map(publish_id);
        }
        host::act_on(context);
    }
}

/// The request whose attempt is expected now.
pub fn expected() -> Option<Expected> {
    EXPECTED.take()
}

/// The exchange of the attempt that begins, whose stream is `context`. `None` if there is none, or if it has ended.
pub fn of_attempt(expected: Option<Expected>, context: u32) -> Option<SharedExchange> {
    match expected {
        Some(expected) if is_marked(expected.id) => return find(expected.id),
        Some(expected) => expected.publish_id(context),
        None => {}
    }
    current_id().and_then(find).or_else(look_for_mark)
}

fn is_marked(id: Id) -> bool {
    host::has_property(Mark::of(id).name())
}

/// The exchange whose mark the current stream has.
#[cold]
fn look_for_mark() -> Option<SharedExchange> {
    let untold = |(id, exchange): (&Id, &SharedExchange)| {
        exchange.try_borrow().is_ok_and(|open| !open.is_id_published()).then_some(*id)
    };
    let ids: Vec<Id> = EXCHANGES.with_borrow(|exchanges| exchanges.iter().filter_map(untold).collect());
    let exchange = find(ids.into_iter().find(|id| is_marked(*id))?)?;
    exchange.try_borrow_mut().ok().as_deref_mut().map(publish_id);
    Some(exchange)
}

/// The id of the current request's exchange, if Envoy has it.
fn current_id() -> Option<Id> {
    Some(Id::from_le_bytes(*host::property(EXCHANGE_ID)?.first_chunk()?))
}

/// An exchange by its id. `None` if it has ended.
pub fn find(id: Id) -> Option<SharedExchange> {
    EXCHANGES.with_borrow(|exchanges| exchanges.get(&id).cloned())
}

/// Runs `callback` with the exchange at hand that its chain keeps, and returns it, or the one that was
/// opened meanwhile.
pub fn within<T>(exchange: Option<SharedExchange>, callback: impl FnOnce() -> T) -> (T, Option<SharedExchange>) {
    AT_HAND.set(AtHand::Chain(exchange));
    let result = callback();
    match AT_HAND.replace(AtHand::Unknown) {
        AtHand::Chain(exchange) => (result, exchange),
        AtHand::Unknown => (result, None),
    }
}

/// The current request's exchange, if a filter before has opened it, where filters may stand apart.
pub fn taken_in() -> Option<SharedExchange> {
    SPLIT.get().then(current).flatten()
}

/// The current request's exchange. `None` if no filter has opened one, or if it has ended.
pub fn current() -> Option<SharedExchange> {
    let at_hand = AT_HAND.with_borrow(|at_hand| match at_hand {
        AtHand::Chain(exchange) => exchange.clone(),
        AtHand::Unknown => None,
    });
    if at_hand.is_some() {
        return at_hand;
    }
    find(current_id()?)
}
