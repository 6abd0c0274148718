//! Revoked keys.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::codec::{Reader, SharedRecord, Writer};

/// The format before revocations had a `before`.
const WITHOUT_BEFORE: u8 = 1;
const FOR_EVER: u64 = u64::MAX;

/// How many seconds later than its real time a new key may claim to be issued.
const LONGEST_POSTDATING: u64 = 60;

/// The longest id that is stored.
const MAX_ID: usize = 1024;

/// Which keys of an id are revoked, and for how long; by default all of them, forever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// Only keys issued before this time, since the epoch. A key without a time of issue counts as one of them.
    pub before: Option<Duration>,
    /// Only until this time, since the epoch.
    pub until: Option<Duration>,
}

impl Revocation {
    /// Revokes all keys issued by `now` (since the epoch). Virtual keys have their time in whole seconds, so it
    /// includes the current second.
    pub fn of_issued_by(now: Duration) -> Self {
        Revocation { before: Some(Duration::from_secs(now.as_secs().saturating_add(1))), until: None }
    }

    /// A time of issue for a new key that this does not revoke, in seconds since the epoch: `now`, or slightly later if
    /// keys of the current second are revoked. If that would be too late, `now`.
    pub fn next_issue(self, now: u64) -> u64 {
        let before =
            self.before.map_or(0, |before| before.as_secs().saturating_add(u64::from(before.subsec_nanos() > 0)));
        match before <= now.saturating_add(LONGEST_POSTDATING) {
            true => before.max(now),
            false => now,
        }
    }
}

/// The ids of revoked keys.
///
/// ```
/// use std::time::Duration;
/// use sluice::codec::SharedRecord;
/// use sluice::keys::{Revocation, Revocations};
///
/// let at = Duration::from_secs;
/// let mut revoked = Revocations::default();
/// assert_eq!(revoked.revoke("alice", Revocation { before: Some(at(9)), until: Some(at(60)) }), Ok(()));
/// assert!(revoked.is_revoked("alice", Some(at(8)), at(59)) && !revoked.is_revoked("alice", Some(at(8)), at(60)));
/// assert!(!revoked.is_revoked("alice", Some(at(9)), at(59)));
/// assert_eq!(Revocations::parse(&revoked.encode()), Some(revoked));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    entries: BTreeMap<String, Entry>,
}

/// In milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    until: u64,
    before: u64,
}

impl Entry {
    fn is_over(self, now: Duration) -> bool {
        !is_ahead(self.until, now)
    }

    fn covers(self, issued: Option<Duration>) -> bool {
        issued.is_none_or(|issued| is_ahead(self.before, issued))
    }
}

/// Why an id cannot be revoked here; the configuration can still revoke it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeError {
    /// There are too many already.
    TooMany,
    /// The id is longer than any key's.
    IdTooLong,
}

impl fmt::Display for RevokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RevokeError::TooMany => write!(f, "{} ids are revoked already", Revocations::MAX),
            RevokeError::IdTooLong => write!(f, "an id has at most {MAX_ID} bytes"),
        }
    }
}

impl Revocations {
    /// The maximum number of stored ids.
    pub const MAX: usize = 10_000;

    /// Revokes keys of an id. Existing revocations stay: of two, the later times apply.
    ///
    /// # Errors
    /// It could not be stored.
    pub fn revoke(&mut self, id: &str, revocation: Revocation) -> Result<(), RevokeError> {
        let until = revocation.until.map_or(FOR_EVER, millis);
        let before = revocation.before.map_or(FOR_EVER, millis);
        if let Some(known) = self.entries.get_mut(id) {
            *known = Entry { until: until.max(known.until), before: before.max(known.before) };
            return Ok(());
        }
        if id.len() > MAX_ID {
            return Err(RevokeError::IdTooLong);
        }
        if self.entries.len() >= Self::MAX {
            return Err(RevokeError::TooMany);
        }
        self.entries.insert(id.to_owned(), Entry { until, before });
        Ok(())
    }

    /// Undoes the revocation of an id; returns whether there was one.
    pub fn restore(&mut self, id: &str) -> bool {
        self.entries.remove(id).is_some()
    }

    /// Whether a key with this id is revoked at `now`; `issued` is its time of issue.
    pub fn is_revoked(&self, id: &str, issued: Option<Duration>, now: Duration) -> bool {
        self.entries.get(id).is_some_and(|entry| !entry.is_over(now) && entry.covers(issued))
    }

    /// Drops the revocations that have ended at `now`.
    pub fn prune(&mut self, now: Duration) {
        self.entries.retain(|_, entry| !entry.is_over(now));
    }

    /// The revocation of an id.
    pub fn get(&self, id: &str) -> Option<Revocation> {
        let time = |time| (time != FOR_EVER).then_some(Duration::from_millis(time));
        self.entries.get(id).map(|entry| Revocation { before: time(entry.before), until: time(entry.until) })
    }

    /// The number of ids.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// For each id, in alphabetical order: the id, and the times `until` and `before` in milliseconds (all ones: none).
///
/// Unreadable bytes must not count as an empty set, because then revoked keys would be valid again. So this is not
/// [`Forgettable`]: missing bytes are an empty set, and unknown versions are unreadable.
///
/// [`Forgettable`]: crate::codec::Forgettable
impl SharedRecord for Revocations {
    const VERSION: u8 = 2;
    /// The format before revocations had a `before`.
    const OLDEST: u8 = WITHOUT_BEFORE;

    fn write(&self, out: &mut Writer) {
        for (id, entry) in &self.entries {
            out.text(id);
            out.u64(entry.until);
            out.u64(entry.before);
        }
    }

    fn read(input: &mut Reader<'_>, version: u8) -> Option<Self> {
        let mut last = None;
        let entries = input.list_to_end(Self::MAX, |input| {
            let (id, until) = (input.text()?, input.u64()?);
            let before = match version {
                WITHOUT_BEFORE => FOR_EVER,
                _ => input.u64()?,
            };
            // must be in order, so that each id occurs once
            let follows = last.is_none_or(|last| last < id) && id.len() <= MAX_ID;
            last = Some(id);
            follows.then(|| (id.to_owned(), Entry { until, before }))
        });
        Some(Revocations { entries: entries?.into_iter().collect() })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        match input.u8() {
            None => Some(Revocations::default()),
            Some(version) if (Self::OLDEST..=Self::VERSION).contains(&version) => Self::read(&mut input, version),
            Some(_) => None,
        }
    }
}

/// In whole milliseconds, rounded up, so that nothing ends too early.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(FOR_EVER)
}

fn is_ahead(until: u64, now: Duration) -> bool {
    until == FOR_EVER || now < Duration::from_millis(until)
}
