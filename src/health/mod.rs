//! A circuit breaker for clusters: when a cluster leaves the pool, for how long, and how it returns.
//!
//! All workers of an Envoy share one record per cluster; the host swaps it only if no other worker has changed it. So
//! the record holds the whole state, and each change is a function of the record, the event and the time:
//!
//! | standing | event | next |
//! |---|---|---|
//! | healthy | failures in a row, too large a share of failures, a refused key | ejected, each time for longer |
//! | healthy | a failure that names a pause (`retry-after`) | ejected for that pause |
//! | ejected | its time is over | half-open |
//! | ejected, half-open | a straggler ends: an attempt without the lease | the same; a longer pause is applied |
//! | half-open | an attempt takes the lease: the probe | half-open; other attempts go elsewhere |
//! | half-open | the probe succeeds | healthy |
//! | half-open | the probe fails | ejected, for longer |
//! | half-open | the probe has no result, or its lease ends | half-open; another attempt may probe |
//! | any | manual change | ejected, or healthy |
//!
//! **Stragglers do not decide.** While a cluster is out, an attempt without the lease began before the ejection,
//! perhaps minutes ago. Its failure is not news, and its success proves nothing about the present.
//!
//! **Decay.** Each ejection doubles the time of the next. After the success that restored the cluster, one ejection is
//! dropped for every [`Policy::time`] that it stays in the pool.
//!
//! **Models.** An answer may be about one model only: then that model of the cluster leaves the pool, by the same rules
//! and in the same record ([`ClusterHealth`]), and the other models stay.
//!
//! The workers' clocks may differ a little: a time before the last one seen counts as no elapsed time.

mod cluster;
mod decimal;
mod failure_window;
mod lease;
mod machine;
mod policy;
mod record;
mod retry_after;
mod standing;

pub use cluster::{AttemptEnd, Changes, ClusterHealth, Probe, MAX_MODELS};
pub use lease::Lease;
pub use machine::Health;
pub use policy::{Blame, Policy, Reason, Verdict};
pub use retry_after::{parse_retry_after, pause_of};
pub use standing::{Standing, StandingChange};

use std::time::Duration;

/// Records count time in whole milliseconds.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
