//! The service that counts limits for all Envoys: asked before a request, charged after it.
//!
//! The question belongs to the stream, and ends with it. Charges are sent on a tick, in a filter's own context, because
//! the stream has ended by then; one call has many requests' charges. While the service is down, charges are kept.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::guard::checks::Failures;
use sluice::limits::shared::{
    judge, read_answer, uncounted, warnings, write_request, Charges, Hit, OnFailure, RateLimitResponse, Service,
    SharedLimits, METHOD, SERVICE,
};
use sluice::limits::ActualUsage;
use sluice::wire_names::stats;

use crate::chain;
use crate::host::{self, Buffer};
use crate::limit_warnings;
use crate::metrics::find_or_define;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// An answer that is this late will not arrive.
const GRACE: Duration = Duration::from_secs(1);
/// The timeout for charges, since nobody waits for them.
const CHARGE_TIMEOUT: Duration = Duration::from_secs(2);

thread_local! {
    static LOOKS: RefCell<HashMap<u32, Look>> = RefCell::default();
    static HEARD: RefCell<HashMap<u32, Heard>> = RefCell::default();
    static QUEUES: RefCell<Vec<Queue>> = const { RefCell::new(Vec::new()) };
    static RESULTS: RefCell<Vec<(&'static str, u32)>> = const { RefCell::new(Vec::new()) };
    static FAILURES: RefCell<Failures> = RefCell::default();
}

/// A running question.
struct Look {
    context: u32,
    /// The number of limits in it.
    asked: usize,
    /// When it is overdue.
    until: Duration,
}

/// Its result; `None` if there is none yet.
type Heard = Option<RateLimitResponse>;

/// The state of a request that other Envoys' limits apply to.
pub enum Asked {
    /// Waits for the answer.
    Waits,
    /// It may continue.
    Passes,
    /// It must not: this Envoy's own counts for it must be withdrawn.
    Refused(ApiError),
}

/// The charges for one service.
struct Queue {
    service: Rc<Service>,
    charges: Charges,
    /// The running call, its charges, and when it is overdue.
    sent: Option<(u32, Vec<Hit>, Duration)>,
    /// After a failure: the time of the next call.
    next: Duration,
}

/// Asks about a request that this Envoy's own count has admitted.
pub fn ask(exchange: &mut Exchange, context: u32) -> Asked {
    let Some(known) = exchange.shared() else {
        return Asked::Passes;
    };
    let question = known.question();
    if question.is_empty() {
        exchange.take_shared();
        return Asked::Passes;
    }
    let service = known.service.clone();
    let message = write_request(&service.domain, &question);
    match host::grpc_call(&service.cluster, SERVICE, METHOD, &message, service.timeout) {
        Some(call) => {
            let until = host::recent() + service.timeout + GRACE;
            let look = Look { context, asked: question.len(), until };
            LOOKS.with_borrow_mut(|looks| looks.insert(call, look));
            Asked::Waits
        }
        None => {
            complain(&service, "refused", "Envoy cannot call it; is the cluster configured?");
            unanswered(exchange)
        }
    }
}

/// The result of the question about a request whose stream was just woken.
pub fn heard(exchange: &mut Exchange, context: u32) -> Asked {
    let Some(heard) = HEARD.with_borrow_mut(|heard| heard.remove(&context)) else {
        return Asked::Waits;
    };
    let (Some(answer), Some(known)) = (heard, exchange.shared()) else {
        return unanswered(exchange);
    };
    let (now, question) = (host::now(), known.question());
    let warnings = warnings(known, &question, &answer);
    let judged = judge(known, &question, &answer, exchange.usage_estimate(0, 0), now);
    limit_warnings::note(exchange, warnings, now);
    match judged {
        Ok(rates) => {
            count("ok");
            exchange.tell_rates(rates);
            Asked::Passes
        }
        Err((subject, excess)) => {
            count("over_limit");
            Asked::Refused(excess.error(&subject, exchange.output_field()))
        }
    }
}

/// The service has not answered about a request.
fn unanswered(exchange: &mut Exchange) -> Asked {
    count("failed");
    match exchange.shared() {
        Some(known) if known.service.on_failure == OnFailure::Local => {
            exchange.uncounted();
            Asked::Passes
        }
        _ => Asked::Refused(uncounted()),
    }
}

/// The stream of a question has ended, and its call with it.
pub fn forget(context: u32) {
    LOOKS.with_borrow_mut(|looks| looks.retain(|_, look| look.context != context));
    HEARD.with_borrow_mut(|heard| heard.remove(&context));
}

/// A call has been answered.
pub fn answered(call: u32, size: usize) {
    let read = |asked| match size {
        0..=MAX_ANSWER => read_answer(&host::bytes(Buffer::GrpcMessage, size).unwrap_or_default(), asked),
        _ => None,
    };
    if let Some(look) = LOOKS.with_borrow_mut(|looks| looks.remove(&call)) {
        let answer = read(look.asked);
        if answer.is_none() {
            tell("the service", "answer", "its answer does not match the question");
        }
        wake(look.context, answer);
        return;
    }
    let done = QUEUES.with_borrow_mut(|queues| {
        let queue = queues.iter_mut().find(|queue| queue.is_of(call))?;
        queue.sent = None;
        Some(())
    });
    if done.is_some() {
        count("charged");
    }
}

/// A call has failed or ended. After its answer, nobody waits for it.
pub fn failed(call: u32, status: u32) {
    if let Some(look) = LOOKS.with_borrow_mut(|looks| looks.remove(&call)) {
        tell("the service", "no_answer", &format!("no answer (gRPC status {status})"));
        wake(look.context, None);
        return;
    }
    let now = host::now();
    let failed = QUEUES.with_borrow_mut(|queues| {
        let queue = queues.iter_mut().find(|queue| queue.is_of(call))?;
        queue.give_back(now);
        Some(queue.service.clone())
    });
    if let Some(service) = failed {
        count("charge_failed");
        complain(&service, "charge", &format!("charges are kept for now (gRPC status {status})"));
    }
}

fn wake(context: u32, heard: Heard) {
    HEARD.with_borrow_mut(|known| known.insert(context, heard));
    chain::wake(context);
    HEARD.with_borrow_mut(|known| known.remove(&context));
}

/// Charges what a request has used that had reserved so many tokens; the next tick sends it.
pub fn charge(known: &SharedLimits, spent: ActualUsage, reserved: u64, now: Duration) {
    let charges = known.charges(spent, reserved);
    if charges.is_empty() {
        return;
    }
    let dropped = QUEUES.with_borrow_mut(|queues| {
        let place = queues.iter().position(|queue| queue.service == known.service).unwrap_or_else(|| {
            let charges = Charges::default();
            queues.push(Queue { service: known.service.clone(), charges, sent: None, next: Duration::ZERO });
            queues.len() - 1
        });
        let charged =
            |queue: &mut Queue| charges.into_iter().map(|hit| queue.charges.add(hit, now)).filter(|kept| !kept).count();
        queues.get_mut(place).map_or(0, charged)
    });
    if dropped > 0 {
        count("charge_dropped");
        complain(&known.service, "full", "there is no room for more charges");
    }
}

/// Sends the charges, and ends overdue waits. Called on each tick.
pub fn work() {
    if QUEUES.with_borrow(Vec::is_empty) && LOOKS.with_borrow(HashMap::is_empty) {
        return;
    }
    let now = host::recent();
    let overdue: Vec<_> = LOOKS.with_borrow_mut(|looks| looks.extract_if(|_, look| look.until < now).collect());
    overdue.into_iter().for_each(|(_, look)| wake(look.context, None));
    let places = QUEUES.with_borrow(Vec::len);
    for place in 0..places {
        let due = QUEUES.with_borrow_mut(|queues| queues.get_mut(place).and_then(|queue| queue.take(now)));
        let Some((service, hits)) = due else {
            continue;
        };
        let message = write_request(&service.domain, &hits);
        let call = host::grpc_call(&service.cluster, SERVICE, METHOD, &message, CHARGE_TIMEOUT);
        QUEUES.with_borrow_mut(|queues| {
            if let Some(queue) = queues.get_mut(place) {
                queue.sent = Some((call.unwrap_or(0), hits, now + CHARGE_TIMEOUT + GRACE));
                if call.is_none() {
                    queue.give_back(now);
                }
            }
        });
        if call.is_none() {
            count("charge_failed");
            complain(&service, "charge", "charges are kept for now (Envoy cannot call it)");
        }
    }
    QUEUES.with_borrow_mut(|queues| queues.retain(|queue| queue.sent.is_some() || !queue.charges.is_empty()));
}

impl Queue {
    fn is_of(&self, call: u32) -> bool {
        self.sent.as_ref().is_some_and(|(sent, ..)| *sent == call)
    }

    /// The charges to send now.
    fn take(&mut self, now: Duration) -> Option<(Rc<Service>, Vec<Hit>)> {
        if self.sent.as_ref().is_some_and(|(.., until)| *until < now) {
            self.give_back(now);
        }
        // a clock set back must not delay anything
        let waits = self.next > now && self.next <= now + GRACE;
        if self.sent.is_some() || waits {
            return None;
        }
        let hits = self.charges.take(now);
        (!hits.is_empty()).then(|| (self.service.clone(), hits))
    }

    /// The call has failed: its charges are kept, and sent again.
    fn give_back(&mut self, now: Duration) {
        let hits = self.sent.take().map_or(Vec::new(), |(_, hits, _)| hits);
        hits.into_iter().for_each(|hit| {
            self.charges.add(hit, now);
        });
        self.next = now + GRACE;
    }
}

/// Counts the result of a call.
fn count(result: &'static str) {
    let define = || host::define_counter(&stats::shared_limits(result));
    if let Some(counter) = RESULTS.with_borrow_mut(|known| find_or_define(known, result, define)) {
        host::increment(counter, 1);
    }
}

fn complain(service: &Service, kind: &'static str, text: &str) {
    tell(&format!("the cluster {:?}", service.cluster), kind, text);
}

/// Logs a failure, once a minute.
#[cold]
fn tell(who: &str, kind: &'static str, text: &str) {
    let untold = FAILURES.with_borrow_mut(|failures| failures.note("", kind, host::recent()));
    if let Some(untold) = untold {
        log::warn!("sluice: shared limits: {who}: {text}; and {untold} times since this was logged last");
    }
}
