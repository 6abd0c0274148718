//! Whether a request may begin, and how its reservation is settled.

use std::time::Duration;

use super::warning::{reached, Warning};
use super::window::Window;
use super::{Changed, Excess, LimitRecord, Limited, Limits, Measure};

/// The estimate for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageEstimate {
    /// The tokens of its prompt, from [`prompt_tokens`].
    pub prompt: u64,
    /// Its maximum number of output tokens, over all choices; 0 if it has no limit.
    pub output: u64,
    /// Its maximum cost, in millionths of a dollar; 0 while it is unknown.
    pub microusd: u64,
    /// The VM that serves it: a number that no other VM has.
    pub vm: u64,
}

impl UsageEstimate {
    /// The tokens that these limits reserve for it.
    ///
    /// ```
    /// use sluice::limits::{UsageEstimate, Limits};
    ///
    /// let estimate = UsageEstimate { prompt: 100, output: 64_000, microusd: 0, vm: 1 };
    /// assert_eq!(estimate.tokens(&Limits::default()), 64_100);
    /// assert_eq!(estimate.tokens(&Limits { reserve_output: Some(2000), ..Limits::default() }), 2100);
    /// ```
    pub fn tokens(&self, limits: &Limits) -> u64 {
        self.prompt.saturating_add(self.output.min(limits.reserve_output.unwrap_or(u64::MAX)))
    }
}

/// The counts of an admitted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// When it was counted, since the epoch, in whole seconds, by the record's clock, which may be ahead of a worker's.
    pub at: Duration,
    /// The reserved tokens.
    pub tokens: u64,
    /// The reserved money, in millionths of a dollar.
    pub microusd: u64,
    /// The budgets, if money is limited: more may be reserved once the request's maximum cost is known.
    pub budget: Option<Budget>,
}

/// The limits of money, in millionths of a dollar; at least one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Per day.
    pub per_day: Option<u64>,
    /// Per month.
    pub per_month: Option<u64>,
}

impl Budget {
    /// The budgets among these limits.
    pub fn of(limits: &Limits) -> Option<Self> {
        let (per_day, per_month) = (limits.microusd_per_day, limits.microusd_per_month);
        (per_day.is_some() || per_month.is_some()).then_some(Budget { per_day, per_month })
    }

    /// As limits.
    pub(super) fn limits(self) -> Limits {
        Limits { microusd_per_day: self.per_day, microusd_per_month: self.per_month, ..Limits::default() }
    }
}

/// The actual usage of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActualUsage {
    /// As reported by the model server.
    Reported {
        /// Input and output together.
        tokens: u64,
        /// Their cost, in millionths of a dollar.
        microusd: u64,
    },
    /// A model server was called, but did not report everything: at least this much was used, and a higher estimate
    /// stays.
    AtLeast {
        /// Input and output together, as far as known.
        tokens: u64,
        /// Their cost, in millionths of a dollar.
        microusd: u64,
    },
    /// No model server answered: nothing was used, but the request stays counted.
    Nothing,
}

/// The tokens of a prompt: about four bytes each. Deliberately without a tokenizer: tokenizers differ by model and are
/// slow, and the report replaces the estimate anyway.
///
/// ```
/// use sluice::limits::prompt_tokens;
///
/// assert_eq!(prompt_tokens(401), 101);
/// ```
pub fn prompt_tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// The amount that a request adds to a limit of this kind.
fn wanted(what: Limited, limits: &Limits, estimate: UsageEstimate) -> u64 {
    match what.measure() {
        Measure::Tokens => estimate.tokens(limits),
        // the cost may be unknown yet, but some of the budget must be left
        Measure::Cost => estimate.microusd.max(1),
        Measure::Requests | Measure::Concurrency => 1,
    }
}

/// The limit that is too small for the request even when unused.
pub(super) fn too_small(limits: &Limits, estimate: UsageEstimate) -> Option<Excess> {
    let excess = |what: Limited| {
        let (limit, wanted) = (limits.of(what)?, wanted(what, limits, estimate));
        Some(Excess { what, limit, used: 0, wanted, prompt: estimate.prompt, retry_after: None })
    };
    Limited::ALL.into_iter().filter_map(excess).find(Excess::is_too_large)
}

