//! The state of a target's answer.

use crate::outcome::Outcome;
use crate::usage::Meter;

/// The state of the current target's answer.
#[derive(Debug, Default)]
pub(super) struct AnswerState {
    /// Its status, once it is passed to the client.
    pub status: Option<u16>,
    /// The status of the answer that replaces it for the client.
    pub replaced: Option<u16>,
    /// The outcome of the current attempt, if its answer passes completely.
    pub passing: Option<Outcome>,
    /// It was compressed, although the gateway asked for an uncompressed one.
    pub encoded: bool,
    /// Reads the usage if the attempt has the answer itself: a translated answer in the provider's own fields, since
    /// the client's version was written here, and an answer that was held until it was complete.
    pub meter: Option<Box<Meter>>,
    /// It ended incomplete.
    pub interrupted: bool,
    /// It has passed unjudged, because it was too large to hold; it is judged from the bytes read.
    pub unjudged: bool,
    /// It was not a valid answer.
    pub is_none: bool,
    /// It could only be read in part, so its usage may be higher than known.
    pub unread: bool,
    /// It ended like all answers of its server, which never sends a last event.
    pub ended_without_marker: bool,
    /// Its status, once it has arrived completely.
    pub whole: Option<u16>,
}

impl AnswerState {
    /// The problem found in an answer that passed as a success.
    pub fn spoiled(&self) -> Option<Outcome> {
        match (self.interrupted, self.is_none) {
            (true, _) => Some(Outcome::Interrupted),
            (false, true) => Some(Outcome::BadResponse),
            (false, false) => None,
        }
    }
}
