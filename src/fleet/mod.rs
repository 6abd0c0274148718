//! What an Envoy learns from the ledger, and tells it.
//!
//! An Envoy forgets its counts when it restarts, and does not know the keys that other Envoys have revoked. The ledger
//! (`sluice ledger`) has both.
//!
//! | call | when | answer |
//! |---|---|---|
//! | `GET /revocations` | at the start, then several times a second | [`Changes`]: what has been revoked and restored |
//! | `GET /windows` | once, at the start | [`Windows`]: the usage of days and months before the start |
//! | `PUT /revocations/{id}`, `DELETE` | a key is revoked or restored here | none |
//!
//! At the start, requests wait for the first two, but at most for `start_timeout`. Everything else happens beside the
//! requests. All workers of an Envoy share the [`Progress`], so only one of them asks, and an Envoy whose filters are
//! loaded again does not ask for usage that it has counted itself.

mod changes;
mod progress;
mod unsent;
mod windows;

use std::fmt;
use std::time::Duration;

pub use changes::{is_taken, Changes, MAX_CHANGES};
pub use progress::{Progress, Readiness};
pub use unsent::{RevocationChange, Unsent};
pub use windows::{write_windows, Windows, MAX_SUBJECTS};

/// The longest answer of the ledger that is read, in bytes.
pub const MAX_ANSWER: usize = 4 << 20;

/// The ledger, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerService {
    /// Its cluster in envoy.yaml.
    pub cluster: String,
    /// How long requests wait for it at the start.
    pub start_timeout: Duration,
    /// What it wants to see before it tells or changes anything.
    pub token: Option<FleetToken>,
}

/// A secret that Envoys and the ledger share.
#[derive(Clone, PartialEq, Eq)]
pub struct FleetToken(String);

impl fmt::Debug for FleetToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FleetToken(***)")
    }
}

impl FleetToken {
    /// A token; `None` if it cannot be a header's value.
    pub fn new(text: String) -> Option<Self> {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(FleetToken(text))
    }

    /// The value of the `authorization` header.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}
