//! Limits: how much a key, a model or the whole gateway may be used.

use serde::{Deserialize, Serialize};

/// What may be used at most; `None` is no limit. The windows slide: a minute is the last 60 seconds, a day the
/// last 24 hours, a month the last 30 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
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
    /// Requests under way at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u64>,
}