impl LimitRecord {
    /// Counts a request, reserves its tokens and takes a concurrency slot, if it fits all limits. Otherwise nothing is
    /// counted.
    ///
    /// # Errors
    /// The limit with the longest wait.
    pub fn admit(&mut self, limits: &Limits, estimate: UsageEstimate, now: Duration) -> Result<Reservation, Excess> {
        self.slide(now);
        self.fit(limits);
        let excesses = Limited::ALL.into_iter().filter_map(|what| self.excess(what, limits, estimate, now));
        if let Some(excess) = excesses.max_by_key(Excess::severity) {
            return Err(excess);
        }
        let tokens = estimate.tokens(limits);
        for (what, window) in self.windows_mut() {
            match what.measure() {
                Measure::Requests => window.add(1),
                Measure::Tokens => window.add(tokens),
                Measure::Cost => window.add(estimate.microusd),
                Measure::Concurrency => {}
            }
        }
        if let Some(leases) = &mut self.leases {
            leases.take(estimate.vm);
        }
        let (at, budget) = (Duration::from_secs(self.seen), Budget::of(limits));
        Ok(Reservation { at, tokens, microusd: estimate.microusd, budget })
    }

    /// Counts one more request on an open connection, if it fits all limits. Its tokens are charged when they are reported.
    ///
    /// # Errors
    /// The limit with the longest wait.
    pub fn admit_turn(&mut self, limits: &Limits, estimate: UsageEstimate, now: Duration) -> Result<(), Excess> {
        self.slide(now);
        let kinds = Limited::ALL.into_iter().filter(|what| *what != Limited::Concurrency); // the connection has a slot
        let excesses = kinds.filter_map(|what| self.excess(what, limits, estimate, now));
        if let Some(excess) = excesses.max_by_key(Excess::severity) {
            return Err(excess);
        }
        self.of(Measure::Requests).for_each(|window| window.add(1));
        Ok(())
    }

    /// Whether nothing is left of a limit of tokens or money.
    pub fn is_used_up(&self, limits: &Limits, now: Duration) -> bool {
        let kinds = Limited::ALL.into_iter().filter(|what| matches!(what.measure(), Measure::Tokens | Measure::Cost));
        kinds.filter_map(|what| Some((what, limits.of(what)?))).any(|(what, limit)| self.used(what, now) >= limit)
    }

    /// Charges what a connection has used so far, while it stays open.
    pub fn charge(&mut self, tokens: u64, microusd: u64, now: Duration) {
        self.slide(now);
        let at = Duration::from_secs(self.seen);
        self.correct_tokens(&Reservation { at, tokens: 0, microusd: 0, budget: None }, tokens);
        self.correct_money(at, 0, microusd);
    }

    /// Reserves money for an admitted request, once its maximum cost is known.
    ///
    /// # Errors
    /// The rest of the budget is too small.
    pub fn reserve(&mut self, reservation: &Reservation, microusd: u64, now: Duration) -> Result<(), Excess> {
        self.slide(now);
        let limits = reservation.budget.map(Budget::limits).unwrap_or_default();
        let estimate = UsageEstimate { prompt: 0, output: 0, microusd, vm: 0 };
        let budgets = [Limited::CostPerDay, Limited::CostPerMonth].into_iter();
        let excesses = budgets.filter_map(|what| self.excess(what, &limits, estimate, now));
        match excesses.max_by_key(Excess::severity) {
            Some(excess) => Err(excess),
            None => {
                self.correct_money(reservation.at, 0, microusd);
                Ok(())
            }
        }
    }

    /// Undoes an admission completely, because another subject has refused the request.
    pub fn withdraw(&mut self, reservation: &Reservation, vm: u64, now: Duration) {
        self.slide(now);
        self.correct(Measure::Requests, reservation.at, 1, 0);
        self.correct_tokens(reservation, 0);
        self.correct_money(reservation.at, reservation.microusd, 0);
        self.give_back(vm);
    }

