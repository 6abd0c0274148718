//! Requests with several texts: each text is a request of the gateway to itself, and all answers together are the
//! client's.
//!
//! The client's request itself holds no place of a limit and counts no tokens; those of its texts do.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::keys::Identity;
use sluice::memory_budget::Purpose;
use sluice::texts::{Batch, MAX_RESULTS};
use sluice::wire_names::TEXT_HEADER;

use super::secret::token;
use crate::budget;
use crate::host::{self, Buffer};
use crate::registry::{self, SharedExchange};

/// The maximum number of one worker's requests with several texts.
const MAX_BATCHES: usize = 100;

thread_local! {
    static BATCHES: RefCell<HashMap<u64, Running>> = RefCell::new(HashMap::new());
    /// The batch and the place of each call.
    static CALLS: RefCell<HashMap<u32, (u64, usize)>> = RefCell::new(HashMap::new());
    static CALLED: Cell<bool> = const { Cell::new(false) };
}

/// A request with several texts.
struct Running {
    batch: Box<Batch>,
    exchange: Weak<RefCell<Exchange>>,
    context: u32,
    caller: Option<Rc<Identity>>,
    authority: String,
    began: Duration,
}

/// Sends the first texts of a request, whose stream has Envoy's number `context`.
///
/// # Errors
/// None can be sent.
pub fn begin(exchange: &mut Exchange, context: u32) -> Result<(), ApiError> {
    let batch = exchange.take_batch().ok_or_else(|| ApiError::internal("The texts were sent unread."))?;
    let id = exchange.id();
    let is_full = BATCHES.with_borrow(|batches| batches.len() >= MAX_BATCHES);
    if is_full || !budget::admits(Purpose::Answer, 0) {
        let message = "Too many requests with several texts are running; try again later.".to_owned();
        return Err(ApiError { message, ..ApiError::busy() });
    }
    let shared = registry::find(id).ok_or_else(|| ApiError::internal("The gateway lost the request."))?;
    let running = Running {
        batch,
        exchange: Rc::downgrade(&shared),
        context,
        caller: exchange.identity().cloned(),
        authority: exchange.original().authority.clone(),
        began: host::now(),
    };
    let settings = running.batch.settings().clone();
    let most = running.caller.as_ref().and_then(|caller| caller.limits.concurrency);
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    BATCHES.with_borrow_mut(|batches| batches.insert(id, running));
    CALLED.set(true);
    for started in 0..settings.parallel.min(most).max(1) {
        match send_next(id) {
            Sent::Yes => {}
            Sent::Refused if started == 0 => {
                BATCHES.with_borrow_mut(|batches| batches.remove(&id));
                log::error!(
                    "sluice: several texts: Envoy cannot call the cluster {:?}; is it configured?",
                    settings.cluster
                );
                return Err(ApiError::internal("The gateway cannot send several texts at once; send one at a time."));
            }
            Sent::Refused | Sent::None => break,
        }
    }
    Ok(())
}

/// The result of sending the next text.
enum Sent {
    Yes,
    /// There is none.
    None,
    /// Envoy refused to send it. Its result is an error.
    Refused,
}

/// Sends the next text of a request, in the context of its stream.
fn send_next(id: u64) -> Sent {
    BATCHES.with_borrow_mut(|batches| {
        let Some(running) = batches.get_mut(&id) else {
            return Sent::None;
        };
        let Some((place, body)) = running.batch.next_text() else {
            return Sent::None;
        };
        let path = running.batch.kind().path();
        let length = body.len().to_string();
        let call = token(running.caller.as_deref()).and_then(|token| {
            let headers = [
                (":method", "POST"),
                (":path", path.as_str()),
                (":authority", running.authority.as_str()),
                ("content-type", "application/json"),
                ("content-length", length.as_str()),
                (TEXT_HEADER, token.as_str()),
            ];
            let settings = running.batch.settings();
            host::http_call(&settings.cluster, &headers, &body, settings.timeout)
        });
        match call {
            Some(call) => {
                CALLS.with_borrow_mut(|calls| calls.insert(call, (id, place)));
                Sent::Yes
            }
            None => {
                running.batch.failed(place, &ApiError::internal("The gateway could not send the text."));
                Sent::Refused
            }
        }
    })
}

/// A text was answered, or its call failed: then there are no headers.
pub fn answered(call: u32, headers: usize, size: usize) {
    if !CALLED.get() {
        return;
    }
    let Some((id, place)) = CALLS.with_borrow_mut(|calls| calls.remove(&call)) else {
        return;
    };
    let alive = BATCHES.with_borrow(|batches| {
        let running = batches.get(&id)?;
        Some((running.exchange.upgrade()?, running.context))
    });
    let Some((exchange, _)) = alive.filter(|(_, context)| host::act_on(*context)) else {
        BATCHES.with_borrow_mut(|batches| batches.remove(&id));
        return; // its client has left
    };
    take_in(id, place, headers, size);
    // what Envoy refuses at once has its result at once
    while let Sent::Refused = send_next(id) {}
    let ended = BATCHES.with_borrow_mut(|batches| {
        let is_complete = batches.get(&id).is_some_and(|running| running.batch.is_complete());
        is_complete.then(|| batches.remove(&id)).flatten()
    });
    if let Some(running) = ended {
        running.reply(&exchange);
    }
}

/// Takes in the answer to a text.
fn take_in(id: u64, place: usize, headers: usize, size: usize) {
    let status = match headers {
        0 => None,
        _ => host::call_status(),
    };
    let body = match size {
        0 => Ok(Vec::new()),
        1..=MAX_RESULTS => budget::receive(Purpose::Answer, Buffer::CallResponseBody, 0, size),
        _ => Ok(Vec::new()),
    };
    BATCHES.with_borrow_mut(|batches| {
        let Some(Running { batch, .. }) = batches.get_mut(&id) else {
            return;
        };
        match (status, body) {
            (None, _) => batch.failed(place, &ApiError::deadline()),
            (Some(_), Err(_)) => batch.failed(place, &ApiError::out_of_memory()),
            (Some(status), Ok(body)) => batch.answered(place, status, &body),
        }
    });
}

impl Running {
    /// Answers the client. Nothing is borrowed meanwhile: Envoy calls the filters with the answer.
    fn reply(self, exchange: &SharedExchange) {
        let time = host::now().saturating_sub(self.began);
        let (content_type, body) = self.batch.answer(time);
        drop(self.batch);
        debug_assert!(exchange.try_borrow_mut().is_ok());
        let headers = [("content-type", content_type), ("cache-control", "no-store")];
        host::reply(200, "sluice:texts", &headers, &body);
    }
}

/// Forgets requests whose clients have left, with their calls, which Envoy has given up. Called on each tick.
pub fn work() {
    if !CALLED.get() {
        return;
    }
    BATCHES.with_borrow_mut(|batches| batches.retain(|_, running| running.exchange.strong_count() > 0));
    CALLS.with_borrow_mut(|calls| {
        BATCHES.with_borrow(|batches| calls.retain(|_, (id, _)| batches.contains_key(id)));
    });
}
