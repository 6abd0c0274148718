//! What the services have said of texts lately.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use super::Memory;
use crate::guard::api::Reading;

/// The most findings of a text that is remembered: entries are to stay small.
const MAX_FINDINGS: usize = 64;

/// Stands for a text that a check has read.
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

/// Readings, each for a time that use does not lengthen. If there are too many, the oldest gives way. Texts are not
/// kept, only hashes of them: most of a conversation comes again with its next turn, and is not asked for again.
pub struct Known {
    memory: Memory,
    entries: HashMap<Tag, Entry>,
    /// Every tag of `entries` once, the oldest first.
    order: VecDeque<Tag>,
}

impl Known {
    /// Remembers as much as `memory` says.
    pub fn new(memory: Memory) -> Self {
        Known { memory, entries: HashMap::new(), order: VecDeque::new() }
    }

    /// What the check with this index said of the text in the time before `now`. What lies ahead is not known: a
    /// clock that was put back makes nothing known for longer.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::guard::api::Reading;
    /// use sluice::guard::checks::{Known, Memory};
    ///
    /// let mut known = Known::new(Memory { time: Duration::from_secs(60), entries: 10 });
    /// known.insert(0, "Hello", &Reading::Clean, Duration::from_secs(100));
    /// assert_eq!(known.get(0, "Hello", Duration::from_secs(159)), Some(&Reading::Clean));
    /// assert_eq!(known.get(0, "Hello", Duration::from_secs(160)), None);
    /// assert_eq!(known.get(1, "Hello", Duration::from_secs(101)), None, "another check");
    /// ```
    pub fn get(&self, check: usize, text: &str, now: Duration) -> Option<&Reading> {
        if self.entries.is_empty() {
            return None;
        }
        let entry = self.entries.get(&tag(check, text))?;
        now.checked_sub(entry.since).is_some_and(|age| age < self.memory.time).then_some(&entry.reading)
    }

    /// Remembers a reading from now on.
    pub fn insert(&mut self, check: usize, text: &str, reading: &Reading, now: Duration) {
        if self.memory.entries == 0 || reading.findings().len() > MAX_FINDINGS {
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

    /// How many there are, some of those included whose time is over.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn make_room(&mut self, now: Duration) {
        while let Some(oldest) = self.order.front() {
            let over = |entry: &Entry| now.saturating_sub(entry.since) >= self.memory.time;
            if self.entries.len() < self.memory.entries && !self.entries.get(oldest).is_none_or(over) {
                return;
            }
            self.entries.remove(oldest);
            self.order.pop_front();
        }
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Known({} entries)", self.entries.len())
    }
}

fn tag(check: usize, text: &str) -> Tag {
    Tag { check, digest: Sha256::digest(text.as_bytes()).into() }
}
