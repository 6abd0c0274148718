//! Slows down guesses at a user's password.

use std::time::Duration;

use hashbrown::HashMap;

use super::tag::NameTag;

/// The maximum number of names whose failures are counted.
pub const MAX_NAMES: usize = 4096;
/// This many failures within [`WINDOW`] cause no wait.
pub const FREE_FAILURES: usize = 4;
/// The first wait; each failure after it doubles it.
pub const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long a failure counts.
const WINDOW: Duration = Duration::from_secs(60);
/// Without a failure for this long after a wait, everything is forgotten.
const QUIET: Duration = Duration::from_secs(10 * 60);

/// The state of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failures {
    /// Few failures yet: their times, the newest first.
    Few([Option<Duration>; FREE_FAILURES]),
    /// Each failure causes a wait now.
    Many { wait: Duration, until: Duration },
}

impl Failures {
    const NONE: Failures = Failures::Few([None; FREE_FAILURES]);

    fn failed(&mut self, now: Duration) {
        if self.is_over(now) {
            *self = Failures::NONE;
        }
        *self = match *self {
            Failures::Many { wait, .. } => Failures::waiting(wait.saturating_mul(2).min(LONGEST_WAIT), now),
            Failures::Few(times) if recent(&times, now) >= FREE_FAILURES => Failures::waiting(SHORTEST_WAIT, now),
            Failures::Few(mut times) => {
                times.rotate_right(1);
                if let Some(first) = times.first_mut() {
                    *first = Some(now);
                }
                Failures::Few(times)
            }
        }
    }

    fn waiting(wait: Duration, now: Duration) -> Self {
        Failures::Many { wait, until: now.saturating_add(wait) }
    }

    /// `under_way`: running attempts, each of which may be the next failure.
    fn allowed(&self, under_way: usize, now: Duration) -> Result<(), Duration> {
        let wait = match self {
            _ if self.is_over(now) => (under_way > FREE_FAILURES).then_some(SHORTEST_WAIT),
            Failures::Few(times) => {
                let too_many = recent(times, now).saturating_add(under_way) > FREE_FAILURES;
                too_many.then_some(SHORTEST_WAIT)
            }
            Failures::Many { wait, until } => {
                // more than the whole wait is left, so the clock was set back by an unknown time
                let left = until.checked_sub(now).filter(|left| !left.is_zero() && left <= wait);
                left.or((under_way > 0).then_some(SHORTEST_WAIT))
            }
        };
        wait.map_or(Ok(()), Err)
    }

    /// Whether none of it counts any more.
    fn is_over(&self, now: Duration) -> bool {
        match self {
            Failures::Few(times) => recent(times, now) == 0,
            Failures::Many { until, .. } => now.saturating_sub(*until) >= QUIET,
        }
    }
}

fn recent(times: &[Option<Duration>], now: Duration) -> usize {
    times.iter().flatten().filter(|time| now.saturating_sub(**time) < WINDOW).count()
}

/// Failures by name, whether or not the user exists.
///
/// **A full table.** Each name in it has cost a complete check, so it does not fill by itself. When it is full, names
/// with expired failures are dropped first, then the name without a wait whose last failure is oldest. To make it
/// forget one name's few failures, a guesser pays 4,096 checks; waiting a minute has the same effect. Names with a wait
/// are never dropped. If all names wait (more than 20,000 failed checks within minutes), names without an entry are
/// counted together as one: they wait together, but no guess is uncounted.
#[derive(Debug)]
pub struct Throttle {
    names: HashMap<NameTag, Failures>,
    /// The names without an entry.
    others: Failures,
}

impl Default for Throttle {
    fn default() -> Self {
        Throttle { names: HashMap::new(), others: Failures::NONE }
    }
}

impl Throttle {
    /// Whether the name may be tried now. `under_way`: its running attempts, so that parallel guesses gain nothing.
    ///
    /// # Errors
    /// How long it has to wait.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::password::{TagKey, Throttle};
    ///
    /// let alice = TagKey::new(&[7; 32]).name("alice");
    /// let now = Duration::from_secs(1000);
    /// let mut throttle = Throttle::default();
    /// for _ in 0..5 {
    ///     assert_eq!(throttle.allowed(&alice, 0, now), Ok(()));
    ///     throttle.failed(alice, now);
    /// }
    /// assert_eq!(throttle.allowed(&alice, 0, now), Err(Duration::from_secs(1)));
    /// ```
    pub fn allowed(&self, name: &NameTag, under_way: usize, now: Duration) -> Result<(), Duration> {
        self.names.get(name).unwrap_or(&self.others).allowed(under_way, now)
    }

    /// The password was wrong.
    pub fn failed(&mut self, name: NameTag, now: Duration) {
        if let Some(failures) = self.names.get_mut(&name) {
            return failures.failed(now);
        }
        if self.names.len() >= MAX_NAMES && !self.make_room(now) {
            return self.others.failed(now);
        }
        let mut failures = Failures::NONE;
        failures.failed(now);
        self.names.insert(name, failures);
    }

    /// The password was right: the name's failures are forgotten.
    pub fn succeeded(&mut self, name: &NameTag) {
        self.names.remove(name);
    }

    /// The number of names in the table.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// `false` if all names wait.
    fn make_room(&mut self, now: Duration) -> bool {
        self.names.retain(|_, failures| !failures.is_over(now));
        if self.names.len() < MAX_NAMES {
            return true;
        }
        let few = self.names.iter().filter_map(|(name, failures)| match failures {
            Failures::Few(times) => Some((times.first().copied().flatten(), *name)),
            Failures::Many { .. } => None,
        });
        let oldest = few.min_by_key(|(newest, _)| *newest).map(|(_, name)| name);
        oldest.is_some_and(|name| self.names.remove(&name).is_some())
    }
}
