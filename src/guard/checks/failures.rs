//! When the log tells of checks that could not be made.

use std::time::Duration;

use hashbrown::HashMap;

/// So long a check's further failures are only counted.
const SILENCE: Duration = Duration::from_secs(60);

/// The checks that could not be made, by name. A broken service fails each request; the log shall say so, and not each
/// time.
#[derive(Debug, Default)]
pub struct Failures {
    checks: HashMap<String, Untold>,
}

/// What has not been told of a check.
#[derive(Debug)]
struct Untold {
    since: Duration,
    count: u64,
}

impl Failures {
    /// Takes in a failure of `check` at `now`, by whatever clock. If it is to be told, returns how many have not been told
    /// before this one.
    pub fn note(&mut self, check: &str, now: Duration) -> Option<u64> {
        let Some(untold) = self.checks.get_mut(check) else {
            self.checks.insert(check.to_owned(), Untold { since: now, count: 0 });
            return Some(0);
        };
        if now.saturating_sub(untold.since) < SILENCE {
            untold.count += 1;
            return None;
        }
        let count = untold.count;
        *untold = Untold { since: now, count: 0 };
        Some(count)
    }
}
