//! Waiting requests: for a free target, or for their deadline.
//!
//! Each is checked on every tick, and those that wait for a target whenever an attempt has ended. They have no order:
//! workers do not know each other's requests.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use sluice::error::ApiError;
use sluice::exchange::{Exchange, Routed};
use sluice::routing::Table;

use crate::clusters::AllClusters;
use crate::hand_over::hand_over;
use crate::host;
use crate::registry::{self, SharedExchange};
use crate::reply;

thread_local! {
    static QUEUE: RefCell<Vec<Rc<Waiting>>> = const { RefCell::new(Vec::new()) };
    static DEADLINES: RefCell<Vec<Deadline>> = const { RefCell::new(Vec::new()) };
}

/// A request that waits for a free target. Dropping the guard ends its wait.
pub struct QueueGuard(Rc<Waiting>);

struct Waiting {
    context: u32,
    exchange: SharedExchange,
    table: Rc<Table>,
    until: Duration,
    over: Cell<bool>,
}

struct Deadline {
    context: u32,
    exchange: Weak<RefCell<Exchange>>,
    at: Duration,
}

impl Drop for QueueGuard {
    fn drop(&mut self) {
        self.0.over.set(true);
    }
}

/// The maximum number of one worker's requests that wait for a target, because their bodies are in Envoy's buffers
/// meanwhile.
const MAX_WAITING: usize = 1024;

/// Has a request wait for a free target, for so long at most. It goes on, or is answered, by itself. `None` if
/// too many wait already.
pub fn queue(context: u32, exchange: SharedExchange, table: Rc<Table>, patience: Duration) -> Option<QueueGuard> {
    if QUEUE.with_borrow(Vec::len) >= MAX_WAITING {
        return None;
    }
    let until = host::now() + patience;
    let waiting = Rc::new(Waiting { context, exchange, table, until, over: Cell::new(false) });
    QUEUE.with_borrow_mut(|queue| queue.push(waiting.clone()));
    Some(QueueGuard(waiting))
}

/// Answers a request in place of the model servers if its answer has not begun by its deadline, if it has one.
pub fn limit(context: u32, shared: &SharedExchange, exchange: &Exchange) {
    if let Some(at) = exchange.routed().and_then(|route| route.deadline()) {
        let exchange = Rc::downgrade(shared);
        DEADLINES.with_borrow_mut(|deadlines| deadlines.push(Deadline { context, exchange, at }));
    }
}

/// Checks every waiting request.
pub fn poll() {
    poll_queue();
    if !DEADLINES.with_borrow(Vec::is_empty) {
        let now = host::now();
        DEADLINES.with_borrow_mut(|deadlines| deadlines.retain(|deadline| deadline.goes_on_waiting(now)));
    }
}

/// Checks the requests that wait for a free target.
pub fn poll_queue() {
    let waiting = QUEUE.take();
    if waiting.is_empty() {
        return;
    }
    let now = host::now();
    let mut left: Vec<Rc<Waiting>> = waiting.into_iter().filter(|waiting| waiting.goes_on_waiting(now)).collect();
    QUEUE.with_borrow_mut(|queue| {
        left.append(queue);
        *queue = left;
    });
}

impl Waiting {
    fn goes_on_waiting(&self, now: Duration) -> bool {
        if self.over.get() {
            return false;
        }
        let Ok(mut exchange) = self.exchange.try_borrow_mut() else {
            return true; // in use by a caller; the next check will handle it
        };
        if exchange.is_closed() {
            return false;
        }
        let routed = exchange.route(&self.table, &AllClusters);
        let refused = match routed {
            Ok(Routed::Queue(_)) if now < self.until => return true,
            Ok(Routed::Queue(_)) => ApiError::no_free_slot(exchange.model_name()),
            Ok(Routed::Ready) => match self.hand_over(&mut exchange) {
                true => {
                    limit(self.context, &self.exchange, &exchange);
                    return false;
                }
                false => ApiError::internal("The gateway could not hand the request on."),
            },
            // an estimated token count needs no target
            Ok(Routed::Estimated(_)) => ApiError::no_free_slot(exchange.model_name()),
            Err(error) => error,
        };
        if host::act_on(self.context) {
            reply::error(&refused, exchange.shape());
        }
        false
    }

    fn hand_over(&self, exchange: &mut Exchange) -> bool {
        if !host::act_on(self.context) {
            return false;
        }
        registry::publish_id(exchange);
        hand_over(exchange) && host::continue_request()
    }
}

impl Deadline {
    /// Whether to keep watching this deadline. Answers the request if the deadline has passed and no answer has begun.
    fn goes_on_waiting(&self, now: Duration) -> bool {
        let Some(exchange) = self.exchange.upgrade() else {
            return false;
        };
        let Ok(mut exchange) = exchange.try_borrow_mut() else {
            return true;
        };
        if exchange.answered().is_some() || exchange.is_closed() {
            return false;
        }
        if now < self.at {
            return true;
        }
        exchange.time_out();
        if host::act_on(self.context) {
            reply::error(&ApiError::deadline(), exchange.shape());
        }
        false
    }
}
