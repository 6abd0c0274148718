//! Whether a cluster takes part: when it leaves the pool, for how long, and how it comes back.
//!
//! All workers of an Envoy share one record per cluster, which the host swaps only if nobody else did
//! meanwhile. So everything is in that record, and each change is a function of it, of what happened and of
//! the time:
//!
//! | standing | what happens | then |
//! |---|---|---|
//! | healthy | failures in a row, too large a share of failures, a refused key | ejected, each time for longer |
//! | healthy | a failure that names a pause (`retry-after`) | ejected for that pause |
//! | ejected | its time is over | half-open |
//! | ejected, half-open | a straggler ends: an attempt without the lease | the same; a longer pause is kept to |
//! | half-open | an attempt takes the lease: the probe | half-open, all others stay away |
//! | half-open | the probe succeeds | healthy |
//! | half-open | the probe fails | ejected, for longer |
//! | half-open | the probe says nothing, or its lease ends | half-open, the next may probe |
//! | any | by hand | ejected, or healthy |
//!
//! **Stragglers do not decide.** While a cluster is out, an attempt without the lease is one that began before
//! it left, perhaps minutes ago. Its failure is no news, and its success proves nothing of now.
//!
//! **Decay.** Each ejection doubles the time of the next. From the success that brought the cluster back on, one
//! ejection is forgotten for every [`Policy::time`] that it stays in the pool.
//!
//! **Models.** An answer may say that it is about one model alone: then that model of the cluster leaves the pool, by the same
//! rules and in the same record ([`ClusterHealth`]), and the others stay.
//!
//! The workers' clocks may differ a little: a time before the last one seen counts as no time passed.

mod cluster;
mod date;
mod decimal;
mod failure_window;
mod lease;
mod machine;
mod policy;
mod record;
mod retry_after;
mod standing;

pub use cluster::{Changes, ClusterHealth, Ended, Probe, MAX_MODELS};
pub use lease::Lease;
pub use machine::Health;
pub use policy::{Blame, Policy, Reason, Verdict};
pub use retry_after::{parse_retry_after, pause_of};
pub use standing::{Change, Standing};

use std::time::Duration;

/// Records count time in whole milliseconds.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
