//! The limits in each answer's headers, in OpenAI's format: `x-ratelimit-limit-requests`, `-remaining-` and `-reset-`,
//! and the same for tokens (per minute).

use std::fmt::Write;
use std::time::Duration;

use super::{LimitRecord, Limited, Limits};

/// The rest of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The limit.
    pub limit: u64,
    /// The rest.
    pub remaining: u64,
    /// The time until it is unused again, if nothing is added.
    pub reset: Duration,
}

impl Quota {
    /// The rest of one limit; `None` if there is no such limit. The reset of concurrency is unknown: zero.
    pub fn of(what: Limited, limits: &Limits, record: &LimitRecord, now: Duration) -> Option<Self> {
        let limit = limits.of(what)?;
        let remaining = limit.saturating_sub(record.used(what, now));
        Some(Quota { limit, remaining, reset: record.wait(what, 0, now).unwrap_or_default() })
    }
}

/// The limits that a client will reach first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateHeaders {
    /// Requests per minute.
    pub requests: Option<Quota>,
    /// Tokens per minute.
    pub tokens: Option<Quota>,
}

impl RateHeaders {
    /// Those of the subjects with the least left; of equal ones the first.
    pub fn tightest<'a>(subjects: impl IntoIterator<Item = (&'a Limits, &'a LimitRecord)>, now: Duration) -> Self {
        let mut tightest = RateHeaders::default();
        for (limits, record) in subjects {
            let RateHeaders { requests, tokens } = &mut tightest;
            for (what, least) in [(Limited::RequestsPerMinute, requests), (Limited::TokensPerMinute, tokens)] {
                let quota = Quota::of(what, limits, record, now);
                if quota.is_some_and(|quota| least.is_none_or(|least| quota.remaining < least.remaining)) {
                    *least = quota;
                }
            }
        }
        tightest
    }

    /// The same without a request that had reserved these `tokens`.
    pub fn without(self, tokens: u64) -> Self {
        let more = |quota: Quota, back: u64| Quota {
            remaining: quota.remaining.saturating_add(back).min(quota.limit),
            ..quota
        };
        RateHeaders {
            requests: self.requests.map(|quota| more(quota, 1)),
            tokens: self.tokens.map(|quota| more(quota, tokens)),
        }
    }
}

/// Appends a duration in OpenAI's format, rounded up: `20ms`, `1s`, `6m0s`, `1h2m3s`.
///
/// ```
/// use std::time::Duration;
///
/// let mut text = String::new();
/// sluice::limits::write_reset(&mut text, Duration::from_millis(359_001));
/// assert_eq!(text, "6m0s");
/// ```
pub fn write_reset(out: &mut String, reset: Duration) {
    let millis = reset.as_nanos().div_ceil(1_000_000);
    let seconds = millis.div_ceil(1000);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // writing to a String cannot fail
    let _ = if millis > 0 && millis < 1000 {
        write!(out, "{millis}ms")
    } else if hours > 0 {
        write!(out, "{hours}h{minutes}m{rest}s")
    } else if minutes > 0 {
        write!(out, "{minutes}m{rest}s")
    } else {
        write!(out, "{rest}s")
    };
}

/// The value of a `retry-after` header: whole seconds, rounded up, at least one.
pub fn retry_after_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}
