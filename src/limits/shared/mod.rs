//! Limits that several Envoys share, by Envoy's rate limit service protocol, version 3.
//!
//! The service counts; the limits are in the gateway's own configuration, and each question carries them. A request
//! asks once: one hit for each limit of requests, and none for limits of tokens and cost, whose answer only reports the
//! rest. A request's usage is charged when it has ended. So nothing is reserved at the service, and no reservation can
//! remain there by mistake.
//!
//! The windows are the service's: the minute, the day and the month of the calendar, in UTC.

mod charges;
mod message;

use std::rc::Rc;
use std::time::Duration;

pub use charges::Charges;
pub use message::{read_answer, write_request, RateLimitResponse, Status};

use crate::error::{ApiError, ErrorKind};

use super::warning::reached;
use super::{ActualUsage, Excess, Limited, Limits, Measure, Period, Quota, RateHeaders, Subject, UsageEstimate};

/// The path of the protocol's one method, in two parts.
pub const SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";
/// See [`SERVICE`].
pub const METHOD: &str = "ShouldRateLimit";

/// The policy for requests without an answer of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// They pass: this Envoy's own count has admitted them.
    Local,
    /// They are refused.
    Deny,
}

/// The service that counts for all Envoys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its cluster in envoy.yaml, which must speak HTTP/2.
    pub cluster: String,
    /// The namespace of these limits at the service.
    pub domain: String,
    /// How long a request waits for an answer.
    pub timeout: Duration,
    /// The policy for requests without an answer.
    pub on_failure: OnFailure,
}

/// One limit of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counter {
    /// The subject.
    pub subject: Subject,
    /// The kind of limit.
    pub what: Limited,
    /// The limit per window.
    pub limit: u64,
}

/// A limit, and the number to add to its usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The limit.
    pub counter: Counter,
    /// The number to add; zero to only get the rest.
    pub hits: u64,
}

/// A request that other Envoys' limits apply to: it has been asked about, and must be charged.
#[derive(Debug)]
pub struct SharedLimits {
    /// The service.
    pub service: Rc<Service>,
    /// The subjects.
    pub subjects: Vec<(Subject, Limits)>,
    /// Whether the service has not counted the request itself.
    pub uncounted: bool,
}

impl SharedLimits {
    /// The question for a request, with each limit once. Concurrency is not shared: each Envoy counts its own.
    pub fn question(&self) -> Vec<Hit> {
        self.hits(|what| Some(u64::from(what.measure() == Measure::Requests)))
    }

    /// The charges for a request with this usage and reservation.
    pub fn charges(&self, spent: ActualUsage, reserved: u64) -> Vec<Hit> {
        let (tokens, microusd) = match spent {
            ActualUsage::Reported { tokens, microusd } => (tokens, microusd),
            ActualUsage::AtLeast { tokens, microusd } => (tokens.max(reserved), microusd),
            ActualUsage::Nothing => (0, 0),
        };
        self.hits(|what| {
            let hits = match what.measure() {
                Measure::Requests => u64::from(self.uncounted),
                Measure::Tokens => tokens,
                Measure::Cost => microusd,
                Measure::Concurrency => 0,
            };
            (hits > 0).then_some(hits)
        })
    }

    fn limits_of(&self, subject: &Subject) -> Limits {
        self.subjects.iter().find(|(known, _)| known == subject).map_or(Limits::default(), |(_, limits)| *limits)
    }

    fn hits(&self, hits: impl Fn(Limited) -> Option<u64>) -> Vec<Hit> {
        let mut found = Vec::new();
        for (subject, limits) in &self.subjects {
            for what in Limited::ALL.into_iter().filter(|what| *what != Limited::Concurrency) {
                if let (Some(limit), Some(hits)) = (limits.of(what), hits(what)) {
                    found.push(Hit { counter: Counter { subject: subject.clone(), what, limit }, hits });
                }
            }
        }
        found
    }
}

/// 503: the service does not answer, and requests must not pass uncounted.
pub fn uncounted() -> ApiError {
    ApiError {
        status: 503,
        kind: ErrorKind::Server,
        message: "The service that counts the limits does not answer; try again later.".to_owned(),
        param: None,
        code: "limits_unavailable",
        allow: None,
        retry_after: Some(Duration::from_secs(1)),
    }
}

