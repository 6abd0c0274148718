//! The questions to the ledger, and its answers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use sluice::codec::{Changed, SharedRecord};
use sluice::fleet::{Changes, LedgerService, Progress, RevocationChange, Unsent, Windows};
use sluice::uri::percent_encode;
use sluice::wire_names::UNSENT_REVOCATIONS;

use super::sending::{failed, send, settle, Reply, GRACE, TIMEOUT};
use super::state::{complain, is_ready, update, wake_all};
use crate::host::{self, shared_data};
use crate::revoked;

/// The pause between two questions about revoked keys. All Envoys know a revoked key within a second.
const PAUSE: Duration = Duration::from_millis(250);
/// The pause after a failure.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);
/// The pause after a failure while requests wait.
const PAUSE_AT_START: Duration = Duration::from_millis(100);

thread_local! {
    static CALL: RefCell<Option<RunningQuestion>> = const { RefCell::new(None) };
    /// When this worker looks again whether it is time for a question.
    static NEXT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The running question of this worker.
struct RunningQuestion {
    token: u32,
    question: Question,
    service: Rc<LedgerService>,
    /// When it is overdue.
    until: Duration,
}

enum Question {
    /// What has been revoked?
    Revocations,
    /// What has been used?
    Windows,
    /// The ledger is told a change that it does not know yet.
    Tell(RevocationChange),
}

/// Asks, if it is time and no other worker does. Called on each tick.
pub(super) fn work(service: &Rc<LedgerService>, now: Duration) {
    let is_running = CALL.with_borrow_mut(|call| {
        *call = call.take().filter(|call| now < call.until);
        call.is_some()
    });
    // a clock set back must not delay anything
    let is_early = now < NEXT.get() && NEXT.get() < now + TIMEOUT + GRACE;
    if is_running || is_early {
        return;
    }
    let mut is_mine = false;
    let progress = update(|progress| {
        is_mine = progress.claim(now, TIMEOUT + GRACE);
        Changed::when(is_mine)
    });
    match progress {
        Some(progress) if is_mine => begin(service, &progress, now),
        Some(progress) => NEXT.set(progress.next()),
        None => {}
    }
}

/// The first question of a turn.
fn begin(service: &Rc<LedgerService>, progress: &Progress, now: Duration) {
    let unsent: Unsent = shared_data::record(UNSENT_REVOCATIONS);
    // the request that makes a change tells it itself at first
    match unsent.due(TIMEOUT + GRACE, now) {
        Some(change) => ask(service, Question::Tell(change.clone()), progress, now),
        None => ask(service, Question::Revocations, progress, now),
    }
}

fn ask(service: &Rc<LedgerService>, question: Question, progress: &Progress, now: Duration) {
    let (instance, last) = progress.known();
    let (method, path, body) = match &question {
        Question::Revocations => {
            let path = format!("/revocations?after={last}&instance={}", percent_encode(instance));
            ("GET", path, String::new())
        }
        Question::Windows => ("GET", "/windows".to_owned(), String::new()),
        Question::Tell(change) => change.call(),
    };
    let timeout = match progress.is_over() {
        true => TIMEOUT,
        false => progress.rest(service.start_timeout, now).clamp(Duration::from_millis(1), TIMEOUT),
    };
    match send(service, method, &path, &body, timeout) {
        Some(token) => {
            let until = now + timeout + GRACE;
            CALL.set(Some(RunningQuestion { token, question, service: service.clone(), until }));
            if !progress.is_over() {
                update(|progress| progress.begin(now));
            }
        }
        None => {
            // before Envoy has started completely, it has no clusters
            if progress.is_over() {
                complain(service, "refused", "Envoy cannot call it; is it configured?");
            }
            retry(now);
        }
    }
}

/// What follows an answer.
enum AfterCall {
    /// Another question, at once.
    Ask(Question),
    /// A pause.
    Pause,
    /// A pause, because the answer is missing or invalid.
    Retry,
}

/// Takes the question that is answered by this call, if it is one of these.
pub(super) fn answered(token: u32, read: impl FnOnce() -> Reply) {
    let is_mine = |call: &mut RunningQuestion| call.token == token;
    let Some(call) = CALL.with_borrow_mut(|call| call.take_if(is_mine)) else {
        return;
    };
    let (now, reply) = (host::now(), read());
    let service = &call.service;
    let next = match &call.question {
        Question::Revocations => learn(service, &reply, now),
        Question::Windows => seed(service, &reply, now),
        Question::Tell(change) => told(service, &reply, change),
    };
    match next {
        AfterCall::Ask(question) => {
            if let Some(progress) = put_off(now + TIMEOUT + GRACE) {
                ask(service, question, &progress, now);
            }
        }
        AfterCall::Pause => pause(now, PAUSE),
        AfterCall::Retry => retry(now),
    }
}

fn put_off(next: Duration) -> Option<Progress> {
    update(|progress| {
        progress.put_off(next);
        Changed::Write
    })
}

fn pause(now: Duration, pause: Duration) {
    put_off(now + pause);
    NEXT.set(now + pause);
}

fn retry(now: Duration) {
    pause(now, if is_ready() { PAUSE_AFTER_FAILURE } else { PAUSE_AT_START });
}

/// Takes over what other Envoys have revoked and restored.
fn learn(service: &LedgerService, reply: &Reply, now: Duration) -> AfterCall {
    let Some(changes) = Changes::read(&reply.body) else {
        failed(service, "revocations", reply.status);
        return AfterCall::Retry;
    };
    if !changes.is_empty() {
        let unsent: Unsent = shared_data::record(UNSENT_REVOCATIONS);
        match revoked::change(|ids| Ok(changes.apply(ids, &unsent, now))) {
            Ok(Ok(())) => {}
            Ok(Err(full)) => complain(service, "full", &format!("not every revoked key is known here: {full}")),
            Err(error) => {
                complain(service, "revocations", &error.message);
                return AfterCall::Retry;
            }
        }
    }
    let progress = update(|progress| {
        progress.learned(&changes.instance, changes.last);
        Changed::Write
    });
    match progress {
        _ if changes.more => AfterCall::Ask(Question::Revocations),
        Some(progress) if !progress.is_over() => AfterCall::Ask(Question::Windows),
        _ => AfterCall::Pause,
    }
}

/// Takes over the usage from before the start, and lets the requests pass.
fn seed(service: &LedgerService, reply: &Reply, now: Duration) -> AfterCall {
    let Some(windows) = Windows::read(&reply.body) else {
        failed(service, "windows", reply.status);
        return AfterCall::Retry;
    };
    if is_ready() {
        return AfterCall::Pause; // the requests did not wait so long, and have been counted
    }
    let mut subjects = 0;
    for (subject, record) in windows.iter() {
        // what has been counted here, the ledger may know too: only what is new is taken over
        shared_data::swap(&subject.data_key(), &mut |known| known.is_empty().then(|| record.encode()));
        subjects += 1;
    }
    update(|progress| Changed::when(progress.seeded(now)));
    let (cluster, left_out) = (&service.cluster, windows.left_out);
    match left_out {
        0 => log::info!("sluice: ledger: the cluster {cluster:?} has told the usage of {subjects} keys and models"),
        _ => log::warn!(
            "sluice: ledger: the cluster {cluster:?} has told the usage of {subjects} keys and models; the limits of \
             {left_out} others begin at zero"
        ),
    }
    wake_all();
    AfterCall::Pause
}

/// The ledger knows a change, or will never take it.
fn told(service: &LedgerService, reply: &Reply, change: &RevocationChange) -> AfterCall {
    match settle(service, reply, change) {
        Some(_) => AfterCall::Ask(Question::Revocations),
        None => AfterCall::Retry,
    }
}
