//! What the world sees of a cluster's record.

use std::time::Duration;

use super::policy::Reason;

/// Whether a cluster may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Like any other.
    Healthy,
    /// Not at all.
    Ejected {
        /// Until then, since the epoch; `None`: until it is restored by hand.
        until: Option<Duration>,
        /// Why it left.
        reason: Reason,
    },
    /// By one request at a time, which finds out for all others.
    HalfOpen {
        /// Another request is finding out.
        probing: bool,
        /// Why it left.
        reason: Reason,
    },
}

/// What a change of a record means to the world. Anything but `None` must be written back.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing changed.
    None,
    /// The record changed, not the standing.
    Noted,
    /// The cluster left the pool, or has to stay away anew.
    Ejected(Reason),
    /// The cluster is back.
    Restored,
}

impl Change {
    pub(super) fn noted_if(changed: bool) -> Self {
        match changed {
            true => Change::Noted,
            false => Change::None,
        }
    }
}
