//! A stream that waits for checks, as callouts and searches see it.

use std::cell::RefCell;
use std::rc::Weak;
use std::time::Duration;

use sluice::guard::api::{Failure, Readings};
use sluice::guard::checks::CheckRun;

use super::config::Config;
use crate::chain;
use crate::host;

/// What is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckTarget {
    /// The request.
    Request,
    /// The complete answer.
    Answer,
    /// A window of a stream.
    Window(u64),
}

/// The result of a question.
pub(super) enum CheckResult {
    /// The service has answered.
    Answer(u16, Vec<u8>),
    /// A search of more than one slice has ended.
    Found(Result<Readings, Failure>),
    /// It has not.
    Failure(Failure),
}

/// A stream that waits for checks.
pub(super) trait Listener {
    /// What is checked, and the results of earlier checks.
    fn config(&self) -> &Config;
    /// A question was answered, or failed.
    fn receive(&mut self, target: CheckTarget, question: usize, result: CheckResult, me: &Waiter);
    /// The running checks of a target; `None` once they have finished.
    fn check_run(&self, target: CheckTarget) -> Option<&CheckRun>;
    /// Whether the request only waits for this filter.
    fn is_decided(&self) -> bool;
    /// Goes on with its body for one slice, and has an answer go on once nothing is left to do. Whether that has ended.
    fn go_on(&mut self, me: &Waiter) -> bool;
    /// Time has passed. Whether a stream still has text that waits for its window to fill.
    fn wait(&mut self, now: Duration, me: &Waiter) -> bool;
}

/// The receiver of results; none once the client has left.
pub(super) type Waiter = Weak<RefCell<dyn Listener>>;

/// Passes on a result, and continues a request that only waited for it.
pub(super) fn deliver(listener: &Waiter, context: u32, target: CheckTarget, question: usize, result: CheckResult) {
    let Some(stream) = listener.upgrade().filter(|_| host::act_on(context)) else {
        return;
    };
    let decided = match stream.try_borrow_mut() {
        Ok(mut stream) => {
            stream.receive(target, question, result, listener);
            stream.is_decided()
        }
        Err(_) => false,
    };
    if decided {
        chain::wake(context);
    }
}
