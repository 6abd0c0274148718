//! Searches by pattern: at once where that takes no time to speak of, otherwise a slice on each tick, so that a large text
//! holds up nobody else.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use sluice::guard::api::{Answer, Failure};
use sluice::guard::checks::Round;
use sluice::guard::pii::{Search, MAX_FINDINGS};
use sluice::memory_budget::Purpose;

use super::config::Config;
use super::listener::{deliver, Heard, Matter, Waiter};
use crate::budget;
use crate::host;

/// How long the worker is held at a time.
const SLICE: Duration = Duration::from_millis(4);
/// How long it has for everything else between two slices. Several filters tick.
const PAUSE: Duration = Duration::from_millis(4);
/// What a finding takes until it is written, in bytes.
const FINDING: usize = 256;

thread_local! {
    static QUEUE: RefCell<VecDeque<Waiting>> = const { RefCell::new(VecDeque::new()) };
    /// When the last slice ended.
    static WORKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// One question to the patterns of a check.
pub(super) struct Searching {
    check: usize,
    question: usize,
    search: Search,
}

/// A search that goes on with the next tick.
struct Waiting {
    waiter: Waiter,
    context: u32,
    matter: Matter,
    searching: Searching,
}

impl Searching {
    pub fn new(check: usize, question: usize) -> Self {
        Searching { check, question, search: Search::default() }
    }

    /// Searches for one slice. `None`: there is more.
    pub fn go_on(&mut self, config: &Config, round: &Round) -> Option<Result<Answer, Failure>> {
        let Some(Some(patterns)) = config.patterns.get(self.check) else {
            return Some(Err(Failure::Shape));
        };
        let texts = round.texts_of(self.question);
        let mut began = None;
        while !self.search.step(patterns, &texts) {
            if self.search.count() > MAX_FINDINGS {
                return Some(Err(Failure::TooLarge));
            }
            if !budget::admits(Purpose::Check, self.search.count().saturating_mul(FINDING)) {
                return Some(Err(Failure::Busy));
            }
            // the first step is not timed: nearly every text is searched in one
            let now = host::now();
            if now.saturating_sub(*began.get_or_insert(now)) >= SLICE {
                return None;
            }
        }
        Some(Ok(Answer::of_findings(std::mem::take(&mut self.search).into_findings())))
    }

    /// Has the search go on with the next ticks.
    pub fn wait(self, waiter: &Waiter, context: u32, matter: Matter) {
        let waiting = Waiting { waiter: waiter.clone(), context, matter, searching: self };
        QUEUE.with_borrow_mut(|queue| queue.push_back(waiting));
    }
}

/// Goes on with the searches, one slice in all, each in its turn. For each tick.
pub(super) fn work() {
    // a clock that was put back has passed no time
    let is_early = host::recent().checked_sub(WORKED.get()).is_some_and(|passed| passed < PAUSE);
    if is_early || QUEUE.with_borrow(VecDeque::is_empty) {
        return;
    }
    let began = host::now();
    while let Some(mut waiting) = QUEUE.with_borrow_mut(VecDeque::pop_front) {
        let searched = waiting.waiter.upgrade().and_then(|listener| match listener.try_borrow() {
            Ok(listener) => {
                listener.round(waiting.matter).map(|round| waiting.searching.go_on(listener.config(), round))
            }
            Err(_) => Some(None),
        });
        match searched {
            None => {} // its client has left, or another check has decided
            Some(None) => QUEUE.with_borrow_mut(|queue| queue.push_back(waiting)),
            Some(Some(answer)) => {
                let Waiting { waiter, context, matter, searching } = waiting;
                deliver(&waiter, context, matter, searching.question, Heard::Found(answer));
            }
        }
        if host::now().saturating_sub(began) >= SLICE {
            break;
        }
    }
    WORKED.set(host::now());
}

/// How soon there is more to do; `None` if there is nothing.
pub(super) fn next() -> Option<Duration> {
    (!QUEUE.with_borrow(VecDeque::is_empty)).then_some(PAUSE)
}
