//! The vectors of the examples: fetched once by each worker, when a request first needs them, and kept.
//!
//! They are fetched on a tick, in a filter's own context, because a call ends with its stream.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use sluice::embeddings;
use sluice::endpoint::Endpoint;
use sluice::kinds::{embeddings_body, By, Choose, Vectors, MAX_BY_EMBEDDING};
use sluice::routing::Table;

use super::calls;
use crate::chain;
use crate::host;

/// The most virtual models with vectors in one worker: those of two configurations, because requests of the one before
/// may still be under way, or another router may be there.
const MAX_SETS: usize = 2 * MAX_BY_EMBEDDING;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// The timeout of a call for many vectors. No client waits for it longer than its own.
const TIMEOUT: Duration = Duration::from_secs(30);
/// An answer that is this late will not arrive: the filter that asked has ended.
const GRACE: Duration = Duration::from_secs(1);
/// The most requests of one worker that wait for vectors.
const MAX_WAITING: usize = 1000;

thread_local! {
    static SETS: RefCell<Vec<Examples>> = const { RefCell::new(Vec::new()) };
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
}

/// The examples of one virtual model.
struct Examples {
    digest: [u8; 16],
    /// The newest configuration that asked for them.
    table: Weak<Table>,
    vectors: Rc<Vectors>,
    state: State,
}

enum State {
    /// The next batch is to be fetched.
    Wanted(Rc<Table>, usize),
    /// A batch is being fetched, until then.
    Asked { table: Rc<Table>, model: usize, call: u32, until: Duration },
    /// All are there.
    Ready,
    /// It has failed, and rests until then.
    Failed(Duration),
}

/// A request that waits for the vectors of a configuration.
struct Waiting {
    context: u32,
    digest: [u8; 16],
    until: Duration,
}

/// What is known of the examples.
pub enum Known {
    /// Their vectors.
    Ready(Rc<Vectors>),
    /// They are being fetched; the stream is woken.
    Soon,
    /// The service has failed.
    Failed,
}

/// The vectors of the virtual model at index `model`, for the stream `context`, which waits for them until then.
pub fn find(table: &Rc<Table>, model: usize, choose: &Choose, (context, until): (u32, Duration)) -> Known {
    let now = host::now();
    SETS.with_borrow_mut(|sets| {
        let known = sets.iter().position(|set| set.digest == choose.digest);
        let place = known.unwrap_or_else(|| {
            if sets.len() >= MAX_SETS {
                // one that is no longer configured; else the oldest
                let place = sets.iter().position(|set| set.table.strong_count() == 0);
                sets.remove(place.unwrap_or(0));
            }
            let (state, weak) = (State::Wanted(table.clone(), model), Rc::downgrade(table));
            sets.push(Examples { digest: choose.digest, table: weak, vectors: Rc::default(), state });
            sets.len() - 1
        });
        let Some(set) = sets.get_mut(place) else {
            return Known::Failed;
        };
        if !std::ptr::eq(set.table.as_ptr(), Rc::as_ptr(table)) {
            set.table = Rc::downgrade(table);
        }
        match &set.state {
            State::Ready => return Known::Ready(set.vectors.clone()),
            State::Failed(until) if now < *until => return Known::Failed,
            State::Failed(_) => set.state = State::Wanted(table.clone(), model),
            State::Wanted(..) | State::Asked { .. } => {}
        }
        if now >= until {
            return Known::Failed;
        }
        let waits = WAITING.with_borrow_mut(|waiting| {
            waiting.retain(|other| other.context != context);
            if waiting.len() >= MAX_WAITING {
                return false;
            }
            waiting.push(Waiting { context, digest: choose.digest, until });
            true
        });
        if waits {
            Known::Soon
        } else {
            Known::Failed
        }
    })
}

/// A request waits no longer.
pub fn forget(context: u32) {
    WAITING.with_borrow_mut(|waiting| waiting.retain(|other| other.context != context));
}

/// Fetches what is wanted, and wakes requests that need not wait any longer. Called on each tick.
pub fn work() {
    if SETS.with_borrow(Vec::is_empty) {
        return;
    }
    let now = host::recent();
    SETS.with_borrow_mut(|sets| {
        for set in sets {
            match std::mem::replace(&mut set.state, State::Failed(now + PAUSE)) {
                State::Wanted(table, model) => {
                    if let Some(call) = ask(&table, model, &set.vectors) {
                        set.state = State::Asked { table, model, call, until: now + TIMEOUT + GRACE };
                    }
                }
                State::Asked { until, .. } if now > until => {}
                other => set.state = other,
            }
        }
    });
    wake(now);
}

fn ask(table: &Rc<Table>, model: usize, vectors: &Vectors) -> Option<u32> {
    let choose = table.models().get(model)?.choose.as_ref()?;
    let By::Embedding(service, _) = &choose.by else {
        return None;
    };
    let body = embeddings_body(&service.model, &vectors.missing(choose));
    calls::send(table, service, (Endpoint::Embeddings, embeddings::PATH), &body, TIMEOUT)
}

/// Wakes the requests whose vectors are there or will not come, and those that have waited long enough.
fn wake(now: Duration) {
    let mut over = Vec::new();
    WAITING.with_borrow_mut(|waiting| {
        waiting.retain(|waiting| {
            let is_decided = SETS.with_borrow(|sets| {
                let set = sets.iter().find(|set| set.digest == waiting.digest);
                set.is_none_or(|set| matches!(set.state, State::Ready | State::Failed(_)))
            });
            let is_over = is_decided || now >= waiting.until;
            if is_over {
                over.push(waiting.context);
            }
            !is_over
        });
    });
    over.into_iter().for_each(chain::wake);
}

/// A call has been answered, or has failed.
pub fn answered(number: u32, headers: usize, size: usize) {
    let is_own = |set: &Examples| matches!(set.state, State::Asked { call, .. } if call == number);
    let now = host::recent();
    let known = SETS.with_borrow_mut(|sets| {
        let Some(set) = sets.iter_mut().find(|set| is_own(set)) else {
            return false;
        };
        let State::Asked { table, model, .. } = std::mem::replace(&mut set.state, State::Failed(now + PAUSE)) else {
            return false;
        };
        let Some(choose) = table.models().get(model).and_then(|model| model.choose.as_ref()) else {
            return true;
        };
        let count = set.vectors.missing(choose).len();
        let Some(body) = calls::read(headers, size) else {
            return true;
        };
        let Ok(vectors) = embeddings::read(200, &body, count) else {
            calls::fail("shape", "its answer has no vector for each text");
            return true;
        };
        Rc::make_mut(&mut set.vectors).add(choose, vectors);
        set.state = match set.vectors.missing(choose).is_empty() {
            true => State::Ready,
            false => State::Wanted(table, model),
        };
        true
    });
    if known {
        wake(now);
    }
}