    /// Settles an admitted request: actual usage replaces the estimates, and its slot is released.
    pub fn settle(&mut self, reservation: &Reservation, spent: ActualUsage, vm: u64, now: Duration) -> Changed {
        if !self.counts_ends() {
            return Changed::Keep;
        }
        self.slide(now);
        let (tokens, microusd) = match spent {
            ActualUsage::Reported { tokens, microusd } => (tokens, microusd),
            ActualUsage::AtLeast { tokens, microusd } => (tokens.max(reservation.tokens), microusd),
            ActualUsage::Nothing => (0, 0),
        };
        self.correct_tokens(reservation, tokens);
        self.correct_money(reservation.at, reservation.microusd, microusd);
        self.give_back(vm);
        Changed::Write
    }

    /// Whether the end of a request changes anything; if only requests are limited, it does not.
    fn counts_ends(&mut self) -> bool {
        self.leases.is_some() || self.of(Measure::Tokens).next().is_some() || self.of(Measure::Cost).next().is_some()
    }

    /// Renews the lease of a VM with its number of slots, including slots that it has lost in the meantime because it
    /// was too late.
    pub fn renew(&mut self, vm: u64, held: u32, now: Duration) -> Changed {
        let before = self.leases.clone();
        self.slide(now);
        match &mut self.leases {
            Some(leases) => {
                leases.set(vm, held);
                if held > 0 || before != self.leases {
                    Changed::Write
                } else {
                    Changed::Keep
                }
            }
            None => Changed::Keep,
        }
    }

    /// The limits that have reached their `warn_at`, without what `own` has reserved of tokens and money; and notes them.
    pub fn warn(&mut self, limits: &Limits, own: Option<&Reservation>, now: Duration) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let Some(percent) = limits.warn_at else {
            return warnings;
        };
        for what in Limited::ALL.into_iter().filter(|what| *what != Limited::Concurrency) {
            let Some(limit) = limits.of(what) else {
                continue;
            };
            let reserved = own.map_or(0, |own| match what.measure() {
                Measure::Tokens => own.tokens,
                Measure::Cost => own.microusd,
                Measure::Requests | Measure::Concurrency => 0,
            });
            let used = self.used(what, now).saturating_sub(reserved);
            if let Some(percent) = reached(limit, used, percent) {
                warnings.push(Warning { what, percent, is_first: self.warned.note(what, self.seen) });
            }
        }
        warnings
    }

    /// Notes a warning that another count has given. `false`: the window has had one already.
    pub fn note_warning(&mut self, what: Limited, now: Duration) -> bool {
        self.slide(now);
        self.warned.note(what, self.seen)
    }

    fn excess(&self, what: Limited, limits: &Limits, estimate: UsageEstimate, now: Duration) -> Option<Excess> {
        let limit = limits.of(what)?;
        let used = self.used(what, now);
        let wanted = wanted(what, limits, estimate);
        let has_room =
            what != Limited::Concurrency || self.leases.as_ref().is_none_or(|leases| leases.has_room_for(estimate.vm));
        if has_room && used.saturating_add(wanted) <= limit {
            return None;
        }
        let retry_after = limit.checked_sub(wanted).and_then(|room| self.wait(what, room, now));
        Some(Excess { what, limit, used, wanted, prompt: estimate.prompt, retry_after })
    }

    /// The counted windows of this measure.
    fn of(&mut self, measure: Measure) -> impl Iterator<Item = &mut dyn Window> {
        self.windows_mut().filter(move |(what, _)| what.measure() == measure).map(|(_, window)| window)
    }

    fn correct(&mut self, measure: Measure, at: Duration, wrong: u64, right: u64) {
        let (seen, at) = (self.seen, at.as_secs());
        self.of(measure).for_each(|window| window.correct(seen, at, wrong, right));
    }

    fn correct_tokens(&mut self, reservation: &Reservation, tokens: u64) {
        self.correct(Measure::Tokens, reservation.at, reservation.tokens, tokens);
    }

    fn correct_money(&mut self, at: Duration, wrong: u64, right: u64) {
        self.correct(Measure::Cost, at, wrong, right);
    }

    fn give_back(&mut self, vm: u64) {
        if let Some(leases) = &mut self.leases {
            leases.give_back(vm);
        }
    }
}
