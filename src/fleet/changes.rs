//! What the ledger says has been revoked and restored.

use std::time::Duration;

use serde::Deserialize;

use super::Unsent;
use crate::keys::{Revocation, Revocations, RevokeError};

/// The maximum number of changes in one answer.
pub const MAX_CHANGES: usize = 1_000;

/// An answer of `GET /revocations`.
#[derive(Debug, Deserialize)]
pub struct Changes {
    /// The ledger's process.
    pub instance: String,
    /// The number of the last change in the answer.
    pub last: u64,
    /// Whether there are further changes.
    #[serde(default)]
    pub more: bool,
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    id: String,
    revocation: Option<Times>,
}

/// In milliseconds since the epoch.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Times {
    before: Option<u64>,
    until: Option<u64>,
}

/// An answer to a change.
#[derive(Deserialize)]
struct Taken {
    #[serde(rename = "last")]
    _last: u64,
}

/// Whether this is the ledger's answer to a change that it has stored.
///
/// ```
/// use sluice::fleet::is_taken;
///
/// assert!(is_taken(br#"{"last":7}"#) && !is_taken(b"{}") && !is_taken(b"<html>"));
/// ```
pub fn is_taken(body: &[u8]) -> bool {
    serde_json::from_slice::<Taken>(body).is_ok()
}

impl Changes {
    /// Reads an answer. `None`: invalid.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::fleet::{Changes, Unsent};
    /// use sluice::keys::Revocations;
    ///
    /// let text = br#"{"instance":"a","last":3,"changes":[{"id":"alice","revocation":{"before":2000}}]}"#;
    /// let (changes, mut revoked) = (Changes::read(text).unwrap(), Revocations::default());
    /// assert_eq!(changes.apply(&mut revoked, &Unsent::default(), Duration::ZERO), Ok(()));
    /// assert!(revoked.is_revoked("alice", Some(Duration::from_secs(1)), Duration::from_secs(9)));
    /// assert!(Changes::read(b"{}").is_none());
    /// ```
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().filter(|answer: &Changes| answer.changes.len() <= MAX_CHANGES)
    }

    /// Whether it says anything.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Makes the same changes here. A key that was revoked here meanwhile stays revoked.
    ///
    /// # Errors
    /// Not all of them could be kept; the others have been made.
    pub fn apply(&self, revoked: &mut Revocations, unsent: &Unsent, now: Duration) -> Result<(), RevokeError> {
        revoked.prune(now);
        let mut result = Ok(());
        for Change { id, revocation } in &self.changes {
            match revocation {
                Some(Times { before, until }) => {
                    let [before, until] = [before, until].map(|time| time.map(Duration::from_millis));
                    result = result.and(revoked.revoke(id, Revocation { before, until }));
                }
                None if unsent.revokes(id) => {}
                None => {
                    revoked.restore(id);
                }
            }
        }
        result
    }
}
