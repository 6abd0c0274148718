//! When a failed attempt may be retried, and each attempt's timeout.

use std::cell::RefCell;
use std::time::Duration;

use crate::outcome::Outcome;

/// Kinds of failure that may be retried, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn(u16);

impl RetryOn {
    /// All kinds, by their names in the configuration. Other 4xx are the request's own fault.
    pub const KINDS: [(&'static str, RetryOn); 11] = [
        ("408", RetryOn(1)),
        ("409", RetryOn(1 << 1)),
        ("425", RetryOn(1 << 2)),
        ("429", RetryOn(1 << 3)),
        ("5xx", RetryOn(1 << 4)),
        ("connect", RetryOn(1 << 5)),
        ("reset", RetryOn(1 << 6)),
        ("timeout", RetryOn(1 << 7)),
        ("bad_stream", RetryOn(1 << 8)),
        ("bad_response", RetryOn(1 << 9)),
        ("credential", RetryOn(1 << 10)),
    ];
    /// All of them.
    pub const ALL: RetryOn = RetryOn((1 << 11) - 1);
    /// None of them.
    pub const NONE: RetryOn = RetryOn(0);

    /// The union of both.
    pub fn and(self, other: RetryOn) -> RetryOn {
        RetryOn(self.0 | other.0)
    }

    /// Whether an attempt with this outcome may be retried. `status` is the answer's, if there was one.
    pub fn allows(self, outcome: Outcome, status: u16) -> bool {
        let kind = match (outcome, status) {
            (Outcome::TryAgain, 408) => 0,
            (Outcome::TryAgain, 409) => 1,
            (Outcome::TryAgain, _) => 2,
            (Outcome::RateLimited, _) => 3,
            (Outcome::ServerError, _) => 4,
            (Outcome::ConnectFailure, _) => 5,
            (Outcome::Reset, _) => 6,
            (Outcome::Timeout, _) => 7,
            (Outcome::BadStream, _) => 8,
            (Outcome::BadResponse, _) => 9,
            (Outcome::Credential, _) => 10,
            (Outcome::Success | Outcome::ClientError | Outcome::Interrupted | Outcome::Abandoned, _) => return false,
        };
        self.0 >> kind & 1 == 1
    }
}

/// How a model's requests are retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The failures to retry.
    pub on: RetryOn,
    /// The maximum number of attempts at one model's targets; each target is tried at most once.
    pub max_attempts: usize,
    /// The timeout until a stream's first event; by default Envoy's route decides.
    pub stream_timeout: Option<Duration>,
    /// The timeout until a JSON answer is complete; by default Envoy's route decides.
    pub json_timeout: Option<Duration>,
    /// The timeout of all attempts together, until the answer begins.
    pub deadline: Option<Duration>,
    /// The maximum number of retries, relative to requests.
    pub budget: Option<Budget>,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            on: RetryOn::ALL,
            max_attempts: super::MAX_TARGETS,
            stream_timeout: None,
            json_timeout: None,
            deadline: None,
            budget: None,
        }
    }
}

impl Retry {
    /// The timeout of one attempt.
    pub fn per_try_timeout(&self, streamed: bool) -> Option<Duration> {
        if streamed {
            self.stream_timeout
        } else {
            self.json_timeout
        }
    }
}

/// The limits of a retry budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Retries for every hundred requests.
    pub percent: u32,
    /// Retries a second that are always allowed.
    pub min_per_second: u32,
}

/// A retry budget's balance: an outage must not multiply the load on the remaining targets.
///
/// The algorithm is Finagle's `RetryBudget` (and tower's `TpsBudget`): a request deposits its share, a retry withdraws
/// one unit, and a reserve fills up with time. The balance is capped at ten seconds of reserve plus ten retries. Each
/// worker has its own.
#[derive(Debug)]
pub struct BudgetBalance {
    limits: Budget,
    balance: RefCell<Balance>,
}

/// The balance in hundredths of a retry, and the time of the last addition to the reserve.
#[derive(Clone, Copy, Debug)]
struct Balance {
    hundredths: u64,
    filled: Option<Duration>,
}

impl BudgetBalance {
    /// A balance with one second of reserve.
    ///
    /// ```
    /// use sluice::routing::{Budget, BudgetBalance};
    /// use std::time::Duration;
    ///
    /// let balance = BudgetBalance::new(Budget { percent: 20, min_per_second: 0 });
    /// let now = Duration::from_secs(1);
    /// (0..5).for_each(|_| balance.deposit());
    /// assert!(balance.withdraw(now), "five requests pay for one retry");
    /// assert!(!balance.withdraw(now));
    /// ```
    pub fn new(limits: Budget) -> Self {
        let hundredths = u64::from(limits.min_per_second) * 100;
        BudgetBalance { limits, balance: RefCell::new(Balance { hundredths, filled: None }) }
    }

    /// Deposits for a request.
    pub fn deposit(&self) {
        let mut balance = self.balance.borrow_mut();
        balance.hundredths = (balance.hundredths + u64::from(self.limits.percent)).min(self.cap());
    }

    /// Whether the balance covers a retry. `now` is the time since the epoch.
    pub fn affords(&self, now: Duration) -> bool {
        self.fill(now);
        self.balance.borrow().hundredths >= 100
    }

    /// Withdraws a retry; `false` if the balance is too small. `now` is the time since the epoch.
    pub fn withdraw(&self, now: Duration) -> bool {
        self.fill(now);
        let mut balance = self.balance.borrow_mut();
        let paid = balance.hundredths.checked_sub(100);
        balance.hundredths = paid.unwrap_or(balance.hundredths);
        paid.is_some()
    }

    /// Adds the reserve for the elapsed time.
    fn fill(&self, now: Duration) {
        let mut balance = self.balance.borrow_mut();
        let passed = now.saturating_sub(balance.filled.unwrap_or(now));
        let reserve = passed.as_millis().min(10_000) as u64 * u64::from(self.limits.min_per_second) / 10;
        if reserve > 0 || balance.filled.is_none() {
            balance.filled = Some(now);
        }
        balance.hundredths = (balance.hundredths + reserve).min(self.cap());
    }

    fn cap(&self) -> u64 {
        u64::from(self.limits.min_per_second) * 1000 + 1000
    }
}
