//! The states of a cluster, and all their transitions.

use std::time::Duration;

use super::failure_window::{Counts, FailureWindow};
use super::lease::Lease;
use super::millis;
use super::policy::{Policy, Reason, Verdict};
use super::standing::{Standing, StandingChange};

/// The state of a cluster. Times in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Circuit {
    Closed {
        /// When it returned.
        since: u64,
        window: FailureWindow,
    },
    Open {
        reason: Reason,
        /// `None`: until it is restored manually.
        until: Option<u64>,
        lease: Option<Lease>,
    },
}

impl Default for Circuit {
    fn default() -> Self {
        Circuit::Closed { since: 0, window: FailureWindow::default() }
    }
}

/// The health of one cluster. The default is healthy, without failures.
///
/// ```
/// use std::time::Duration;
/// use sluice::health::{StandingChange, Health, Policy, Reason, Standing, Verdict};
///
/// let policy = Policy { consecutive_failures: 2, ..Policy::default() };
/// let at = Duration::from_secs;
/// let mut health = Health::default();
/// assert_eq!(health.judge(Verdict::Failure, None, None, at(1), &policy), StandingChange::Noted);
/// let change = health.judge(Verdict::Failure, None, None, at(2), &policy);
/// assert_eq!(change, StandingChange::Ejected(Reason::ConsecutiveFailures));
/// assert_eq!(health.probe(at(31), at(10)), None, "not yet");
///
/// let lease = health.probe(at(32), at(10));
/// assert!(lease.is_some());
/// assert_eq!(health.probe(at(32), at(10)), None, "one at a time");
/// assert_eq!(health.judge(Verdict::Success, None, lease, at(33), &policy), StandingChange::Restored);
/// assert_eq!(health.standing(at(33)), Standing::Healthy);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Failures since the last success.
    pub(super) failures: u32,
    /// The ejections that lengthen the next one.
    pub(super) ejections: u32,
    /// The number of the last lease.
    pub(super) lease_number: u16,
    pub(super) circuit: Circuit,
}

impl Health {
    /// Whether the cluster may be used at `now` (since the epoch).
    pub fn standing(&self, now: Duration) -> Standing {
        match self.circuit {
            Circuit::Closed { .. } => Standing::Healthy,
            Circuit::Open { reason, until, .. } if until.is_none_or(|until| millis(now) < until) => {
                Standing::Ejected { until: until.map(Duration::from_millis), reason }
            }
            Circuit::Open { reason, lease, .. } => {
                Standing::HalfOpen { probing: lease.is_some_and(|lease| lease.is_live(millis(now))), reason }
            }
        }
    }

    /// Whether [`Health::judge`] must be called. It need not for the usual success at a healthy cluster, so such a
    /// success writes no shared state: the caller counts it, and reports the count with [`Health::add_successes`]
    /// later.
    pub fn would_change(&self, verdict: Verdict, held: Option<Lease>) -> bool {
        match (verdict, self.circuit) {
            (Verdict::Failure | Verdict::Credential | Verdict::NoCluster, _) => true,
            (Verdict::Success, Circuit::Closed { .. }) => self.failures > 0,
            (Verdict::Neutral, Circuit::Closed { .. }) => false,
            (Verdict::Success | Verdict::Neutral, Circuit::Open { lease, .. }) => lease.is_some() && lease == held,
        }
    }

    /// Records the end of an attempt.
    ///
    /// - `retry_after`: the delay from a 429 or 503; none if it is zero.
    /// - `held`: the lease, if the attempt was the probe. A late probe still decides, unless another lease was given in
    ///   the meantime.
    /// - `now`: since the epoch.
    pub fn judge(
        &mut self,
        verdict: Verdict,
        retry_after: Option<Duration>,
        held: Option<Lease>,
        now: Duration,
        policy: &Policy,
    ) -> StandingChange {
        let now = millis(now);
        let pause = retry_after.map(|pause| millis(pause.min(policy.max_retry_after))).filter(|pause| *pause > 0);
        if matches!(verdict, Verdict::Failure | Verdict::Credential | Verdict::NoCluster) {
            self.failures = self.failures.saturating_add(1);
        }
        match self.circuit {
            Circuit::Closed { .. } => self.judge_member(verdict, pause, now, policy),
            Circuit::Open { reason, lease: Some(lease), .. } if held == Some(lease) => {
                self.judge_probe(verdict, pause, reason, now, policy)
            }
            Circuit::Open { reason, until, .. } => match (verdict, pause) {
                (Verdict::Success | Verdict::Neutral, _) => StandingChange::None,
                (Verdict::Failure, Some(pause)) => self.extend(pause, reason, until, now),
                (Verdict::Failure, None) | (Verdict::Credential | Verdict::NoCluster, _) => StandingChange::Noted,
            },
        }
    }

