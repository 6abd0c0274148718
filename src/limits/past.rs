//! Usage from before an Envoy's start, which its windows begin with.

use std::time::Duration;

use super::window::{Day, Month, ReadableWindow, Window};
use crate::codec::{Reader, Writer};

/// Amounts of usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Served requests.
    pub requests: u64,
    /// Input and output tokens together.
    pub tokens: u64,
    /// Millionths of a dollar.
    pub microusd: u64,
}

/// A subject's usage in the last 24 hours and in the current month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PastUsage {
    pub(super) requests_day: Day,
    pub(super) requests_month: Month,
    pub(super) tokens_day: Day,
    pub(super) tokens_month: Month,
    pub(super) microusd_day: Day,
    pub(super) microusd_month: Month,
}

impl PastUsage {
    /// Adds the usage of the hour of the time `at`.
    pub fn add_hour(&mut self, now: Duration, at: Duration, amounts: Amounts) {
        let days = [&mut self.requests_day, &mut self.tokens_day, &mut self.microusd_day];
        for (window, more) in days.into_iter().zip([amounts.requests, amounts.tokens, amounts.microusd]) {
            window.correct(now.as_secs(), at.as_secs(), 0, more);
        }
    }

    /// Adds usage of the current month.
    pub fn add_month(&mut self, now: Duration, amounts: Amounts) {
        let months = [&mut self.requests_month, &mut self.tokens_month, &mut self.microusd_month];
        for (window, more) in months.into_iter().zip([amounts.requests, amounts.tokens, amounts.microusd]) {
            window.correct(now.as_secs(), now.as_secs(), 0, more);
        }
    }

    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        for day in [&self.requests_day, &self.tokens_day, &self.microusd_day] {
            day.write(out);
        }
        for month in [&self.requests_month, &self.tokens_month, &self.microusd_month] {
            month.write(out);
        }
    }

    /// Reads it; `None`: invalid.
    pub fn read(input: &mut Reader<'_>) -> Option<Self> {
        Some(PastUsage {
            requests_day: Day::read(input)?,
            tokens_day: Day::read(input)?,
            microusd_day: Day::read(input)?,
            requests_month: Month::read(input)?,
            tokens_month: Month::read(input)?,
            microusd_month: Month::read(input)?,
        })
    }
}
