//! The share of failures among the latest requests.
//!
//! Two counters approximate a sliding window: one for the current span, one for the previous span, which counts only
//! for the part still in the window.

use super::millis;
use super::policy::Policy;

/// Requests by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) successes: u32,
    pub(super) failures: u32,
}

impl Counts {
    fn add(&mut self, more: Counts) {
        self.successes = self.successes.saturating_add(more.successes);
        self.failures = self.failures.saturating_add(more.failures);
    }

    /// All requests and the failed ones, `weight` times each.
    fn weighted(self, weight: u64) -> (u128, u128) {
        let times = |count: u32| u128::from(count) * u128::from(weight);
        (times(self.successes) + times(self.failures), times(self.failures))
    }
}

/// The requests of the last [`Policy::window`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FailureWindow {
    /// When the current span began, in milliseconds since the epoch.
    pub(super) began: u64,
    pub(super) current: Counts,
    pub(super) previous: Counts,
}

impl FailureWindow {
    /// Counts requests that ended at `now` (milliseconds since the epoch).
    pub(super) fn add(&mut self, counts: Counts, now: u64, policy: &Policy) {
        self.slide(now, span(policy));
        self.current.add(counts);
    }

    /// Whether too many failed. Call after [`FailureWindow::add`], at the same time.
    pub(super) fn is_failing(&self, now: u64, policy: &Policy) -> bool {
        let Some(percent) = policy.failure_percent else {
            return false;
        };
        let span = span(policy);
        let (current, current_failures) = self.current.weighted(span);
        let (previous, previous_failures) = self.previous.weighted(span.saturating_sub(now.saturating_sub(self.began)));
        let (requests, failures) = (current + previous, current_failures + previous_failures);
        requests >= u128::from(policy.min_requests) * u128::from(span)
            && failures * 100 >= requests * u128::from(percent.min(100))
    }

    fn slide(&mut self, now: u64, span: u64) {
        let passed = now.saturating_sub(self.began);
        if passed >= span.saturating_mul(2) {
            *self = FailureWindow { began: now, ..FailureWindow::default() };
        } else if passed >= span {
            self.began = self.began.saturating_add(span);
            self.previous = std::mem::take(&mut self.current);
        }
    }
}

fn span(policy: &Policy) -> u64 {
    millis(policy.window).max(1)
}