    /// Adds successes that one worker has counted since its last call (see [`Health::would_change`]). They only affect
    /// the share of failures, because a failure may have come after them.
    pub fn add_successes(&mut self, count: u32, now: Duration, policy: &Policy) -> StandingChange {
        StandingChange::noted_if(self.count(Counts { successes: count, failures: 0 }, millis(now), policy))
    }

    /// Takes the lease of a half-open cluster, for the time `lease`. After that time another worker may probe, so a
    /// worker that crashes does not lock the cluster out. `None` if the cluster is not half-open, or another worker
    /// holds the lease. The lease is only valid once the record has been written.
    pub fn probe(&mut self, now: Duration, lease: Duration) -> Option<Lease> {
        let Standing::HalfOpen { probing: false, .. } = self.standing(now) else {
            return None;
        };
        let Circuit::Open { lease: current, .. } = &mut self.circuit else {
            return None;
        };
        // Zero is never used: in the record it means "no lease".
        self.lease_number = self.lease_number.wrapping_add(1).max(1);
        *current = Some(Lease::new(millis(now).saturating_add(millis(lease)), self.lease_number));
        *current
    }

    /// Returns the lease if the probe ended without a result, so that another one may start at once.
    pub fn release(&mut self, held: Lease) -> StandingChange {
        match &mut self.circuit {
            Circuit::Open { lease, .. } if *lease == Some(held) => {
                *lease = None;
                StandingChange::Noted
            }
            Circuit::Open { .. } | Circuit::Closed { .. } => StandingChange::None,
        }
    }

    /// Ejects the cluster manually, for a time (then it is half-open) or until it is restored. Its earlier state is
    /// dropped.
    pub fn eject(&mut self, time: Option<Duration>, now: Duration) -> StandingChange {
        self.forget();
        match time {
            Some(time) => self.leave(Reason::Manual, millis(time), millis(now)),
            None => {
                self.circuit = Circuit::Open { reason: Reason::Manual, until: None, lease: None };
                StandingChange::Ejected(Reason::Manual)
            }
        }
    }

    /// Restores the cluster manually. Its earlier state is dropped.
    pub fn restore(&mut self) -> StandingChange {
        let before = self.clone();
        self.forget();
        match before.circuit {
            Circuit::Open { .. } => StandingChange::Restored,
            Circuit::Closed { .. } => StandingChange::noted_if(*self != before),
        }
    }

    /// Why the cluster is out; `None` if it is not.
    pub fn reason(&self) -> Option<Reason> {
        match self.circuit {
            Circuit::Open { reason, .. } => Some(reason),
            Circuit::Closed { .. } => None,
        }
    }

    /// When the cluster's ejection ends or ended, since the epoch; `None` if it is not out, or until restored.
    pub fn until(&self) -> Option<Duration> {
        match self.circuit {
            Circuit::Open { until, .. } => until.map(Duration::from_millis),
            Circuit::Closed { .. } => None,
        }
    }

    /// Failures since the last success, including stragglers'.
    pub fn consecutive_failures(&self) -> u32 {
        self.failures
    }

    /// The ejections that lengthen the next one: those that have not decayed.
    pub fn ejections(&self, now: Duration, policy: &Policy) -> u32 {
        match self.circuit {
            Circuit::Open { .. } => self.ejections,
            Circuit::Closed { since, .. } => {
                let forgotten = millis(now).saturating_sub(since) / millis(policy.time).max(1);
                self.ejections.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
            }
        }
    }

    fn judge_member(&mut self, verdict: Verdict, pause: Option<u64>, now: u64, policy: &Policy) -> StandingChange {
        match verdict {
            Verdict::Neutral => StandingChange::None,
            Verdict::Success => {
                let streak = std::mem::take(&mut self.failures);
                let counted = self.count(Counts { successes: 1, failures: 0 }, now, policy);
                StandingChange::noted_if(streak > 0 || counted)
            }
            Verdict::Credential => self.back_off(Reason::Credential, now, policy),
            Verdict::NoCluster => self.back_off(Reason::NoCluster, now, policy),
            Verdict::Failure => {
                self.count(Counts { successes: 0, failures: 1 }, now, policy);
                match (pause, self.too_much(now, policy)) {
                    (Some(pause), _) => self.pause(pause, now, policy),
                    (None, Some(reason)) => self.back_off(reason, now, policy),
                    (None, None) => StandingChange::Noted,
                }
            }
        }
    }