/// Whether a request may begin, by the service's answer, and the limits to report to its client.
///
/// # Errors
/// The limit with the longest wait.
pub fn judge(
    known: &SharedLimits,
    question: &[Hit],
    answer: &RateLimitResponse,
    estimate: UsageEstimate,
    now: Duration,
) -> Result<RateHeaders, (Subject, Excess)> {
    let mut rates = RateHeaders::default();
    let mut refusals = Vec::new();
    for (hit, status) in question.iter().zip(&answer.statuses) {
        let Counter { subject, what, limit } = &hit.counter;
        let remaining = remaining(hit, status);
        let reset = status.reset.unwrap_or_else(|| rest_of_window(*what, now));
        let wanted = match what.measure() {
            Measure::Tokens => estimate.tokens(&known.limits_of(subject)),
            Measure::Cost => estimate.microusd.max(1),
            Measure::Requests | Measure::Concurrency => 0,
        };
        if status.is_over || remaining < wanted {
            let used = limit.saturating_sub(if status.is_over { 0 } else { remaining });
            let (wanted, retry_after) = (wanted.max(1), Some(reset));
            let excess = Excess { what: *what, limit: *limit, used, wanted, prompt: estimate.prompt, retry_after };
            refusals.push((subject.clone(), excess));
        }
        let quota = Quota { limit: *limit, remaining: if status.is_over { 0 } else { remaining }, reset };
        let slot = match what {
            Limited::RequestsPerMinute => &mut rates.requests,
            Limited::TokensPerMinute => &mut rates.tokens,
            _ => continue,
        };
        if slot.is_none_or(|known| quota.remaining < known.remaining) {
            *slot = Some(quota);
        }
    }
    let longest = refusals.into_iter().max_by_key(|(_, excess)| excess.severity());
    match (longest, answer.is_over, question.first()) {
        (Some(refusal), _, _) => Err(refusal),
        // a service that only says yes or no
        (None, true, Some(Hit { counter: Counter { subject, what, limit }, .. })) => {
            let retry_after = Some(rest_of_window(*what, now));
            let (limit, prompt) = (*limit, estimate.prompt);
            Err((subject.clone(), Excess { what: *what, limit, used: limit, wanted: 1, prompt, retry_after }))
        }
        (None, _, _) => Ok(rates),
    }
}

/// The limits that have reached their `warn_at`, by the service's answer, with the used part in percent.
pub fn warnings(known: &SharedLimits, question: &[Hit], answer: &RateLimitResponse) -> Vec<(Subject, Limited, u64)> {
    let mut warnings = Vec::new();
    for (hit, status) in question.iter().zip(&answer.statuses) {
        let Counter { subject, what, limit } = &hit.counter;
        let Some(percent) = known.limits_of(subject).warn_at else {
            continue;
        };
        let used = limit.saturating_sub(if status.is_over { 0 } else { remaining(hit, status) });
        let reached = reached(*limit, used, percent);
        warnings.extend(reached.map(|percent| (subject.clone(), *what, percent)));
    }
    warnings
}

/// What is left of a limit.
fn remaining(hit: &Hit, status: &Status) -> u64 {
    status.remaining.saturating_mul(hit.counter.scale()).min(hit.counter.limit)
}

impl Counter {
    /// The size of one hit, because the protocol's limits have 32 bits: a power of ten, which only depends on the
    /// limit.
    pub(crate) fn scale(&self) -> u64 {
        let mut scale = 1;
        while self.limit / scale > u64::from(u32::MAX) {
            scale *= 10;
        }
        scale
    }

    /// Whether usage belongs to the minute in which it happened, and to no other.
    pub fn is_of_a_minute(&self) -> bool {
        self.what.period() == Some(Period::Minute)
    }
}

/// The time until the service's window ends.
fn rest_of_window(what: Limited, now: Duration) -> Duration {
    what.period().unwrap_or(Period::Minute).rest(now)
}
