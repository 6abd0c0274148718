//! What counts against a cluster, and how much of it is too much.

use std::time::Duration;

use super::millis;
use crate::outcome::Outcome;

/// When a cluster leaves the pool, and for how long.
///
/// ```
/// use std::time::Duration;
/// use sluice::health::Policy;
///
/// // the first failure counts, and costs ten minutes
/// let policy = Policy { consecutive_failures: 1, time: Duration::from_secs(600), ..Policy::default() };
/// assert_eq!(policy.backoff(0), Duration::from_secs(600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// So many failures in a row eject; 0: never for this reason.
    pub consecutive_failures: u32,
    /// How long the first ejection lasts. Each further one lasts twice as long as the one before.
    pub time: Duration,
    /// Ejections grow up to this; one that begins longer (`time`) does not grow.
    pub max_time: Duration,
    /// So many failures in a hundred requests eject (1 to 100); `None`: never for this reason.
    pub failure_percent: Option<u32>,
    /// A share of fewer requests than this says nothing.
    pub min_requests: u32,
    /// How far back the share of failures looks.
    pub window: Duration,
    /// A pause that the provider asks for is kept to, up to this.
    pub max_retry_after: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            consecutive_failures: 5,
            time: Duration::from_secs(30),
            max_time: Duration::from_secs(300),
            failure_percent: None,
            min_requests: 20,
            window: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(300),
        }
    }
}

impl Policy {
    /// How long an ejection lasts after `earlier` ones.
    pub fn backoff(&self, earlier: u32) -> Duration {
        let time = millis(self.time);
        let grown = time.saturating_mul(2_u64.saturating_pow(earlier));
        Duration::from_millis(grown.min(millis(self.max_time).max(time)))
    }
}

/// Why a cluster left the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It failed too often in a row, or its probe failed.
    ConsecutiveFailures,
    /// It failed too large a share of its requests.
    FailureRatio,
    /// It asked for a pause.
    RetryAfter,
    /// It refuses the gateway's account, and will refuse it to everyone.
    Credential,
    /// The operator took it out.
    Manual,
    /// Envoy has no such cluster, or none with a host, and tries no other one.
    NoCluster,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 6] = [
        Reason::ConsecutiveFailures,
        Reason::FailureRatio,
        Reason::RetryAfter,
        Reason::Credential,
        Reason::Manual,
        Reason::NoCluster,
    ];

    /// The label in stats.
    pub fn label(self) -> &'static str {
        match self {
            Reason::ConsecutiveFailures => "consecutive_failures",
            Reason::FailureRatio => "failure_ratio",
            Reason::RetryAfter => "retry_after",
            Reason::Credential => "credential",
            Reason::Manual => "manual",
            Reason::NoCluster => "no_cluster",
        }
    }
}

/// What an attempt's end is held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blame {
    /// The cluster, and so all that is served there.
    #[default]
    Cluster,
    /// The one model at that cluster, for the answer says so.
    Model,
    /// Nobody: it followed from what the client had sent.
    Nobody,
}

/// What the end of an attempt says of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works, whether the client likes the answer or not.
    Success,
    /// It does not work, or has too much to do.
    Failure,
    /// It refuses the gateway's key.
    Credential,
    /// Envoy cannot send anything there.
    NoCluster,
    /// Nothing.
    Neutral,
}

impl Verdict {
    /// Judges an attempt by how it ended.
    ///
    /// ```
    /// use sluice::health::Verdict;
    /// use sluice::outcome::Outcome;
    ///
    /// assert_eq!(Verdict::of(Outcome::ClientError), Verdict::Success);
    /// assert_eq!(Verdict::of(Outcome::Credential), Verdict::Credential);
    /// assert_eq!(Verdict::of(Outcome::ConnectFailure), Verdict::Failure);
    /// assert_eq!(Verdict::of(Outcome::Abandoned), Verdict::Neutral);
    /// ```
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success | Outcome::ClientError => Verdict::Success,
            Outcome::Credential => Verdict::Credential,
            Outcome::RateLimited
            | Outcome::ServerError
            | Outcome::ConnectFailure
            | Outcome::Reset
            | Outcome::Timeout
            | Outcome::BadStream
            | Outcome::BadResponse
            | Outcome::Interrupted => Verdict::Failure,
            Outcome::TryAgain | Outcome::Abandoned => Verdict::Neutral,
        }
    }
}
