//! When failed checks are logged.

use std::time::Duration;

use hashbrown::hash_map::Entry;
use hashbrown::HashMap;

/// For this long, further failures of the same kind are only counted.
const SILENCE: Duration = Duration::from_secs(60);

/// Failures by service and kind. A broken service fails every request, but one line per minute is enough; and one kind
/// of failure must not hide another.
#[derive(Debug, Default)]
pub struct Failures {
    told: HashMap<(String, &'static str), Told>,
}

/// A logged failure.
#[derive(Debug)]
struct Told {
    at: Duration,
    /// The number of failures since then.
    since: u64,
}

impl Failures {
    /// Records a failure of `who`, of a named kind, at `now`, by any clock. If it should be logged, returns the number
    /// of unlogged failures since the last line.
    pub fn note(&mut self, who: &str, kind: &'static str, now: Duration) -> Option<u64> {
        let told = match self.told.entry((who.to_owned(), kind)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(Told { at: now, since: 0 });
                return Some(0);
            }
        };
        // a clock set back must not suppress the log
        if now.checked_sub(told.at).is_some_and(|passed| passed < SILENCE) {
            told.since += 1;
            return None;
        }
        Some(std::mem::replace(told, Told { at: now, since: 0 }).since)
    }
}
