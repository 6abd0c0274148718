//! How much of an answer a meter has understood.

use super::marks::EventKind;

/// How much of the answer the meter has understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing says yet that it is complete.
    Open,
    /// The provider's last word on usage is there; the terminal event is still to come.
    Settled,
    /// The provider said that it is complete, or it ended after every choice had said why.
    Complete,
    /// It ended, and the provider had not said that it is complete.
    Interrupted,
    /// So it did, and this provider never says so.
    Ended,
    /// An event reported an error; whatever follows makes the answer no better.
    Failed,
    /// It is a JSON answer of which not even the digest can be kept, or no answer; nothing more is read.
    Beyond,
}

impl State {
    /// After an event of this kind.
    pub(super) fn after(self, kind: EventKind) -> Self {
        match (self, kind) {
            (State::Failed | State::Beyond, _) => self,
            (_, EventKind::Error) => State::Failed,
            (_, EventKind::Terminal | EventKind::Failure | EventKind::Done) => State::Complete,
            (State::Open, EventKind::UsageOnly) => State::Settled,
            (_, EventKind::UsageOnly | EventKind::Content | EventKind::Preliminary | EventKind::Garbage) => self,
        }
    }

    /// After the last byte. `finished`: every choice has said why it ended.
    pub(super) fn at_end(self, finished: bool) -> Self {
        match self {
            State::Open | State::Settled if finished => State::Complete,
            State::Open | State::Settled => State::Interrupted,
            State::Complete | State::Interrupted | State::Ended | State::Failed | State::Beyond => self,
        }
    }
}
