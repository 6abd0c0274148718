//! Stores the records of limits, and admits a request to all its limits or to none.

use std::time::Duration;

use super::admission::too_small;
use super::{ActualUsage, Budget, Changed, Excess, LimitRecord, Limits, Reservation, Subject, UsageEstimate, Warning};

/// The storage of records.
pub trait LimitStore {
    /// Changes a subject's record. `change` may be called several times, each time with a freshly read record; only its
    /// last call counts. `false`: the record could not be written.
    fn change(&self, subject: &Subject, change: &mut dyn FnMut(&mut LimitRecord) -> Changed) -> bool;

    /// A subject's record; an empty one if there is none.
    fn read(&self, subject: &Subject) -> LimitRecord;

    /// A limit of a subject has reached its `warn_at`.
    fn warned(&self, _subject: &Subject, _warning: Warning) {}
}

/// An admitted request: its counts by subject. It must be settled, or its slots stay taken for as long as its VM lives.
#[must_use]
#[derive(Debug)]
pub struct Admission {
    reservations: Vec<(Subject, Reservation)>,
    vm: u64,
}

impl Admission {
    /// Admits a request to all subjects in order, or to none of them.
    ///
    /// If a record cannot be written, the request is admitted: availability matters more than exact counts. The
    /// store is told of limits that have reached their `warn_at`, whether they admit the request or not.
    ///
    /// # Errors
    /// The first subject that can never admit the request, or else the first that refuses it now; with its limit.
    pub fn take(
        store: &dyn LimitStore,
        subjects: &[(Subject, Limits)],
        estimate: UsageEstimate,
        now: Duration,
    ) -> Result<Admission, (Subject, Excess)> {
        let hopeless = subjects.iter().find_map(|(subject, limits)| Some((subject, too_small(limits, estimate)?)));
        if let Some((subject, excess)) = hopeless {
            return Err((subject.clone(), excess));
        }
        let mut admission = Admission { reservations: Vec::with_capacity(subjects.len()), vm: estimate.vm };
        for (subject, limits) in subjects.iter().filter(|(_, limits)| !limits.is_unlimited()) {
            let (mut outcome, mut warned) = (None, Vec::new());
            let written = store.change(subject, &mut |record| {
                let admitted = record.admit(limits, estimate, now);
                warned = record.warn(limits, admitted.as_ref().ok(), now);
                let changed = admitted.is_ok() || warned.iter().any(|warning| warning.is_first);
                outcome = Some(admitted);
                Changed::when(changed)
            });
            warned.into_iter().for_each(|warning| store.warned(subject, warning));
            match outcome {
                Some(Ok(reservation)) if written => admission.reservations.push((subject.clone(), reservation)),
                Some(Ok(_)) | None => {}
                Some(Err(excess)) => {
                    admission.withdraw(store, now);
                    return Err((subject.clone(), excess));
                }
            }
        }
        Ok(admission)
    }

    /// Counts one more request on an open connection of all subjects, if it fits the limits of all. The
    /// store is told of warnings, as by [`Self::take`].
    ///
    /// # Errors
    /// The first subject that refuses it, with its limit.
    pub fn turn(
        store: &dyn LimitStore,
        subjects: &[(Subject, Limits)],
        estimate: UsageEstimate,
        now: Duration,
    ) -> Result<(), (Subject, Excess)> {
        for (subject, limits) in subjects {
            let (mut refused, mut warned) = (None, Vec::new());
            store.change(subject, &mut |record| {
                refused = record.admit_turn(limits, estimate, now).err();
                warned = record.warn(limits, None, now);
                Changed::when(refused.is_none() || warned.iter().any(|warning| warning.is_first))
            });
            warned.into_iter().for_each(|warning| store.warned(subject, warning));
            if let Some(excess) = refused {
                return Err((subject.clone(), excess));
            }
        }
        Ok(())
    }

    /// Charges what an open connection of all subjects has used. What cannot be written is not charged.
    pub fn charge(store: &dyn LimitStore, subjects: &[(Subject, Limits)], tokens: u64, microusd: u64, now: Duration) {
        for (subject, _) in subjects {
            store.change(subject, &mut |record| {
                record.charge(tokens, microusd, now);
                Changed::Write
            });
        }
    }

    /// Whether a subject has a budget of money.
    pub fn has_budget(&self) -> bool {
        self.reservations.iter().any(|(_, reserved)| reserved.budget.is_some())
    }

    /// Reserves money in all subjects with a budget, once the request's maximum cost is known. If one refuses, the
    /// admission must be withdrawn.
    ///
    /// # Errors
    /// The first subject whose whole budget is too small, or else the first that refuses now; with its budget.
    pub fn reserve(&mut self, store: &dyn LimitStore, microusd: u64, now: Duration) -> Result<(), (Subject, Excess)> {
        let budget = |reserved: &Reservation| reserved.budget.map(Budget::limits).unwrap_or_default();
        let estimate = UsageEstimate { prompt: 0, output: 0, microusd, vm: self.vm };
        let too_small = |(subject, reserved): &(Subject, Reservation)| {
            Some((subject.clone(), too_small(&budget(reserved), estimate)?))
        };
        if let Some(hopeless) = self.reservations.iter().find_map(too_small) {
            return Err(hopeless);
        }
        for (subject, reservation) in self.reservations.iter_mut().filter(|(_, reserved)| reserved.budget.is_some()) {
            let mut reserved = None;
            let written = store.change(subject, &mut |record| {
                let result = record.reserve(reservation, microusd, now);
                let changed = if result.is_ok() { Changed::Write } else { Changed::Keep };
                reserved = Some(result);
                changed
            });
            match reserved {
                Some(Ok(())) if written => reservation.microusd = reservation.microusd.saturating_add(microusd),
                Some(Ok(())) | None => {}
                Some(Err(excess)) => return Err((subject.clone(), excess)),
            }
        }
        Ok(())
    }

    /// The maximum of tokens that one subject reserves for the request.
    pub fn tokens(&self) -> u64 {
        self.reservations.iter().map(|(_, reserved)| reserved.tokens).max().unwrap_or_default()
    }

    /// The request's counts, by subject.
    pub fn reservations(&self) -> &[(Subject, Reservation)] {
        &self.reservations
    }

    /// Counts the request's actual usage. `failed` gets the changes that could not be written, for a retry.
    pub fn settle(
        self,
        store: &dyn LimitStore,
        spent: ActualUsage,
        now: Duration,
        mut failed: impl FnMut(Subject, Reservation),
    ) {
        for (subject, reservation) in self.reservations {
            let written = store.change(&subject, &mut |record| record.settle(&reservation, spent, self.vm, now));
            if !written {
                failed(subject, reservation);
            }
        }
    }

    /// Undoes the admission, because another filter has refused the request. A count that cannot be written stays until
    /// it slides out of its window; a slot, until its VM renews.
    pub fn withdraw(self, store: &dyn LimitStore, now: Duration) {
        for (subject, reservation) in &self.reservations {
            store.change(subject, &mut |record| {
                record.withdraw(reservation, self.vm, now);
                Changed::Write
            });
        }
    }
}
