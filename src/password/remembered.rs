//! Recent successful logins.

use std::time::Duration;

use hashbrown::HashMap;

use super::tag::LoginTag;

/// The maximum number of remembered logins.
pub const MAX_REMEMBERED: usize = 1024;
/// The default time.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(5 * 60);

#[derive(Clone, Copy, Debug)]
struct Entry {
    since: Duration,
    /// Its last use, by [`Remembered::uses`].
    used: u64,
}

/// Successful logins, each for a fixed time that uses do not extend. If there are too many, the least recently used one
/// is dropped: only right passwords get in, so guesses cannot evict others.
#[derive(Debug)]
pub struct Remembered {
    time: Duration,
    entries: HashMap<LoginTag, Entry>,
    /// Counts uses, as an order that does not depend on the clock.
    uses: u64,
}

impl Default for Remembered {
    fn default() -> Self {
        Remembered::for_time(REMEMBERED_FOR)
    }
}

impl Remembered {
    /// Remembers each login for `time`; zero: off.
    pub fn for_time(time: Duration) -> Self {
        Remembered { time, entries: HashMap::new(), uses: 0 }
    }

    /// Whether the login succeeded within the time before `now` (since the epoch). A success in the future does not
    /// count, so a clock set back does not extend it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::password::{Remembered, TagKey};
    ///
    /// let login = TagKey::new(&[7; 32]).login("alice", "open sesame");
    /// let mut remembered = Remembered::for_time(Duration::from_secs(300));
    /// remembered.insert(login, Duration::from_secs(1000));
    /// assert!(remembered.contains(&login, Duration::from_secs(1299)));
    /// assert!(!remembered.contains(&login, Duration::from_secs(1300)));
    /// ```
    pub fn contains(&mut self, login: &LoginTag, now: Duration) -> bool {
        self.uses = self.uses.saturating_add(1);
        let (time, uses) = (self.time, self.uses);
        let Some(entry) = self.entries.get_mut(login) else {
            return false;
        };
        entry.used = uses;
        now.checked_sub(entry.since).is_some_and(|age| age < time)
    }

    /// Remembers the login from `now` on.
    pub fn insert(&mut self, login: LoginTag, now: Duration) {
        if self.entries.len() >= MAX_REMEMBERED && !self.entries.contains_key(&login) {
            self.make_room(now);
        }
        self.uses = self.uses.saturating_add(1);
        self.entries.insert(login, Entry { since: now, used: self.uses });
    }

    /// The number of logins, including expired ones.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Scans all of them, which is cheap compared with a password check.
    fn make_room(&mut self, now: Duration) {
        let time = self.time;
        self.entries.retain(|_, entry| now.saturating_sub(entry.since) < time);
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(login, _)| *login);
        if let Some(oldest) = oldest.filter(|_| self.entries.len() >= MAX_REMEMBERED) {
            self.entries.remove(&oldest);
        }
    }
}
