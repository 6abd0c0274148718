//! Counts finished requests whose server reported no tokens but can count them: the server counts the prompt first.
//!
//! The stream has already ended, so the calls are made on a tick, by the ticking filter, which also gets the answers.
//! Whatever the result of a call, its request is counted, by estimate if necessary.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::usage::{read_count, MAX_COUNT_ANSWER};

use crate::host::{self, Buffer};
use crate::metrics::{count_request, Counted, Labels};
use crate::registry::SharedExchange;
use crate::totals;

/// The maximum number of one worker's requests with running counts, because their bodies are kept meanwhile.
const MAX_COUNTS: usize = 100;
/// An answer that is this late will not arrive: the filter that asked has ended.
const GRACE: Duration = Duration::from_secs(1);

thread_local! {
    static COUNTS: RefCell<Counts> = RefCell::default();
}

#[derive(Default)]
struct Counts {
    /// Counts to request on the next tick.
    waiting: VecDeque<FinishedRequest>,
    /// Requested counts, by call, with their deadlines.
    asked: HashMap<u32, (FinishedRequest, Duration)>,
}

/// A finished request.
struct FinishedRequest {
    exchange: SharedExchange,
    status: u16,
}

/// Counts a request that has ended with this status, now or when its prompt has been counted.
pub fn end(exchange: SharedExchange, status: u16) {
    let ended = FinishedRequest { exchange, status };
    let counts_prompt = ended.exchange.borrow().counts_prompt();
    let refused = COUNTS.with_borrow_mut(|counts| {
        if counts_prompt && counts.waiting.len() + counts.asked.len() < MAX_COUNTS {
            counts.waiting.push_back(ended);
            return None;
        }
        Some(ended)
    });
    if let Some(ended) = refused {
        ended.count(None);
    }
}

/// Requests the pending counts, and gives up overdue ones. Called on each tick.
pub fn work() {
    let waiting = COUNTS.with_borrow_mut(|counts| std::mem::take(&mut counts.waiting));
    let none_asked = COUNTS.with_borrow(|counts| counts.asked.is_empty());
    if waiting.is_empty() && none_asked {
        return;
    }
    let now = host::recent();
    for ended in waiting {
        match ended.ask() {
            Some((call, timeout)) => COUNTS.with_borrow_mut(|counts| {
                counts.asked.insert(call, (ended, now + timeout + GRACE));
            }),
            None => ended.count(None),
        }
    }
    let overdue: Vec<_> = COUNTS.with_borrow_mut(|counts| counts.asked.extract_if(|_, (_, by)| *by < now).collect());
    overdue.into_iter().for_each(|(_, (ended, _))| ended.count(None));
}

/// Handles an answer or a failure.
pub fn answered(call: u32, size: usize) {
    let Some((ended, _)) = COUNTS.with_borrow_mut(|counts| counts.asked.remove(&call)) else {
        return; // nobody waits for it
    };
    let status = host::call_status().unwrap_or(0);
    let body = match size {
        1..=MAX_COUNT_ANSWER => host::bytes(Buffer::CallResponseBody, size).unwrap_or_default(),
        _ => Vec::new(),
    };
    ended.count(read_count(status, &body));
}

impl FinishedRequest {
    /// Requests the count. `None` if Envoy refuses to call.
    fn ask(&self) -> Option<(u32, Duration)> {
        let exchange = self.exchange.borrow();
        let call = exchange.count_call()?;
        Some((host::http_call(call.cluster, &call.headers, &call.body, call.timeout)?, call.timeout))
    }

    fn count(self, prompt: Option<u64>) {
        let mut exchange = self.exchange.borrow_mut();
        exchange.counted(prompt);
        let (usage, status) = (exchange.usage(), self.status);
        let cost = usage.map_or(0, |(tokens, _)| exchange.cost(&tokens));
        let (key, model, cluster) = exchange.labels();
        let issued = exchange.is_issued();
        count_request(Labels { key, model, cluster }, Counted { status, usage, cost, issued });
        totals::count(&exchange);
    }
}
