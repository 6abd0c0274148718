//! Work that takes long for a large text: searching it by pattern, and rewriting a body. Short work is done at once,
//! longer work in slices, one on each tick, so that a large text does not delay other requests.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use sluice::guard::api::{Failure, Readings};
use sluice::guard::checks::CheckRun;
use sluice::guard::pii::{Search, Vault, VaultError, MAX_FINDINGS};
use sluice::guard::rewriting::BodyRewriting;
use sluice::memory_budget::Purpose;

use super::config::Config;
use super::listener::{deliver, CheckResult, CheckTarget, Waiter};
use crate::budget;
use crate::chain;
use crate::host;

/// The duration of one slice.
const SLICE: Duration = Duration::from_millis(4);
/// The minimum time for other work between two slices. Several filters tick.
const PAUSE: Duration = Duration::from_millis(4);
/// The memory of a finding until it is written, in bytes.
const FINDING: usize = 256;
/// How much text is rewritten between two looks at the clock, in bytes: a part of a slice.
const REWRITTEN: usize = 32 << 10;

thread_local! {
    static QUEUE: RefCell<VecDeque<Waiting>> = const { RefCell::new(VecDeque::new()) };
    /// Bodies are rewritten one after another, because each output takes as much memory as its body.
    static REWRITINGS: RefCell<VecDeque<(Waiter, u32)>> = const { RefCell::new(VecDeque::new()) };
    /// When the last slice ended.
    static WORKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// One question to a check's patterns.
pub(super) struct Searching {
    check: usize,
    question: usize,
    search: Search,
}

/// A search that continues on the next tick.
struct Waiting {
    waiter: Waiter,
    context: u32,
    target: CheckTarget,
    searching: Searching,
}

impl Searching {
    pub fn new(check: usize, question: usize) -> Self {
        Searching { check, question, search: Search::default() }
    }

    /// Searches for one slice. `None`: there is more.
    pub fn go_on(&mut self, config: &Config, run: &CheckRun) -> Option<Result<Readings, Failure>> {
        let Some(Some(patterns)) = config.patterns.get(self.check) else {
            return Some(Err(Failure::Shape));
        };
        let texts = run.texts_of(self.question);
        let mut began = None;
        while !self.search.step(patterns, &texts) {
            if self.search.count() > MAX_FINDINGS {
                return Some(Err(Failure::TooLarge));
            }
            if !budget::admits(Purpose::Check, self.search.count().saturating_mul(FINDING)) {
                return Some(Err(Failure::Busy));
            }
            // the first step is not timed, because nearly every text needs only one
            let now = host::now();
            if now.saturating_sub(*began.get_or_insert(now)) >= SLICE {
                return None;
            }
        }
        Some(Ok(Readings::of_findings(std::mem::take(&mut self.search).into_findings())))
    }

    /// Continues the search on the next ticks.
    pub fn wait(self, waiter: &Waiter, context: u32, target: CheckTarget) {
        let waiting = Waiting { waiter: waiter.clone(), context, target, searching: self };
        QUEUE.with_borrow_mut(|queue| queue.push_back(waiting));
    }
}

/// Why a body cannot be rewritten.
pub(super) enum Unwritten {
    /// There are more values than can be stored.
    TooMuch(VaultError),
    /// It would be larger than allowed.
    TooLarge,
    /// There is no memory for it.
    Busy,
}

/// Rewrites a body for one slice, up to `most` bytes. `None`: there is more.
pub(super) fn rewrite(rewriting: &mut BodyRewriting, vault: &mut Vault, most: usize) -> Option<Result<(), Unwritten>> {
    let mut began = None;
    loop {
        match rewriting.step(vault, REWRITTEN) {
            Ok(true) => return Some(Ok(())),
            Ok(false) => {}
            Err(problem) => return Some(Err(Unwritten::TooMuch(problem))),
        }
        if rewriting.written() > most {
            return Some(Err(Unwritten::TooLarge));
        }
        if !budget::admits(Purpose::Check, 0) {
            return Some(Err(Unwritten::Busy));
        }
        // the first step of this is not timed either
        let now = host::now();
        if now.saturating_sub(*began.get_or_insert(now)) >= SLICE {
            return None;
        }
    }
}

/// Continues a stream's rewriting on the next ticks.
pub(super) fn wait_to_rewrite(waiter: &Waiter, context: u32) {
    REWRITINGS.with_borrow_mut(|queue| queue.push_back((waiter.clone(), context)));
}

/// Continues the searches and the rewritings, one slice of each kind in total, searches in turns. Called on each tick.
pub(super) fn work() {
    // if the clock was set back, no time has passed
    let is_early = host::recent().checked_sub(WORKED.get()).is_some_and(|passed| passed < PAUSE);
    if is_early || next().is_none() {
        return;
    }
    go_on_rewriting();
    let began = host::now();
    while let Some(mut waiting) = QUEUE.with_borrow_mut(VecDeque::pop_front) {
        let searched = waiting.waiter.upgrade().and_then(|listener| match listener.try_borrow() {
            Ok(listener) => {
                listener.check_run(waiting.target).map(|run| waiting.searching.go_on(listener.config(), run))
            }
            Err(_) => Some(None),
        });
        match searched {
            None => {} // its client has left, or another check has decided
            Some(None) => QUEUE.with_borrow_mut(|queue| queue.push_back(waiting)),
            Some(Some(answer)) => {
                let Waiting { waiter, context, target, searching } = waiting;
                deliver(&waiter, context, target, searching.question, CheckResult::Found(answer));
            }
        }
        if host::now().saturating_sub(began) >= SLICE {
            break;
        }
    }
    WORKED.set(host::now());
}

/// Continues the current rewriting, or starts the next one.
fn go_on_rewriting() {
    while let Some((waiter, context)) = REWRITINGS.with_borrow_mut(VecDeque::pop_front) {
        let Some(listener) = waiter.upgrade().filter(|_| host::act_on(context)) else {
            continue; // its client has left
        };
        let (ended, decided) = match listener.try_borrow_mut() {
            Ok(mut listener) => (listener.rewrite(), listener.is_decided()),
            Err(_) => (false, false),
        };
        match ended {
            true if decided => chain::wake(context),
            true => {}
            false => REWRITINGS.with_borrow_mut(|queue| queue.push_front((waiter, context))),
        }
        return;
    }
}

/// How soon there is more to do; `None` if there is nothing.
pub(super) fn next() -> Option<Duration> {
    let idle = QUEUE.with_borrow(VecDeque::is_empty) && REWRITINGS.with_borrow(VecDeque::is_empty);
    (!idle).then_some(PAUSE)
}
