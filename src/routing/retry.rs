//! When a failed attempt may be followed by another, and how long each may take.

use std::cell::RefCell;
use std::time::Duration;

use crate::outcome::Outcome;

/// Kinds of failure that may be retried, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn(u16);

impl RetryOn {
    /// Every kind, by its name in the configuration. 4xx other than these are the request's own fault.
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

    /// These kinds and those.
    pub fn and(self, other: RetryOn) -> RetryOn {
        RetryOn(self.0 | other.0)
    }

    /// Whether an attempt that ended so may be followed by another. `status` is the answer's, if there was one.
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
    /// After which failures.
    pub on: RetryOn,
    /// The most attempts at one model's targets; each target is tried once at most.
    pub max_attempts: usize,
    /// How long one attempt may take until a stream's first event; Envoy's route decides if absent.
    pub stream_timeout: Option<Duration>,
    /// How long one attempt may take until a JSON answer is whole; Envoy's route decides if absent.
    pub json_timeout: Option<Duration>,
    /// How long all attempts together may take until the answer begins.
    pub deadline: Option<Duration>,
    /// How many retries there may be, in proportion to requests.
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
    /// How long one attempt may take.
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

/// A retry budget's balance: an outage must not multiply the load on those that still serve.
///
/// The algorithm is Finagle's `RetryBudget` (and tower's `TpsBudget`): a request deposits its share, a retry
/// withdraws a whole one, and a reserve fills up with time. The balance is capped at ten seconds of reserve
/// and ten retries besides. Each worker keeps its own.
#[derive(Debug)]
pub struct BudgetBalance {
    limits: Budget,
    state: RefCell<State>,
}

/// The balance in hundredths of a retry, and when the reserve was last added.
#[derive(Clone, Copy, Debug)]
struct State {
    hundredths: u64,
    filled: Option<Duration>,
}

impl BudgetBalance {
    /// A balance with a second's reserve in it.
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
        BudgetBalance { limits, state: RefCell::new(State { hundredths, filled: None }) }
    }

    /// A request has come in.
    pub fn deposit(&self) {
        let mut state = self.state.borrow_mut();
        state.hundredths = (state.hundredths + u64::from(self.limits.percent)).min(self.cap());
    }

    /// Whether there is enough for a retry. `now` is the time since the epoch.
    pub fn affords(&self, now: Duration) -> bool {
        self.fill(now);
        self.state.borrow().hundredths >= 100
    }

    /// Pays for a retry; `false` if there is not enough. `now` is the time since the epoch.
    pub fn withdraw(&self, now: Duration) -> bool {
        self.fill(now);
        let mut state = self.state.borrow_mut();
        let paid = state.hundredths.checked_sub(100);
        state.hundredths = paid.unwrap_or(state.hundredths);
        paid.is_some()
    }

    /// Adds the reserve of the time that has passed.
    fn fill(&self, now: Duration) {
        let mut state = self.state.borrow_mut();
        let passed = now.saturating_sub(state.filled.unwrap_or(now));
        let reserve = passed.as_millis().min(10_000) as u64 * u64::from(self.limits.min_per_second) / 10;
        if reserve > 0 || state.filled.is_none() {
            state.filled = Some(now);
        }
        state.hundredths = (state.hundredths + reserve).min(self.cap());
    }

    fn cap(&self) -> u64 {
        u64::from(self.limits.min_per_second) * 1000 + 1000
    }
}
