//! Password checks in slices, one on each tick: a check takes longer than a worker may block.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use sluice::password::{LoginVerdict, PasswordVerifier};

use crate::chain;
use crate::host;

/// The iterations of one slice: about two milliseconds.
const BUDGET: u32 = 3_000;
/// The minimum time for other work between two slices. Several filters tick.
const PAUSE: Duration = Duration::from_millis(4);

thread_local! {
    /// When the last slice ended.
    static WORKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static VERIFIERS: RefCell<Vec<Weak<RefCell<PasswordVerifier>>>> = const { RefCell::new(Vec::new()) };
    /// What became of a request's check.
    static VERDICTS: RefCell<HashMap<u32, LoginVerdict>> = RefCell::new(HashMap::new());
}

/// Has a verifier's checks be worked on, as long as there is that verifier.
pub fn open(verifier: PasswordVerifier) -> Rc<RefCell<PasswordVerifier>> {
    let verifier = Rc::new(RefCell::new(verifier));
    VERIFIERS.with_borrow_mut(|verifiers| verifiers.push(Rc::downgrade(&verifier)));
    verifier
}

/// Runs a slice of the checks, and wakes the requests whose check has ended.
pub fn work() {
    // if the clock was set back, no time has passed
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

/// The result of the check for the request that has just been woken. `None` if it was woken for something else.
pub fn verdict(context: u32) -> Option<LoginVerdict> {
    VERDICTS.with_borrow(|verdicts| verdicts.get(&context).copied())
}
