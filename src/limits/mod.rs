//! Limits of a key, a label's value, a model or the whole gateway.
//!
//! All workers of an Envoy share one record per subject; the host swaps it only if no other worker has changed it. So
//! the record holds the whole state, and each change is a function of the record, the request and the time:
//!
//! | moment | change |
//! |---|---|
//! | a request arrives | [`LimitRecord::admit`]: it fits all of its subject's limits, or nothing is counted |
//! | its model is known | [`LimitRecord::reserve`]: its subject's budget covers its maximum cost |
//! | another subject refuses it, in any filter | [`LimitRecord::withdraw`]: as if it had never been admitted |
//! | its answer has ended | [`LimitRecord::settle`]: the reported tokens and cost replace the estimates |
//! | its worker ticks | [`LimitRecord::renew`]: the worker is alive, and so its slots stay taken |
//!
//! **Estimates.** A request's usage is only known at its end. Tokens are reserved by [`UsageEstimate::tokens`], and money by
//! its model's prices. So a limit can be exceeded by the running requests' usage beyond their estimates.
//!
//! **Scope.** The records belong to one Envoy. Several Envoys have separate records, and each admits up to the limit,
//! unless a service counts for all of them: see [`shared`].
//!
//! **Clocks.** The workers' clocks may differ a little: a time before the last one seen counts as no elapsed time. If a
//! clock was set back by more than a minute, the new time is used, and everything keeps its age. So no usage is dropped
//! early, and nothing is locked until the old time is reached again.

mod admission;
mod excess;
mod headers;
mod kind;
mod leases;
mod past;
mod record;
mod report;
pub mod shared;
mod store;
mod subject;
mod warning;
mod window;

pub use admission::{prompt_tokens, ActualUsage, Budget, Reservation, UsageEstimate};
pub use excess::Excess;
pub use headers::{retry_after_seconds, write_reset, Quota, RateHeaders};
pub use kind::{Limited, Measure, Period};
pub use leases::{LEASE, MAX_VMS};
pub use past::{Amounts, PastUsage};
pub use record::LimitRecord;
pub use report::{write_report, ReportLine};
pub use store::{Admission, LimitStore};
pub use subject::Subject;
pub use warning::{warnings_header, Warning};

pub use crate::codec::Changed;

use serde::{Deserialize, Serialize};

/// The limits; `None`: no limit. A minute is the last 60 seconds, a day the last 24 hours, a month the current calendar
/// month in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Requests per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<u64>,
    /// Requests per month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_month: Option<u64>,
    /// Tokens per minute, input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Tokens per day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Tokens per month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_month: Option<u64>,
    /// Millionths of a dollar per day; `cost_per_day` in the configuration and in requests, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microusd_per_day: Option<u64>,
    /// Millionths of a dollar per month; `cost_per_month` in the configuration and in requests, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microusd_per_month: Option<u64>,
    /// Concurrent requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u64>,
    /// Not a limit: the maximum number of output tokens reserved for a request, however many it asks for. It applies to
    /// token limits, not to budgets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve_output: Option<u64>,
    /// Not a limit: the percentage of each other limit, except concurrency, at which a warning is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_at: Option<u8>,
}

impl Limits {
    /// The limit of this kind.
    pub fn of(&self, what: Limited) -> Option<u64> {
        match what {
            Limited::RequestsPerMinute => self.requests_per_minute,
            Limited::RequestsPerDay => self.requests_per_day,
            Limited::RequestsPerMonth => self.requests_per_month,
            Limited::TokensPerMinute => self.tokens_per_minute,
            Limited::TokensPerDay => self.tokens_per_day,
            Limited::TokensPerMonth => self.tokens_per_month,
            Limited::CostPerDay => self.microusd_per_day,
            Limited::CostPerMonth => self.microusd_per_month,
            Limited::Concurrency => self.concurrency,
        }
    }

    /// Whether there are no limits, so that nothing must be counted.
    pub fn is_unlimited(&self) -> bool {
        Limits { reserve_output: None, warn_at: None, ..*self } == Limits::default()
    }

    /// Whether tokens are limited, in any window.
    pub fn has_token_limit(&self) -> bool {
        self.tokens_per_minute.is_some() || self.tokens_per_day.is_some() || self.tokens_per_month.is_some()
    }
}
