//! What counts against a cluster, and how much of it ejects.

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
    /// This many consecutive failures eject; 0: off.
    pub consecutive_failures: u32,
    /// The duration of the first ejection. Each further one lasts twice as long.
    pub time: Duration,
    /// The maximum duration. If `time` is longer, ejections do not grow.
    pub max_time: Duration,
    /// This percentage of failed requests ejects (1 to 100); `None`: off.
    pub failure_percent: Option<u32>,
    /// The share is ignored for fewer requests than this.
    pub min_requests: u32,
    /// The length of the window for the share of failures.
    pub window: Duration,
    /// The longest retry delay that is applied.
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
    /// The duration of an ejection after `earlier` ones.
    pub fn backoff(&self, earlier: u32) -> Duration {
        let time = millis(self.time);
        let grown = time.saturating_mul(2_u64.saturating_pow(earlier));
        Duration::from_millis(grown.min(millis(self.max_time).max(time)))
    }
}

/// Why a cluster left the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Too many consecutive failures, or a failed probe.
    ConsecutiveFailures,
    /// Too large a share of failed requests.
    FailureRatio,
    /// It requested a delay.
    RetryAfter,
    /// It refuses the gateway's account, so it would refuse all requests.
    Credential,
    /// Ejected manually.
    Manual,
    /// Envoy has no such cluster, or it has no host, and Envoy tries no other one.
    NoCluster,
}

impl Reason {
    /// All reasons.
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

/// What the end of an attempt counts against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blame {
    /// The cluster, and so all its models.
    #[default]
    Cluster,
    /// One model at that cluster, because the answer says so.
    Model,
    /// Nothing: the client's request caused it.
    Nobody,
}

/// The meaning of an attempt's end for the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The cluster works, even if the client got an error for its own request.
    Success,
    /// The cluster does not work, or is overloaded.
    Failure,
    /// It refuses the gateway's key.
    Credential,
    /// Envoy cannot send anything to it.
    NoCluster,
    /// Nothing.
    Neutral,
}

impl Verdict {
    /// Judges an attempt by its outcome.
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
