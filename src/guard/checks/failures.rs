//! When the log tells of checks that could not be made.

use std::time::Duration;

use hashbrown::hash_map::Entry;
use hashbrown::HashMap;

/// So long further failures of the same kind are only counted.
const SILENCE: Duration = Duration::from_secs(60);

/// What has failed, by whose failure it is and of which kind. A broken service fails each request; the log shall say so,
/// and not each time; and one cause shall not hide another.
#[derive(Debug, Default)]
pub struct Failures {
    told: HashMap<(String, &'static str), Told>,
}

/// A failure that the log has told of.
#[derive(Debug)]
struct Told {
    at: Duration,
    /// How many there have been since.
    since: u64,
}

impl Failures {
    /// Takes in a failure of `who`, of a kind that has a name, at `now`, by whatever clock. If it is to be told, returns how
    /// many have not been since the last one that was.
    pub fn note(&mut self, who: &str, kind: &'static str, now: Duration) -> Option<u64> {
        let told = match self.told.entry((who.to_owned(), kind)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(Told { at: now, since: 0 });
                return Some(0);
            }
        };
        // a clock that has been set back keeps nothing silent
        if now.checked_sub(told.at).is_some_and(|passed| passed < SILENCE) {
            told.since += 1;
            return None;
        }
        Some(std::mem::replace(told, Told { at: now, since: 0 }).since)
    }
}
