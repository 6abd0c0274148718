//! The public view of a cluster's record.

use std::time::Duration;

use super::policy::Reason;

/// Whether a cluster may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Healthy,
    /// No.
    Ejected {
        /// Until this time, since the epoch; `None`: until it is restored manually.
        until: Option<Duration>,
        /// Why it was ejected.
        reason: Reason,
    },
    /// By one request at a time, the probe.
    HalfOpen {
        /// Whether another request is probing.
        probing: bool,
        /// Why it was ejected.
        reason: Reason,
    },
}

/// The effect of a change of a record. Every change except `None` must be written.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandingChange {
    /// Nothing changed.
    None,
    /// The record changed, but not the standing.
    Noted,
    /// The cluster was ejected, now or again.
    Ejected(Reason),
    /// The cluster is back.
    Restored,
}

impl StandingChange {
    pub(super) fn noted_if(changed: bool) -> Self {
        match changed {
            true => StandingChange::Noted,
            false => StandingChange::None,
        }
    }
}
