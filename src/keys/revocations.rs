//! Keys that hold no longer, whatever they say of themselves.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::codec::{Reader, SharedRecord, Writer};

/// What was written before revocations had a `before`.
const WITHOUT_BEFORE: u8 = 1;
const FOR_EVER: u64 = u64::MAX;

/// By how many seconds a new key may be said to be issued later than it is.
const LONGEST_POSTDATING: u64 = 60;

/// The longest id that is kept.
const MAX_ID: usize = 1024;

/// Which keys of an id are revoked, and for how long: all of them and for ever, where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// Only keys that were issued before this time, since the epoch. A key that does not say when it was issued counts
    /// as one of them.
    pub before: Option<Duration>,
    /// Only until this time, since the epoch.
    pub until: Option<Duration>,
}

impl Revocation {
    /// Of all keys that have been issued by `now` (since the epoch). Virtual keys say their time in whole seconds, so
    /// it reaches to the next one.
    pub fn of_issued_by(now: Duration) -> Self {
        Revocation { before: Some(Duration::from_secs(now.as_secs().saturating_add(1))), until: None }
    }

    /// The issue time for a new key, in seconds since the epoch, which this does not revoke: `now`, or a little later
    /// where keys of this very second are revoked. Where that would be too late, `now`.
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

/// Why an id cannot be revoked here; the configuration can still do it.
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
    /// The most ids that are kept.
    pub const MAX: usize = 10_000;

    /// Revokes keys of an id. What is revoked already stays so: of two revocations, the later times hold.
    ///
    /// # Errors
    /// It could not be kept.
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

    /// Takes back what was revoked of an id; whether there was anything.
    pub fn restore(&mut self, id: &str) -> bool {
        self.entries.remove(id).is_some()
    }

    /// Whether a key of this id is revoked at `now`; `issued` is when it was issued.
    pub fn is_revoked(&self, id: &str, issued: Option<Duration>, now: Duration) -> bool {
        self.entries.get(id).is_some_and(|entry| !entry.is_over(now) && entry.covers(issued))
    }

    /// Forgets what is over at `now`.
    pub fn prune(&mut self, now: Duration) {
        self.entries.retain(|_, entry| !entry.is_over(now));
    }

    /// What is revoked of an id.
    pub fn get(&self, id: &str) -> Option<Revocation> {
        let time = |time| (time != FOR_EVER).then_some(Duration::from_millis(time));
        self.entries.get(id).map(|entry| Revocation { before: time(entry.before), until: time(entry.until) })
    }

    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// For each id, in order, the id, and the times `until` and `before` in milliseconds (all ones: none).
///
/// Whoever takes what cannot be read for an empty set lets revoked keys in again, so it is not [`Forgettable`]: nothing
/// at all is an empty set, and every other version's bytes are none.
///
/// [`Forgettable`]: crate::codec::Forgettable
impl SharedRecord for Revocations {
    const VERSION: u8 = 2;
    /// What was written before revocations had a `before`.
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
            // as it was written: in order, and so each of them once
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

/// In whole milliseconds; a part of one counts, so that nothing ends too early.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(FOR_EVER)
}

fn is_ahead(until: u64, now: Duration) -> bool {
    until == FOR_EVER || now < Duration::from_millis(until)
}
