//! Calls to the services that tell kinds. A request's call belongs to its stream, and ends with it.

use std::cell::RefCell;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::embeddings::MAX_ANSWER;
use sluice::endpoint::Endpoint;
use sluice::exchange::ServiceCall;
use sluice::guard::checks::Failures;
use sluice::kinds::Service;
use sluice::routing::Table;

use crate::chain;
use crate::host::{self, Buffer};

thread_local! {
    static CALLS: RefCell<HashMap<u32, u32>> = RefCell::default();
    static HEARD: RefCell<HashMap<u32, Option<Vec<u8>>>> = RefCell::default();
    static FAILURES: RefCell<Failures> = RefCell::default();
}

/// The most calls of one worker's requests at a time.
pub const MAX_CALLS: usize = 100;

/// Whether another request may call.
pub fn has_room() -> bool {
    let has_room = CALLS.with_borrow(HashMap::len) < MAX_CALLS;
    if !has_room {
        fail("busy", &format!("{MAX_CALLS} calls of this worker are under way"));
    }
    has_room
}

/// Sends a body to a service. `None` if Envoy cannot call.
pub fn send(
    table: &Table,
    service: &Service,
    (endpoint, path): (Endpoint, &str),
    body: &str,
    timeout: Duration,
) -> Option<u32> {
    let path = ServiceCall::path(table, service, endpoint, path)?;
    let call = ServiceCall::new(table, service, &path)?;
    let number = host::http_call(call.cluster, &call.headers, body.as_bytes(), timeout);
    if number.is_none() {
        fail("no_cluster", &format!("Envoy cannot call the cluster {:?}; is it configured?", call.cluster));
    }
    number
}

/// The stream `context` is woken with the answer to this call.
pub fn expect(call: u32, context: u32) {
    CALLS.with_borrow_mut(|calls| calls.insert(call, context));
}

/// The answer for the stream that was just woken: its body, or nothing if the service has failed. `None`: there is no answer
/// yet.
pub fn heard(context: u32) -> Option<Option<Vec<u8>>> {
    HEARD.with_borrow_mut(|heard| heard.remove(&context))
}

/// The stream of a call has ended, and its call with it.
pub fn forget(context: u32) {
    CALLS.with_borrow_mut(|calls| calls.retain(|_, of| *of != context));
    HEARD.with_borrow_mut(|heard| heard.remove(&context));
}

/// A call has been answered, or has failed.
pub fn answered(call: u32, headers: usize, size: usize) {
    let Some(context) = CALLS.with_borrow_mut(|calls| calls.remove(&call)) else {
        return;
    };
    let body = read(headers, size);
    HEARD.with_borrow_mut(|heard| heard.insert(context, body));
    chain::wake(context);
    HEARD.with_borrow_mut(|heard| heard.remove(&context));
}

/// The body of the answer that has just come; `None` if it is not a success.
pub fn read(headers: usize, size: usize) -> Option<Vec<u8>> {
    let status = match headers {
        0 => None,
        _ => host::call_status(),
    };
    match status {
        Some(200) if (1..=MAX_ANSWER).contains(&size) => host::bytes(Buffer::CallResponseBody, size),
        Some(status) => {
            fail("status", &format!("status {status}, {size} bytes"));
            None
        }
        None => {
            fail("no_answer", "no answer");
            None
        }
    }
}

/// Logs a failure once a minute.
#[cold]
pub fn fail(kind: &'static str, text: &str) {
    let untold = FAILURES.with_borrow_mut(|failures| failures.note("", kind, host::recent()));
    if let Some(untold) = untold {
        log::warn!(
            "sluice: router: a virtual model's service: {text}; the request went to `otherwise`; and {untold} times since \
             this was logged last"
        );
    }
}
