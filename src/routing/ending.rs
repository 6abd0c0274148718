//! How an attempt ended.

use std::time::Duration;

use crate::connect_failure::ConnectFailure;
use crate::health::Blame;
use crate::outcome::Outcome;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The outcome.
    pub outcome: Outcome,
    /// The answer's status; 0 if there was none.
    pub status: u16,
    /// The retry delay from the provider.
    pub retry_after: Option<Duration>,
    /// What it counts against.
    pub blame: Blame,
    /// Why the connection failed, if it did.
    pub connect: Option<ConnectFailure>,
}

impl Ending {
    /// An attempt that ended without an answer.
    pub const fn silent(outcome: Outcome) -> Self {
        Ending::answered(outcome, 0)
    }

    /// An attempt that ended with an answer of this status.
    pub const fn answered(outcome: Outcome, status: u16) -> Self {
        Ending { outcome, status, retry_after: None, blame: Blame::Cluster, connect: None }
    }

    /// An attempt whose connection failed.
    pub const fn unconnected(cause: ConnectFailure) -> Self {
        Ending { connect: Some(cause), ..Ending::silent(Outcome::ConnectFailure) }
    }
}
