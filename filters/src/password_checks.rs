//! Passwords that are being checked, a slice on each tick: to check one takes longer than a worker may stand still.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use sluice::password::{PasswordVerifier, Verdict};

use crate::chain;
use crate::host;

/// How many iterations one go may do: about two milliseconds.
const BUDGET: u32 = 3_000;
/// How long the worker has for everything else between two goes. Several filters tick.
const PAUSE: Duration = Duration::from_millis(4);

thread_local! {
    /// When the last go ended.
    static WORKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static VERIFIERS: RefCell<Vec<Weak<RefCell<PasswordVerifier>>>> = const { RefCell::new(Vec::new()) };
    /// What became of a request's check.
    static VERDICTS: RefCell<HashMap<u32, Verdict>> = RefCell::new(HashMap::new());
}

/// Has a verifier's checks be worked on, as long as there is that verifier.
pub fn open(verifier: PasswordVerifier) -> Rc<RefCell<PasswordVerifier>> {
    let verifier = Rc::new(RefCell::new(verifier));
    VERIFIERS.with_borrow_mut(|verifiers| verifiers.push(Rc::downgrade(&verifier)));
    verifier
}

/// Works on the checks, and wakes the requests whose check has ended.
pub fn work() {
    // a clock that was put back has passed no time
    let is_early = host::recent().checked_sub(WORKED.get()).is_some_and(|passed| passed < PAUSE);
    let verifiers: Vec<_> = VERIFIERS.with_borrow(|verifiers| verifiers.iter().filter_map(Weak::upgrade).collect());
    if is_early || verifiers.is_empty() {
        return;
    }
    for verifier in verifiers {
        let answers = match verifier.try_borrow_mut() {
            Ok(mut verifier) if verifier.under_way() > 0 => verifier.work(BUDGET, host::now()),
            Ok(_) | Err(_) => continue,
        };
        for answer in answers {
            VERDICTS.with_borrow_mut(|verdicts| verdicts.insert(answer.id, answer.verdict));
            chain::wake(answer.id);
            VERDICTS.with_borrow_mut(|verdicts| verdicts.remove(&answer.id));
        }
    }
    VERIFIERS.with_borrow_mut(|verifiers| verifiers.retain(|verifier| verifier.strong_count() > 0));
    WORKED.set(host::now());
}

/// How soon there is more to do; `None` if there is nothing.
pub fn next() -> Option<Duration> {
    let is_busy = |verifier: &Rc<RefCell<PasswordVerifier>>| {
        verifier.try_borrow().map_or(true, |verifier| verifier.under_way() > 0)
    };
    VERIFIERS
        .with_borrow(|verifiers| verifiers.iter().filter_map(Weak::upgrade).any(|verifier| is_busy(&verifier)))
        .then_some(PAUSE)
}

/// What became of the check of the request that has just been woken. `None` if it was not woken for that.
pub fn verdict(context: u32) -> Option<Verdict> {
    VERDICTS.with_borrow(|verdicts| verdicts.get(&context).copied())
}
