//! Keys that hold no longer, whatever they say of themselves.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::bytes::{read_text, take, write_text};

const VERSION: u8 = 1;
const FOR_EVER: u64 = u64::MAX;

/// The longest id that is kept.
const MAX_ID: usize = 1024;

/// The ids of revoked keys, each until a time or for ever.
///
/// ```
/// use std::time::Duration;
/// use sluice::keys::Revocations;
///
/// let at = Duration::from_secs;
/// let mut revoked = Revocations::default();
/// assert_eq!(revoked.revoke("alice", Some(at(60))), Ok(()));
/// assert!(revoked.is_revoked("alice", at(59)) && !revoked.is_revoked("alice", at(60)));
/// assert_eq!(Revocations::decode(&revoked.encode()), Some(revoked));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    /// In milliseconds since the epoch.
    until: BTreeMap<String, u64>,
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

    /// Revokes an id until a time since the epoch, or for ever. One that is revoked for longer stays so.
    ///
    /// # Errors
    /// It could not be kept.
    pub fn revoke(&mut self, id: &str, until: Option<Duration>) -> Result<(), RevokeError> {
        let until = until.map_or(FOR_EVER, millis);
        if let Some(known) = self.until.get_mut(id) {
            *known = until.max(*known);
            return Ok(());
        }
        if id.len() > MAX_ID {
            return Err(RevokeError::IdTooLong);
        }
        if self.until.len() >= Self::MAX {
            return Err(RevokeError::TooMany);
        }
        self.until.insert(id.to_owned(), until);
        Ok(())
    }

    /// Whether an id is revoked at `now`.
    pub fn is_revoked(&self, id: &str, now: Duration) -> bool {
        self.until.get(id).is_some_and(|until| is_ahead(*until, now))
    }

    /// Forgets what is over at `now`.
    pub fn prune(&mut self, now: Duration) {
        self.until.retain(|_, until| is_ahead(*until, now));
    }

    /// The ids, and until when they are revoked.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<Duration>)> {
        let time = |until| (until != FOR_EVER).then_some(Duration::from_millis(until));
        self.until.iter().map(move |(id, until)| (id.as_str(), time(*until)))
    }

    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.until.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// The bytes to share: the version, and for each id, in order, its length (2 bytes) and itself, and the time in
    /// milliseconds (8 bytes, all ones: for ever), little-endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for (id, until) in &self.until {
            write_text(&mut out, id);
            out.extend(until.to_le_bytes());
        }
        out
    }

    /// Reads shared bytes; none at all are an empty set. `None` for what cannot be read, such as another version's:
    /// whoever takes that for an empty set lets revoked keys in again.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut revocations = Revocations::default();
        let Some((version, mut rest)) = bytes.split_first() else {
            return Some(revocations);
        };
        let mut last = None;
        while !rest.is_empty() {
            let id = read_text(&mut rest)?;
            let until = u64::from_le_bytes(take(&mut rest)?);
            // as it was written: in order, and so each of them once
            if last.is_some_and(|last| last >= id) || id.len() > MAX_ID || revocations.len() >= Self::MAX {
                return None;
            }
            revocations.until.insert(id.to_owned(), until);
            last = Some(id);
        }
        (*version == VERSION).then_some(revocations)
    }
}

/// In whole milliseconds; a part of one counts, so that nothing ends too early.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(FOR_EVER)
}

fn is_ahead(until: u64, now: Duration) -> bool {
    until == FOR_EVER || now < Duration::from_millis(until)
}
