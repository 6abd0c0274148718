//! How much of an answer a meter has understood.

use super::marks::EventKind;

/// How much of the answer the meter has understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MeterState {
    /// It may be incomplete.
    Open,
    /// The provider's last usage report has arrived; the last event is still to come.
    Settled,
    /// The provider marked it as complete, or it ended after every choice had a finish reason.
    Complete,
    /// It ended without being marked as complete.
    Interrupted,
    /// The same, but this provider never marks it.
    Ended,
    /// An event reported an error; later events do not change that.
    Failed,
    /// It is a JSON answer whose digest is too large, or not an answer; nothing more is read.
    Beyond,
}

impl MeterState {
    /// After an event of this kind.
    pub(super) fn after(self, kind: EventKind) -> Self {
        match (self, kind) {
            (MeterState::Failed | MeterState::Beyond, _) => self,
            (_, EventKind::Error) => MeterState::Failed,
            (_, EventKind::Terminal | EventKind::Failure | EventKind::Done) => MeterState::Complete,
            (MeterState::Open, EventKind::UsageOnly) => MeterState::Settled,
            (_, EventKind::UsageOnly | EventKind::Content | EventKind::Preliminary | EventKind::Garbage) => self,
        }
    }

    /// After the last byte. `finished`: every choice has a finish reason.
    pub(super) fn at_end(self, finished: bool) -> Self {
        match self {
            MeterState::Open | MeterState::Settled if finished => MeterState::Complete,
            MeterState::Open | MeterState::Settled => MeterState::Interrupted,
            MeterState::Complete
            | MeterState::Interrupted
            | MeterState::Ended
            | MeterState::Failed
            | MeterState::Beyond => self,
        }
    }
}
