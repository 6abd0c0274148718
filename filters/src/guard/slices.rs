//! Work that takes long for a large text: extracting texts, searching them by pattern, and rewriting a body. Short work
//! is done at once, longer work in slices, one on each tick, so that a large text does not delay other requests.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use sluice::guard::api::{Failure, Readings};
use sluice::guard::checks::CheckRun;
use sluice::guard::pii::{Search, Vault, VaultError, MAX_FINDINGS};
use sluice::guard::rewriting::BodyRewriting;
use sluice::guard::texts::{Extraction, Unreadable};
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
/// How much text is extracted or rewritten between two looks at the clock, in bytes: a part of a slice.
const STEP: usize = 32 << 10;

thread_local! {
    static QUEUE: RefCell<VecDeque<Waiting>> = const { RefCell::new(VecDeque::new()) };
    /// Texts are extracted, and bodies rewritten, one after another, because each output takes as much memory as its
    /// body.
    static BODIES: RefCell<VecDeque<(Waiter, u32)>> = const { RefCell::new(VecDeque::new()) };
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
        let (texts, search) = (run.texts_of(self.question), &mut self.search);
        one_slice(|| match search.step(patterns, &texts) {
            true => Some(Ok(Readings::of_findings(std::mem::take(search).into_findings()))),
            false if search.count() > MAX_FINDINGS => Some(Err(Failure::TooLarge)),
            false if !budget::admits(Purpose::Check, search.count().saturating_mul(FINDING)) => {
                Some(Err(Failure::Busy))
            }
            false => None,
        })
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

/// Why a body's texts cannot be extracted.
pub(super) enum Unextracted {
    /// It has none that can be read.
    Unreadable(Unreadable),
    /// There is no memory for them.
    Busy,
}

/// Extracts a body's texts for one slice. `None`: there is more.
pub(super) fn extract(extraction: &mut Extraction, body: &[u8]) -> Option<Result<(), Unextracted>> {
    one_slice(|| match extraction.step(body, STEP) {
        Ok(true) => Some(Ok(())),
        Ok(false) if !budget::admits(Purpose::Check, 0) => Some(Err(Unextracted::Busy)),
        Ok(false) => None,
        Err(problem) => Some(Err(Unextracted::Unreadable(problem))),
    })
}

/// Repeats a step until it has a result, or for the time of a slice.
fn one_slice<T>(mut step: impl FnMut() -> Option<T>) -> Option<T> {
    let mut began = None;
    loop {
        let result = step();
        if result.is_some() {
            return result;
        }
        // the first step is not timed, because nearly every text needs only one
        let now = host::now();
        if now.saturating_sub(*began.get_or_insert(now)) >= SLICE {
            return None;
        }
    }
}

/// Rewrites a body for one slice, up to `most` bytes. `None`: there is more.
pub(super) fn rewrite(rewriting: &mut BodyRewriting, vault: &mut Vault, most: usize) -> Option<Result<(), Unwritten>> {
    one_slice(|| match rewriting.step(vault, STEP) {
        Ok(true) => Some(Ok(())),
        Ok(false) if rewriting.written() > most => Some(Err(Unwritten::TooLarge)),
        Ok(false) if !budget::admits(Purpose::Check, 0) => Some(Err(Unwritten::Busy)),
        Ok(false) => None,
        Err(problem) => Some(Err(Unwritten::TooMuch(problem))),
    })
}

/// Continues the work at a stream's body on the next ticks.
pub(super) fn wait(waiter: &Waiter, context: u32) {
    BODIES.with_borrow_mut(|queue| queue.push_back((waiter.clone(), context)));
}

/// Continues the searches and the work at bodies, one slice of each kind in total, searches in turns. Called on each
/// tick.
pub(super) fn work() {
    // if the clock was set back, no time has passed
    let is_early = host::recent().checked_sub(WORKED.get()).is_some_and(|passed| passed < PAUSE);
    if is_early || next().is_none() {
        return;
    }
    go_on_with_bodies();
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

/// Continues the work at the current body, or starts with the next one.
fn go_on_with_bodies() {
    while let Some((waiter, context)) = BODIES.with_borrow_mut(VecDeque::pop_front) {
        let Some(listener) = waiter.upgrade().filter(|_| host::act_on(context)) else {
            continue; // its client has left
        };
        let (ended, decided) = match listener.try_borrow_mut() {
            Ok(mut listener) => (listener.go_on(&waiter), listener.is_decided()),
            Err(_) => (false, false),
        };
        match ended {
            true if decided => chain::wake(context),
            true => {}
            false => BODIES.with_borrow_mut(|queue| queue.push_front((waiter, context))),
        }
        return;
    }
}

/// How soon there is more to do; `None` if there is nothing.
pub(super) fn next() -> Option<Duration> {
    let idle = QUEUE.with_borrow(VecDeque::is_empty) && BODIES.with_borrow(VecDeque::is_empty);
    (!idle).then_some(PAUSE)
}
