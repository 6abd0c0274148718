//! Callouts to services: all sent at once, limited in number, and each answered or failed exactly once.

use std::cell::RefCell;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::callout::Callout;
use sluice::guard::api::Failure;
use sluice::guard::checks::{Ask, Check, CheckRun, CheckVerdict, Failures};

use super::config::Config;
use super::listener::{deliver, CheckResult, CheckTarget, Waiter};
use super::slices::Searching;
use crate::host::{self, Buffer, Headers};
use crate::in_flight;
use crate::metrics;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

thread_local! {
    static CALLS: RefCell<HashMap<u32, Call>> = RefCell::new(HashMap::new());
    static FAILURES: RefCell<Failures> = RefCell::default();
}

/// A callout in flight.
struct Call {
    waiter: Waiter,
    context: u32,
    target: CheckTarget,
    question: usize,
    began: Duration,
    timeout: Duration,
}

/// One check run, and its start time.
pub(super) struct PendingRun {
    pub run: CheckRun,
    began: Duration,
    counted: bool,
}

impl PendingRun {
    /// Sends all questions. Checks that the gateway can make itself come first: if they decide, no service is called.
    pub fn open(config: &Config, mut run: CheckRun, target: CheckTarget, waiter: &Waiter, context: u32) -> PendingRun {
        let now = host::now();
        let (mut callouts, mut searches) = (Vec::new(), Vec::new());
        for question in run.questions() {
            match question.ask {
                Ask::Service(callout) => callouts.push((question.id, callout)),
                Ask::Patterns(check) => {
                    let mut searching = Searching::new(check, question.id);
                    match searching.go_on(config, &run) {
                        Some(answer) => {
                            run.answered(question.id, answer, &mut config.cache.borrow_mut(), host::now());
                        }
                        None => searches.push(searching),
                    }
                }
            }
        }
        if !run.is_complete() {
            searches.into_iter().for_each(|searching| searching.wait(waiter, context, target));
        }
        for (question, callout) in callouts {
            if run.is_complete() {
                break;
            }
            let call = Call { waiter: waiter.clone(), context, target, question, began: now, timeout: callout.timeout };
            if let Err(failure) = send(config, &callout, call) {
                run.answered(question, Err(failure), &mut config.cache.borrow_mut(), now);
            }
        }
        let mut pending = PendingRun { run, began: now, counted: false };
        pending.count();
        pending
    }

    /// Adds the result of a callout.
    pub fn receive(&mut self, config: &Config, question: usize, result: CheckResult) {
        let answer = match result {
            CheckResult::Answer(status, body) => self.run.read(question, status, &body),
            CheckResult::Found(answer) => answer,
            CheckResult::Failure(failure) => Err(failure),
        };
        self.run.answered(question, answer, &mut config.cache.borrow_mut(), host::now());
        self.count();
    }

    /// Counts the checks' verdicts, once.
    fn count(&mut self) {
        if self.counted || !self.run.is_complete() {
            return;
        }
        self.counted = true;
        for (check, verdict, ended) in self.run.verdicts() {
            if let CheckVerdict::Failed { failure, .. } = verdict {
                log_failure(check, failure);
            }
            let elapsed = ended.unwrap_or(self.began).saturating_sub(self.began);
            metrics::count_check(&check.name, self.run.phase(), verdict.label(check.dry_run), elapsed);
        }
    }
}

/// Logs a failed check, at limited frequency. Too much text is not the operator's problem: the client gets an error.
fn log_failure(check: &Check, failure: Failure) {
    if failure != Failure::TooLarge {
        log_throttled(&check.name, failure.label(), || {
            format!("the check {:?} could not be made: {failure}", check.name)
        });
    }
}

/// Logs a failure of `who`, of a named kind, if it is due.
fn log_throttled(who: &str, kind: &'static str, text: impl FnOnce() -> String) {
    match FAILURES.with_borrow_mut(|failures| failures.note(who, kind, host::now())) {
        None => {}
        Some(0) => log::error!("sluice: guard: {}", text()),
        Some(untold) => log::error!("sluice: guard: {}; and {untold} times since this was logged last", text()),
    }
}

fn send(config: &Config, callout: &Callout, call: Call) -> Result<(), Failure> {
    let under_way = CALLS.with_borrow(HashMap::len);
    if under_way >= config.checks.max_in_flight {
        return Err(Failure::Busy);
    }
    let headers: Vec<_> = callout.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    match host::http_call(&callout.cluster, &headers, &callout.body, callout.timeout) {
        Some(token) => {
            CALLS.with_borrow_mut(|calls| calls.insert(token, call));
            in_flight::count_calls(1);
            Ok(())
        }
        None => {
            let text = || format!("Envoy cannot call the cluster {:?}; is it configured?", callout.cluster);
            log_throttled(&callout.cluster, "no_cluster", text);
            Err(Failure::Refused)
        }
    }
}

/// A callout was answered, or it failed: then it has no headers. Called in the context that sent it.
pub fn answered(token: u32, headers: usize, size: usize) {
    let Some(call) = CALLS.with_borrow_mut(|calls| calls.remove(&token)) else {
        return; // its client has left
    };
    in_flight::count_calls(-1);
    let Some(waiter) = call.waiter.upgrade() else {
        return;
    };
    // a call made on a tick is answered in the root's context, but its result belongs to the stream's
    if !host::act_on(call.context) {
        return;
    }
    drop(waiter);
    let result = read_result(&call, headers, size);
    deliver(&call.waiter, call.context, call.target, call.question, result);
}

/// The client has left: results of its callouts are ignored.
pub(super) fn forget(waiter: &Waiter) {
    let left = CALLS.with_borrow_mut(|calls| {
        let before = calls.len();
        calls.retain(|_, call| !call.waiter.ptr_eq(waiter));
        before - calls.len()
    });
    if left > 0 {
        in_flight::count_calls(i32::try_from(left).map_or(0, |left| -left));
    }
}

fn read_result(call: &Call, headers: usize, size: usize) -> CheckResult {
    // Envoy's timers and the clock do not agree to the millisecond
    let timed_out = host::now().saturating_sub(call.began) >= call.timeout.saturating_sub(call.timeout / 10);
    if headers == 0 {
        return CheckResult::Failure(if timed_out { Failure::Timeout } else { Failure::Refused });
    }
    let status = host::call_status().unwrap_or(0);
    // without an answer, Envoy makes one up
    let made_up = status == 503 && host::header(Headers::CallResponse, "server").is_none();
    match status {
        504 if timed_out => CheckResult::Failure(Failure::Timeout),
        _ if made_up => CheckResult::Failure(Failure::Refused),
        _ if size > MAX_ANSWER => CheckResult::Failure(Failure::Shape),
        status => CheckResult::Answer(status, host::bytes(Buffer::CallResponseBody, size).unwrap_or_default()),
    }
}
