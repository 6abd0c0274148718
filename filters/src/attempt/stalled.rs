//! Answers that stall after their headers: after some time they are released to the client unchanged, and can no longer
//! be retried.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use sluice::exchange::Exchange;
use sluice::outcome::Outcome;

use crate::host::{self, Headers};
use crate::registry::SharedExchange;

thread_local! {
    static HELD: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
}

/// Whether a held answer has been released.
pub type Released = Rc<Cell<bool>>;

struct Waiting {
    context: u32,
    exchange: Weak<RefCell<Exchange>>,
    released: Weak<Cell<bool>>,
    status: u16,
    /// A JSON answer: it is judged when it is complete.
    whole: bool,
    at: Duration,
}

/// Has an answer be let go if it is still held after the configured time; `None` if there is none. `whole`: it is held until
/// all of it is there.
pub fn limit(context: u32, exchange: &SharedExchange, status: u16, whole: bool) -> Option<Released> {
    let hold = exchange.borrow().routed()?.table().hold?;
    let released = Released::default();
    let waiting = Waiting {
        context,
        exchange: Rc::downgrade(exchange),
        released: Rc::downgrade(&released),
        status,
        whole,
        at: host::now().saturating_add(hold),
    };
    HELD.with_borrow_mut(|held| held.push(waiting));
    Some(released)
}

/// Releases answers that were held too long. Called on each tick.
pub fn poll() {
    if HELD.with_borrow(Vec::is_empty) {
        return;
    }
    let now = host::now();
    let waiting = HELD.take();
    let left: Vec<Waiting> = waiting.into_iter().filter(|waiting| waiting.waits(now)).collect();
    HELD.with_borrow_mut(|held| held.extend(left));
}

impl Waiting {
    /// Whether the answer is still held.
    fn waits(&self, now: Duration) -> bool {
        // a judged answer has dropped it
        let (Some(exchange), Some(released)) = (self.exchange.upgrade(), self.released.upgrade()) else {
            return false;
        };
        let Ok(mut exchange) = exchange.try_borrow_mut() else {
            return true;
        };
        if exchange.is_closed() {
            return false;
        }
        if now < self.at {
            return true;
        }
        if !host::act_on(self.context) {
            return false;
        }
        exchange.answer(self.status, Some(Outcome::of_status(self.status)));
        let unjudged = self.whole && !exchange.is_encoded();
        exchange.answer_unjudged(unjudged);
        if exchange.writes_model() {
            host::remove_header(Headers::Response, "content-length");
        }
        drop(exchange);
        released.set(true);
        host::continue_response();
        false
    }
}