    fn judge_probe(
        &mut self,
        verdict: Verdict,
        pause: Option<u64>,
        reason: Reason,
        now: u64,
        policy: &Policy,
    ) -> StandingChange {
        match (verdict, pause) {
            (Verdict::Success, _) => {
                self.failures = 0;
                self.circuit = Circuit::Closed { since: now, window: FailureWindow::default() };
                StandingChange::Restored
            }
            (Verdict::Neutral, _) => {
                if let Circuit::Open { lease, .. } = &mut self.circuit {
                    *lease = None;
                }
                StandingChange::Noted
            }
            (Verdict::Credential, _) => self.back_off(Reason::Credential, now, policy),
            (Verdict::NoCluster, _) => self.back_off(Reason::NoCluster, now, policy),
            (Verdict::Failure, Some(pause)) => self.pause(pause, now, policy),
            (Verdict::Failure, None) => {
                let reason = match reason {
                    Reason::FailureRatio => Reason::FailureRatio,
                    Reason::ConsecutiveFailures
                    | Reason::RetryAfter
                    | Reason::Credential
                    | Reason::Manual
                    | Reason::NoCluster => Reason::ConsecutiveFailures,
                };
                self.back_off(reason, now, policy)
            }
        }
    }

    /// Applies the retry delay of a straggler, if it is longer than the ejection. Manual ejections are not changed. A
    /// running probe loses its lease, because the cluster is no longer half-open.
    fn extend(&mut self, pause: u64, reason: Reason, until: Option<u64>, now: u64) -> StandingChange {
        match until {
            Some(until) if reason == Reason::Manual || now.saturating_add(pause) <= until => StandingChange::Noted,
            Some(until) if now >= until => self.leave(Reason::RetryAfter, pause, now),
            Some(_) => {
                let _still_out = self.leave(reason, pause, now);
                StandingChange::Noted
            }
            None => StandingChange::Noted,
        }
    }

    /// Why the last failure ejects.
    fn too_much(&self, now: u64, policy: &Policy) -> Option<Reason> {
        let Circuit::Closed { window, .. } = &self.circuit else {
            return None;
        };
        if policy.consecutive_failures > 0 && self.failures >= policy.consecutive_failures {
            Some(Reason::ConsecutiveFailures)
        } else {
            window.is_failing(now, policy).then_some(Reason::FailureRatio)
        }
    }

    /// Counts requests for the share of failures, if the policy uses it.
    fn count(&mut self, counts: Counts, now: u64, policy: &Policy) -> bool {
        match &mut self.circuit {
            Circuit::Closed { window, .. } if policy.failure_percent.is_some() && counts != Counts::default() => {
                window.add(counts, now, policy);
                true
            }
            Circuit::Closed { .. } | Circuit::Open { .. } => false,
        }
    }

    /// Ejects for longer than the last time.
    fn back_off(&mut self, reason: Reason, now: u64, policy: &Policy) -> StandingChange {
        let earlier = self.ejections(Duration::from_millis(now), policy);
        self.ejections = earlier.saturating_add(1);
        self.leave(reason, millis(policy.backoff(earlier)), now)
    }

    /// Ejects for a delay that the provider requested, which does not affect the next ejection.
    fn pause(&mut self, pause: u64, now: u64, policy: &Policy) -> StandingChange {
        self.ejections = self.ejections(Duration::from_millis(now), policy);
        self.leave(Reason::RetryAfter, pause, now)
    }

    fn leave(&mut self, reason: Reason, time: u64, now: u64) -> StandingChange {
        // In the record, the latest time means "until it is restored".
        let until = Some(now.saturating_add(time).min(u64::MAX - 1));
        self.circuit = Circuit::Open { reason, until, lease: None };
        StandingChange::Ejected(reason)
    }

    /// Resets to the default, but keeps leases distinct from earlier ones.
    fn forget(&mut self) {
        *self = Health { lease_number: self.lease_number, ..Health::default() };
    }
}
