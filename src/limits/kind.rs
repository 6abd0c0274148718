//! The kinds of limits: what is counted, and over which time.

use std::time::Duration;

/// A kind of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limited {
    /// Requests per minute.
    RequestsPerMinute,
    /// Requests per day.
    RequestsPerDay,
    /// Requests per month.
    RequestsPerMonth,
    /// Tokens per minute.
    TokensPerMinute,
    /// Tokens per day.
    TokensPerDay,
    /// Tokens per month.
    TokensPerMonth,
    /// Millionths of a dollar per day.
    CostPerDay,
    /// Millionths of a dollar per month.
    CostPerMonth,
    /// Concurrent requests.
    Concurrency,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Requests.
    Requests,
    /// Input and output tokens together.
    Tokens,
    /// Millionths of a dollar.
    Cost,
    /// Concurrent requests.
    Concurrency,
}

/// The time over which a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A minute.
    Minute,
    /// A day.
    Day,
    /// A calendar month, in UTC.
    Month,
}

impl Limited {
    /// All of them.
    pub const ALL: [Limited; 9] = [
        Limited::RequestsPerMinute,
        Limited::RequestsPerDay,
        Limited::RequestsPerMonth,
        Limited::TokensPerMinute,
        Limited::TokensPerDay,
        Limited::TokensPerMonth,
        Limited::CostPerDay,
        Limited::CostPerMonth,
        Limited::Concurrency,
    ];

    /// The field's name in the configuration and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Limited::RequestsPerMinute => "requests_per_minute",
            Limited::RequestsPerDay => "requests_per_day",
            Limited::RequestsPerMonth => "requests_per_month",
            Limited::TokensPerMinute => "tokens_per_minute",
            Limited::TokensPerDay => "tokens_per_day",
            Limited::TokensPerMonth => "tokens_per_month",
            Limited::CostPerDay => "cost_per_day",
            Limited::CostPerMonth => "cost_per_month",
            Limited::Concurrency => "concurrency",
        }
    }

    /// What it counts.
    pub fn measure(self) -> Measure {
        match self {
            Limited::RequestsPerMinute | Limited::RequestsPerDay | Limited::RequestsPerMonth => Measure::Requests,
            Limited::TokensPerMinute | Limited::TokensPerDay | Limited::TokensPerMonth => Measure::Tokens,
            Limited::CostPerDay | Limited::CostPerMonth => Measure::Cost,
            Limited::Concurrency => Measure::Concurrency,
        }
    }

    /// The time over which it counts; `None` for concurrency.
    pub fn period(self) -> Option<Period> {
        match self {
            Limited::RequestsPerMinute | Limited::TokensPerMinute => Some(Period::Minute),
            Limited::RequestsPerDay | Limited::TokensPerDay | Limited::CostPerDay => Some(Period::Day),
            Limited::RequestsPerMonth | Limited::TokensPerMonth | Limited::CostPerMonth => Some(Period::Month),
            Limited::Concurrency => None,
        }
    }
}

impl Period {
    /// The end of the calendar's minute, day or month of a time; both in seconds since the epoch, in UTC.
    ///
    /// ```
    /// use sluice::limits::Period;
    ///
    /// assert_eq!(Period::Minute.end(61), 120);
    /// assert_eq!(Period::Month.end(0), 31 * 86_400);
    /// ```
    pub fn end(self, seconds: u64) -> u64 {
        let round = |length: u64| (seconds / length).saturating_add(1).saturating_mul(length);
        match self {
            Period::Minute => round(60),
            Period::Day => round(86_400),
            Period::Month => crate::date::next_month(seconds),
        }
    }

    /// The time from `now` until the calendar's minute, day or month ends.
    pub fn rest(self, now: Duration) -> Duration {
        Duration::from_secs(self.end(now.as_secs())).saturating_sub(now)
    }
}
