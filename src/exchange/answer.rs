//! What becomes of a target's answer.

use crate::outcome::Outcome;
use crate::usage::Meter;

/// What is known of the answer that comes from the current target.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Its status, once it has been let pass to the client.
    pub status: Option<u16>,
    /// The status of the answer that the client gets in place of it.
    pub replaced: Option<u16>,
    /// How the attempt under way will have ended, if its answer passes to the client whole.
    pub passing: Option<Outcome>,
    /// It came compressed, although it was asked not to.
    pub encoded: bool,
    /// Reads the usage where the attempt has the answer in hand: one that is translated, in the provider's own words,
    /// since what the client gets has been written here; and one that was held until it was whole.
    pub meter: Option<Box<Meter>>,
    /// It ended without being complete.
    pub interrupted: bool,
    /// It has passed to the client unjudged, since it was too large to be held, and is to be judged by what is read of it.
    pub unjudged: bool,
    /// It was none.
    pub is_none: bool,
    /// Not all of it could be read, so that it may have used more than is known.
    pub unread: bool,
    /// It ended as all answers of its server do, none of which says that it is complete.
    pub ended_unsaid: bool,
    /// Its status, once it has come from the target whole.
    pub whole: Option<u16>,
}

impl Answer {
    /// What has turned out to be wrong with an answer that passed as a good one.
    pub fn spoiled(&self) -> Option<Outcome> {
        match (self.interrupted, self.is_none) {
            (true, _) => Some(Outcome::Interrupted),
            (false, true) => Some(Outcome::BadResponse),
            (false, false) => None,
        }
    }
}
