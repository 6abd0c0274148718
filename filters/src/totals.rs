//! Usage totals, in the shared data of all workers of this Envoy. A worker adds its requests' usage at most twice a
//! second; one that crashes loses what it has not added.

use std::cell::RefCell;
use std::time::Duration;

use sluice::codec::{Changed, SharedRecord};
use sluice::exchange::Exchange;
use sluice::totals::{day_of, part_of, place_of, Query, Recent, Report, Totals, MAX_DAYS, PARTS};
use sluice::wire_names;

use crate::host::{self, shared_data};

/// How long a worker keeps its sums.
const PAUSE: Duration = Duration::from_millis(500);

thread_local! {
    static PENDING: RefCell<Pending> = RefCell::default();
}

/// Pending usage.
#[derive(Default)]
struct Pending {
    recent: Recent,
    /// Earlier usage, by part and day.
    parts: Vec<(u64, Totals)>,
    flushed: Duration,
}

/// Counts a finished request.
pub fn count(exchange: &Exchange) {
    PENDING.with_borrow_mut(|pending| {
        pending.recent.count(exchange, host::recent());
        if pending.recent.is_full() {
            pending.merge();
        }
    });
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.recent.is_empty() && self.parts.is_empty()
    }

    /// Merges the recent usage into the earlier one.
    fn merge(&mut self) {
        for (part, new) in self.recent.drain() {
            let known = |(known, totals): &&mut (u64, Totals)| *known == part && totals.day() == new.day();
            match self.parts.iter_mut().find(known) {
                Some((_, totals)) => totals.merge(&new),
                None => self.parts.push((part, new)),
            }
        }
    }
}

/// Adds pending usage, if it is time. Called on each tick.
pub fn flush_now_and_then() {
    let now = host::recent();
    let due = PENDING.with_borrow(|pending| !pending.is_empty() && now >= pending.flushed + PAUSE);
    if due {
        flush();
    }
}

/// Notes when this Envoy has begun to count.
pub fn begin() {
    let now = host::now().as_secs().to_le_bytes();
    shared_data::swap(wire_names::COUNTED_SINCE, &mut |known| known.is_empty().then(|| now.to_vec()));
}

/// When this Envoy has begun to count, if it is known.
fn since() -> Option<Duration> {
    let bytes = shared_data::read(wire_names::COUNTED_SINCE)?;
    Some(Duration::from_secs(u64::from_le_bytes(bytes.try_into().ok()?)))
}

/// A report on all keys, or on one. Other workers may have pending usage for half a second. `limits_seeded`: whether the
/// limits have begun with the ledger's usage, if there is a ledger.
pub fn report(query: Query, only: Option<&str>, limits_seeded: Option<bool>) -> String {
    flush();
    let mut report = Report::new(query, only, day_of(host::now()));
    if let Some(began) = since() {
        report = report.since(began, limits_seeded);
    }
    let own = only.map(part_of);
    for part in (0..PARTS).filter(|part| own.is_none_or(|own| own == *part)) {
        for place in 0..MAX_DAYS {
            let known = shared_data::read(&wire_names::totals(part, place));
            if let Some(totals) = known.and_then(|bytes| Totals::parse(&bytes)) {
                report.add(&totals);
            }
        }
    }
    report.write()
}

fn flush() {
    PENDING.with_borrow_mut(|pending| {
        pending.flushed = host::recent();
        pending.merge();
        pending.parts.retain(|(part, new)| !add(&wire_names::totals(*part, place_of(new.day())), new));
    });
}

fn add(key: &str, new: &Totals) -> bool {
    let added = shared_data::update(key, |totals: &mut Totals| {
        // data of another day is too old
        if totals.day() != new.day() {
            *totals = Totals::new(new.day());
        }
        totals.merge(new);
        Changed::Write
    });
    added.is_some()
}
