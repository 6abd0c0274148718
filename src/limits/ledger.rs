//! The storage of records, and the admission of a request to several of them.

use std::time::Duration;

use super::admission::too_small;
use super::{Changed, Demand, Excess, Limits, Record, Reservation, Spent, Subject};

/// The storage of records.
pub trait Ledger {
    /// Changes a subject's record. `change` may be called several times, each time with a freshly read record; only its
    /// last call counts. `false`: the record could not be written.
    fn change(&self, subject: &Subject, change: &mut dyn FnMut(&mut Record) -> Changed) -> bool;

    /// A subject's record; an empty one if there is none.
    fn read(&self, subject: &Subject) -> Record;
}

/// An admitted request: its counts by subject. It must be settled, or its slots stay taken for as long as its VM lives.
#[must_use]
#[derive(Debug)]
pub struct Ticket {
    reservations: Vec<(Subject, Reservation)>,
    vm: u64,
}

impl Ticket {
    /// Admits a request to all subjects in order, or to none of them.
    ///
    /// If a record cannot be written, the request is admitted: availability matters more than exact counts.
    ///
    /// # Errors
    /// The first subject that can never admit the request, or else the first that refuses it now; with its limit.
    pub fn take(
        ledger: &dyn Ledger,
        subjects: &[(Subject, Limits)],
        demand: Demand,
        now: Duration,
    ) -> Result<Ticket, (Subject, Excess)> {
        let hopeless = subjects.iter().find_map(|(subject, limits)| Some((subject, too_small(limits, demand)?)));
        if let Some((subject, excess)) = hopeless {
            return Err((subject.clone(), excess));
        }
        let mut ticket = Ticket { reservations: Vec::with_capacity(subjects.len()), vm: demand.vm };
        for (subject, limits) in subjects.iter().filter(|(_, limits)| !limits.is_unlimited()) {
            let mut admission = None;
            let written = ledger.change(subject, &mut |record| {
                let admitted = record.admit(limits, demand, now);
                let changed = if admitted.is_ok() { Changed::Write } else { Changed::Keep };
                admission = Some(admitted);
                changed
            });
            match admission {
                Some(Ok(reservation)) if written => ticket.reservations.push((subject.clone(), reservation)),
                Some(Ok(_)) | None => {}
                Some(Err(excess)) => {
                    ticket.withdraw(ledger, now);
                    return Err((subject.clone(), excess));
                }
            }
        }
        Ok(ticket)
    }

    /// Whether a subject has a budget of money.
    pub fn has_budget(&self) -> bool {
        self.reservations.iter().any(|(_, reserved)| reserved.budget.is_some())
    }

    /// Reserves money in all subjects with a budget, once the request's maximum cost is known. If one refuses, the
    /// ticket must be withdrawn.
    ///
    /// # Errors
    /// The first subject whose whole budget is too small, or else the first that refuses now; with its budget.
    pub fn reserve(&mut self, ledger: &dyn Ledger, microusd: u64, now: Duration) -> Result<(), (Subject, Excess)> {
        let budget = |reserved: &Reservation| Limits { microusd_per_day: reserved.budget, ..Limits::default() };
        let demand = Demand { prompt: 0, output: 0, microusd, vm: self.vm };
        let too_small = |(subject, reserved): &(Subject, Reservation)| {
            Some((subject.clone(), too_small(&budget(reserved), demand)?))
        };
        if let Some(hopeless) = self.reservations.iter().find_map(too_small) {
            return Err(hopeless);
        }
        for (subject, reservation) in self.reservations.iter_mut().filter(|(_, reserved)| reserved.budget.is_some()) {
            let mut reserved = None;
            let written = ledger.change(subject, &mut |record| {
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
        ledger: &dyn Ledger,
        spent: Spent,
        now: Duration,
        mut failed: impl FnMut(Subject, Reservation),
    ) {
        for (subject, reservation) in self.reservations {
            let written = ledger.change(&subject, &mut |record| record.settle(&reservation, spent, self.vm, now));
            if !written {
                failed(subject, reservation);
            }
        }
    }

    /// Undoes the admission, because another filter has refused the request. A count that cannot be written stays until
    /// it slides out of its window; a slot, until its VM renews.
    pub fn withdraw(self, ledger: &dyn Ledger, now: Duration) {
        for (subject, reservation) in &self.reservations {
            ledger.change(subject, &mut |record| {
                record.withdraw(reservation, self.vm, now);
                Changed::Write
            });
        }
    }
}
