//! The error for a client that a limit refuses.

use std::fmt::Write;
use std::time::Duration;

use super::headers::write_reset;
use super::{Limited, Measure, Subject};
use crate::error::{ApiError, ErrorKind};

/// A limit that refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Which limit.
    pub what: Limited,
    /// The limit's value.
    pub limit: u64,
    /// The current usage.
    pub used: u64,
    /// The minimum that the request would add.
    pub wanted: u64,
    /// The tokens of its prompt.
    pub prompt: u64,
    /// The wait, if nothing else is admitted. `None` if it is unknown or infinite.
    pub retry_after: Option<Duration>,
}

impl Excess {
    /// The length of the wait: forever, a duration, or until other requests end.
    pub(super) fn severity(&self) -> Duration {
        match (self.wanted > self.limit, self.retry_after) {
            (true, _) => Duration::MAX,
            (false, Some(wait)) => wait,
            (false, None) => Duration::ZERO,
        }
    }

    /// The refusal, with the limit, its owner and the wait: 429, or 400 if waiting does not help. `output` is the field
    /// that limits the request's output.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::limits::{Excess, Limited, Subject};
    ///
    /// let retry_after = Some(Duration::from_secs(7));
    /// let excess = Excess { what: Limited::RequestsPerMinute, limit: 3, used: 3, wanted: 1, prompt: 10, retry_after };
    /// let error = excess.error(&Subject::Key("alice".into()), None);
    /// assert_eq!(
    ///     error.message,
    ///     "Rate limit reached for this key on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 7s."
    /// );
    /// ```
    pub fn error(&self, subject: &Subject, output: Option<&'static str>) -> ApiError {
        let (mut kind, mut code, measure) = self.terms();
        let mut message = String::with_capacity(160);
        message.push_str(self.opening(code));
        match subject {
            Subject::Key(_) => message.push_str("this key"),
            Subject::Label(name, value) => message.extend(["the label `", name, "=", value, "`"]),
            Subject::Model(name) => message.extend(["the model `", name, "`"]),
            Subject::All => message.push_str("the gateway"),
        }
        message.extend([" on ", measure, ": "]);
        self.write_numbers(&mut message);
        let (mut status, mut param) = (429, None);
        if self.is_too_large() {
            // a prompt that is too large by itself does not fit even without output
            param = output.filter(|_| self.what.measure() == Measure::Cost || self.prompt < self.limit);
            (status, kind, code) = (400, ErrorKind::InvalidRequest, "request_above_limit");
        }
        self.write_advice(&mut message, param);
        ApiError { status, kind, message, param, code, allow: None, retry_after: self.retry_after }
    }

    fn terms(&self) -> (ErrorKind, &'static str, &'static str) {
        const RATE: &str = "rate_limit_exceeded";
        const QUOTA: &str = "insufficient_quota";
        match self.what {
            Limited::RequestsPerMinute => (ErrorKind::Requests, RATE, "requests per min (RPM)"),
            Limited::RequestsPerDay => (ErrorKind::Quota, QUOTA, "requests per day (RPD)"),
            Limited::RequestsPerMonth => (ErrorKind::Quota, QUOTA, "requests per month"),
            Limited::TokensPerMinute => (ErrorKind::Tokens, RATE, "tokens per min (TPM)"),
            Limited::TokensPerDay => (ErrorKind::Quota, QUOTA, "tokens per day (TPD)"),
            Limited::TokensPerMonth => (ErrorKind::Quota, QUOTA, "tokens per month"),
            Limited::CostPerDay => (ErrorKind::Quota, QUOTA, "cost per day"),
            Limited::CostPerMonth => (ErrorKind::Quota, QUOTA, "cost per month"),
            Limited::Concurrency => (ErrorKind::Requests, RATE, "requests at a time"),
        }
    }

    fn opening(&self, code: &str) -> &'static str {
        if self.is_too_large() {
            "Request too large for "
        } else if code == "insufficient_quota" {
            "Quota reached for "
        } else {
            "Rate limit reached for "
        }
    }

    /// Whether the request alone exceeds the limit, even when unused.
    pub fn is_too_large(&self) -> bool {
        matches!(self.what.measure(), Measure::Tokens | Measure::Cost) && self.wanted > self.limit
    }

    fn write_numbers(&self, out: &mut String) {
        let Excess { limit, used, wanted, .. } = self;
        let is_known = *wanted > 1; // otherwise only a part of the budget had to be left
                                    // writing to a String cannot fail
        let _ = match self.what.measure() {
            Measure::Cost => {
                out.push_str("Limit $");
                write_dollars(out, *limit);
                if !self.is_too_large() {
                    out.push_str(", Used $");
                    write_dollars(out, *used);
                }
                if is_known {
                    out.push_str(", Requested $");
                    write_dollars(out, *wanted);
                }
                write!(out, ".")
            }
            _ if self.is_too_large() => write!(out, "Limit {limit}, Requested {wanted}."),
            _ => write!(out, "Limit {limit}, Used {used}, Requested {wanted}."),
        };
    }

    fn write_advice(&self, out: &mut String, output: Option<&str>) {
        if self.is_too_large() {
            out.push_str(" Waiting does not help: ");
            match output {
                Some(field) => out.extend(["ask for less output (`", field, "`)."]),
                None if self.what.measure() == Measure::Cost => {
                    out.push_str("shorten the prompt, or set a maximum of output.")
                }
                None => out.push_str("shorten the prompt."),
            }
        } else if let Some(wait) = self.retry_after {
            out.push_str(" Please try again in ");
            write_reset(out, wait);
            out.push('.');
        } else if self.limit > 0 {
            out.push_str(" Please try again when another has ended.");
        }
    }
}

/// Writes millionths of a dollar as dollars, with two to six decimals.
pub(super) fn write_dollars(out: &mut String, microusd: u64) {
    let (dollars, mut fraction, mut decimals) = (microusd / 1_000_000, microusd % 1_000_000, 6);
    while decimals > 2 && fraction % 10 == 0 {
        fraction /= 10;
        decimals -= 1;
    }
    let _ = write!(out, "{dollars}.{fraction:0decimals$}");
}
