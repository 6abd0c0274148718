//! What is stored about a revoked id.

use serde::{Deserialize, Serialize};

/// A revocation, as Envoys tell it: which keys of an id, and until when. All times are in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedId {
    /// When it was revoked; by default when the ledger learns it.
    pub at: Option<i64>,
    /// Only keys issued before this time; `None`: all.
    #[serde(default)]
    pub before: Option<i64>,
    /// Only until this time; `None`: for ever.
    #[serde(default)]
    pub until: Option<i64>,
}

impl RevokedId {
    /// Reads a stored one.
    pub fn of_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// What is stored for an id after it is revoked: of two revocations, the later times apply. So the order in which
    /// they arrive does not matter.
    pub fn after(self, known: Option<&str>, now: i64) -> Option<String> {
        let running = |known: &RevokedId| known.until.is_none_or(|until| until > now);
        let known = known.and_then(RevokedId::of_json).filter(running);
        let joined = known.map_or(self, |known| RevokedId {
            at: self.at.max(known.at),
            before: later(self.before, known.before),
            until: later(self.until, known.until),
        });
        serde_json::to_string(&joined).ok()
    }

    /// What is stored for an id after it was restored at this time. A later revocation stays.
    pub fn restored(known: Option<&str>, at: i64) -> Option<String> {
        let stays = |known: &RevokedId| known.at.is_some_and(|revoked| revoked > at);
        known.filter(|known| RevokedId::of_json(known).as_ref().is_some_and(stays)).map(str::to_owned)
    }
}

/// `None` is the latest time.
fn later(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    Some(one?.max(other?))
}
