//! Charges that wait to be sent.

use std::time::Duration;

use hashbrown::HashMap;

use super::{Counter, Hit};

/// The maximum number of limits with waiting charges.
const MAX_WAITING: usize = 10_000;
/// The maximum number of limits in one call.
const MAX_SENT: usize = 100;

/// The waiting charges, by limit.
#[derive(Debug, Default)]
pub struct Charges {
    waiting: HashMap<Counter, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    hits: u64,
    /// The minute of the latest usage in it, since the epoch.
    minute: u64,
}

impl Charges {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a charge. `false`: there is no room for another limit.
    pub fn add(&mut self, hit: Hit, now: Duration) -> bool {
        let minute = now.as_secs() / 60;
        if let Some(known) = self.waiting.get_mut(&hit.counter) {
            let stale = hit.counter.is_of_a_minute() && known.minute != minute;
            let before = if stale { 0 } else { known.hits };
            *known = Waiting { hits: before.saturating_add(hit.hits), minute };
            return true;
        }
        let fits = self.waiting.len() < MAX_WAITING;
        if fits {
            self.waiting.insert(hit.counter, Waiting { hits: hit.hits, minute });
        }
        fits
    }

    /// Takes the charges for the next call. Usage of a minute that has passed is dropped, because it would count in the
    /// wrong minute.
    pub fn take(&mut self, now: Duration) -> Vec<Hit> {
        let minute = now.as_secs() / 60;
        self.waiting.retain(|counter, known| !counter.is_of_a_minute() || known.minute == minute);
        let sent: Vec<Counter> = self.waiting.keys().take(MAX_SENT).cloned().collect();
        let mut hits = Vec::with_capacity(sent.len());
        for counter in sent {
            if let Some(known) = self.waiting.remove(&counter) {
                hits.push(Hit { counter, hits: known.hits });
            }
        }
        hits
    }
}
