//! Passwords that are being checked, a slice on each tick: to check one takes longer than a worker may stand still.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use hashbrown::HashMap;
use sluice::password::{Door, Verdict};

use crate::chain;
use crate::host;

/// How many iterations one go may do: about two milliseconds.
const BUDGET: u32 = 3_000;
/// How long the worker has for everything else between two goes. Several filters tick.
const PAUSE: Duration = Duration::from_millis(4);

thread_local! {
    /// When the last go ended.
    static WORKED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static DOORS: RefCell<Vec<Weak<RefCell<Door>>>> = const { RefCell::new(Vec::new()) };
    /// What became of a request's check.
    static VERDICTS: RefCell<HashMap<u32, Verdict>> = RefCell::new(HashMap::new());
}

/// Has a door's checks be worked on, as long as there is that door.
pub fn open(door: Door) -> Rc<RefCell<Door>> {
    let door = Rc::new(RefCell::new(door));
    DOORS.with_borrow_mut(|doors| doors.push(Rc::downgrade(&door)));
    door
}

/// Works on the checks, and wakes the requests whose check has ended.
pub fn work() {
    // a clock that was put back has passed no time
    let is_early = host::recent().checked_sub(WORKED.get()).is_some_and(|passed| passed < PAUSE);
    let doors: Vec<_> = DOORS.with_borrow(|doors| doors.iter().filter_map(Weak::upgrade).collect());
    if is_early || doors.is_empty() {
        return;
    }
    for door in doors {
        let answers = match door.try_borrow_mut() {
            Ok(mut door) if door.under_way() > 0 => door.work(BUDGET, host::now()),
            Ok(_) | Err(_) => continue,
        };
        for answer in answers {
            VERDICTS.with_borrow_mut(|verdicts| verdicts.insert(answer.id, answer.verdict));
            chain::wake(answer.id);
            VERDICTS.with_borrow_mut(|verdicts| verdicts.remove(&answer.id));
        }
    }
    DOORS.with_borrow_mut(|doors| doors.retain(|door| door.strong_count() > 0));
    WORKED.set(host::now());
}

/// How soon there is more to do; `None` if there is nothing.
pub fn next() -> Option<Duration> {
    let is_busy = |door: &Rc<RefCell<Door>>| door.try_borrow().map_or(true, |door| door.under_way() > 0);
    DOORS.with_borrow(|doors| doors.iter().filter_map(Weak::upgrade).any(|door| is_busy(&door))).then_some(PAUSE)
}

/// What became of the check of the request that has just been woken. `None` if it was not woken for that.
pub fn verdict(context: u32) -> Option<Verdict> {
    VERDICTS.with_borrow(|verdicts| verdicts.get(&context).copied())
}
