//! Cached results of services.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use super::CacheLimits;
use crate::guard::api::Reading;

/// The maximum number of cached findings of a text, to keep entries small.
const MAX_FINDINGS: usize = 64;

/// Identifies a text that a check has read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Tag {
    check: usize,
    digest: [u8; 32],
}

#[derive(Debug)]
struct Entry {
    since: Duration,
    reading: Reading,
}

/// Readings, each for a fixed time that use does not extend. If there are too many, the oldest is dropped. Only hashes
/// of texts are stored. Most of a conversation is repeated in its next turn, and need not be checked again.
pub struct ResultCache {
    limits: CacheLimits,
    entries: HashMap<Tag, Entry>,
    /// Every tag of `entries` once, oldest first.
    order: VecDeque<Tag>,
}

impl ResultCache {
    /// A cache with these bounds.
    pub fn new(limits: CacheLimits) -> Self {
        ResultCache { limits, entries: HashMap::new(), order: VecDeque::new() }
    }

    /// The reading of the text by the check with this index, within the time before `now`. Readings from the future are
    /// ignored, so a clock set back does not extend them.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::guard::api::Reading;
    /// use sluice::guard::checks::{ResultCache, CacheLimits};
    ///
    /// let mut cache = ResultCache::new(CacheLimits { time: Duration::from_secs(60), entries: 10 });
    /// cache.insert(0, "Hello", &Reading::Clean, Duration::from_secs(100));
    /// assert_eq!(cache.get(0, "Hello", Duration::from_secs(159)), Some(&Reading::Clean));
    /// assert_eq!(cache.get(0, "Hello", Duration::from_secs(160)), None);
    /// assert_eq!(cache.get(1, "Hello", Duration::from_secs(101)), None, "another check");
    /// ```
    pub fn get(&self, check: usize, text: &str, now: Duration) -> Option<&Reading> {
        if self.entries.is_empty() {
            return None;
        }
        let entry = self.entries.get(&tag(check, text))?;
        now.checked_sub(entry.since).is_some_and(|age| age < self.limits.time).then_some(&entry.reading)
    }

    /// Caches a reading from `now` on.
    pub fn insert(&mut self, check: usize, text: &str, reading: &Reading, now: Duration) {
        if self.limits.entries == 0 || reading.findings().len() > MAX_FINDINGS {
            return;
        }
        let tag = tag(check, text);
        if let Some(entry) = self.entries.get_mut(&tag) {
            *entry = Entry { since: now, reading: reading.clone() };
            return;
        }
        self.make_room(now);
        self.order.push_back(tag);
        self.entries.insert(tag, Entry { since: now, reading: reading.clone() });
    }

    /// The number of entries, including some expired ones.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn make_room(&mut self, now: Duration) {
        while let Some(oldest) = self.order.front() {
            let over = |entry: &Entry| now.saturating_sub(entry.since) >= self.limits.time;
            if self.entries.len() < self.limits.entries && !self.entries.get(oldest).is_none_or(over) {
                return;
            }
            self.entries.remove(oldest);
            self.order.pop_front();
        }
    }
}

impl std::fmt::Debug for ResultCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ResultCache({} entries)", self.entries.len())
    }
}

fn tag(check: usize, text: &str) -> Tag {
    Tag { check, digest: Sha256::digest(text.as_bytes()).into() }
}
