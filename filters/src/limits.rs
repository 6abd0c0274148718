//! Limits, in the shared data of all workers of this Envoy.
//!
//! The only module that stores the records: a store for several Envoys would be another [`LimitStore`].

use std::cell::RefCell;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::limits::shared::SharedLimits;
use sluice::limits::{
    write_report, write_reset, ActualUsage, Admission, Changed, LimitRecord, LimitStore, Limits, Quota, RateHeaders,
    ReportLine, Reservation, Subject, UsageEstimate, Warning, LEASE,
};

use sluice::usage::TokenUsage;

use crate::host::{self, shared_data, Headers};
use crate::limit_warnings;
use crate::shared_limits;

thread_local! {
    static BOOK: RefCell<Book> = RefCell::default();
}

/// This worker's state of limits.
#[derive(Default)]
struct Book {
    /// The VM's number; 0 until it has one.
    vm: u64,
    /// The slots that this VM holds.
    held: HashMap<Subject, u32>,
    /// When it last renewed them.
    renewed: Duration,
    /// What could not be written when its request ended.
    unsettled: Vec<(Subject, Reservation, ActualUsage)>,
}

impl Book {
    fn vm(&mut self) -> u64 {
        if self.vm == 0 {
            self.vm = host::seed() | 1;
        }
        self.vm
    }

    fn hold(&mut self, subject: &Subject) {
        match self.held.get_mut(subject) {
            Some(held) => *held = held.saturating_add(1),
            None => {
                self.held.insert(subject.clone(), 1);
            }
        }
    }

    fn release(&mut self, subject: &Subject) {
        let left = self.held.get_mut(subject).map(|held| {
            *held = held.saturating_sub(1);
            *held
        });
        if left == Some(0) {
            self.held.remove(subject);
        }
    }
}

/// The records that this Envoy's workers share, with the last read ones.
#[derive(Default)]
struct SharedData {
    seen: RefCell<Vec<(Subject, LimitRecord)>>,
    warnings: RefCell<Vec<(Subject, Warning)>>,
}

impl SharedData {
    fn remember(&self, subject: &Subject, record: LimitRecord) {
        let mut seen = self.seen.borrow_mut();
        match seen.iter_mut().find(|(known, _)| known == subject) {
            Some((_, known)) => *known = record,
            None => seen.push((subject.clone(), record)),
        }
    }
}

impl LimitStore for SharedData {
    fn change(&self, subject: &Subject, change: &mut dyn FnMut(&mut LimitRecord) -> Changed) -> bool {
        let record = shared_data::update(&subject.data_key(), change);
        let known = record.is_some();
        record.into_iter().for_each(|record| self.remember(subject, record));
        known
    }

    fn read(&self, subject: &Subject) -> LimitRecord {
        shared_data::record(&subject.data_key())
    }

    fn warned(&self, subject: &Subject, warning: Warning) {
        self.warnings.borrow_mut().push((subject.clone(), warning));
    }
}

/// Admits a request to all of these subjects, or to none; `microusd`: its maximum cost, as far as known. The exchange
/// gets the limits for its client's headers in any case, and the admission to settle at its end.
///
/// # Errors
/// 429: one of the limits is reached; 400: the request is too large for one.
pub fn admit(exchange: &mut Exchange, subjects: &[(Subject, Limits)], microusd: u64) -> Result<(), ApiError> {
    if subjects.iter().all(|(_, limits)| limits.is_unlimited()) {
        return Ok(());
    }
    let now = host::now();
    let vm = BOOK.with_borrow_mut(Book::vm);
    let store = SharedData::default();
    let taken = Admission::take(&store, subjects, exchange.usage_estimate(microusd, vm), now);
    let warnings = store.warnings.take();
    if !warnings.is_empty() {
        limit_warnings::give(exchange, warnings);
    }
    if taken.is_err() {
        withdraw(exchange, now);
    }
    let seen = store.seen.borrow();
    let records = subjects.iter().filter_map(|(subject, limits)| {
        let (_, record) = seen.iter().find(|(known, _)| known == subject)?;
        Some((limits, record))
    });
    exchange.tell_rates(RateHeaders::tightest(records, now));
    match taken {
        Ok(admission) => {
            let limited = |(subject, _): &&(Subject, Reservation)| {
                subjects.iter().any(|(known, limits)| known == subject && limits.concurrency.is_some())
            };
            let taken = admission.reservations().iter().filter(limited);
            BOOK.with_borrow_mut(|book| taken.for_each(|(subject, _)| book.hold(subject)));
            exchange.admitted(admission);
            if let Some(socket) = exchange.socket_mut() {
                let limited = subjects.iter().filter(|(_, limits)| !limits.is_unlimited());
                socket.subjects.extend(limited.cloned());
            }
            Ok(())
        }
        Err((subject, excess)) => Err(excess.error(&subject, exchange.output_field())),
    }
}

/// Whether a subject with a budget has admitted the request.
pub fn has_budget(exchange: &Exchange) -> bool {
    exchange.admissions().iter().any(Admission::has_budget)
}

/// Reserves a request's maximum cost at the subjects with a budget that have admitted it.
///
/// # Errors
/// 429: the rest of a budget is too small; 400: the whole budget is too small.
pub fn reserve(exchange: &mut Exchange, microusd: u64) -> Result<(), ApiError> {
    if microusd == 0 || !has_budget(exchange) {
        return Ok(());
    }
    let (store, now) = (SharedData::default(), host::now());
    let reserved =
        exchange.admissions_mut().iter_mut().try_for_each(|admission| admission.reserve(&store, microusd, now));
    reserved.map_err(|(subject, excess)| {
        withdraw(exchange, now);
        excess.error(&subject, exchange.output_field())
    })
}

/// Undoes the admissions, because another filter, or the service that counts for all Envoys, has refused the request.
pub fn withdraw(exchange: &mut Exchange, now: Duration) {
    exchange.take_shared();
    let store = SharedData::default();
    if !exchange.admissions().is_empty() {
        exchange.withdrawn();
    }
    for admission in exchange.take_admissions() {
        BOOK.with_borrow_mut(|book| admission.reservations().iter().for_each(|(subject, _)| book.release(subject)));
        admission.withdraw(&store, now);
    }
}

/// Counts one more request on an open connection, with a prompt of at most so many tokens.
///
/// # Errors
/// 429: one of the limits is reached.
pub fn turn(exchange: &Exchange, prompt: u64) -> Result<(), ApiError> {
    let Some(socket) = exchange.socket().filter(|socket| !socket.subjects.is_empty()) else {
        return Ok(());
    };
    let estimate = UsageEstimate { prompt, output: 0, microusd: 0, vm: BOOK.with_borrow_mut(Book::vm) };
    let store = SharedData::default();
    let turn = Admission::turn(&store, &socket.subjects, estimate, host::now());
    limit_warnings::tell_all(&store.warnings.take());
    turn.map_err(|(subject, excess)| excess.error(&subject, None))
}

/// Whether nothing is left of a limit of an open connection's tokens or money.
pub fn is_used_up(exchange: &Exchange) -> bool {
    let (store, now) = (SharedData::default(), host::now());
    let used_up = |(subject, limits): &(Subject, Limits)| store.read(subject).is_used_up(limits, now);
    exchange.socket().is_some_and(|socket| socket.subjects.iter().any(used_up))
}

/// Charges a response that has ended on an open connection.
pub fn charge(exchange: &mut Exchange, tokens: TokenUsage) {
    let microusd = exchange.socket_used(tokens);
    let now = host::now();
    if let Some(known) = exchange.shared() {
        let spent = ActualUsage::Reported { tokens: tokens.total(), microusd };
        let (service, subjects) = (known.service.clone(), known.subjects.clone());
        let charged = SharedLimits { service, subjects, uncounted: false };
        shared_limits::charge(&charged, spent, 0, now);
    }
    if let Some(socket) = exchange.socket() {
        Admission::charge(&SharedData::default(), &socket.subjects, tokens.total(), microusd, now);
    }
    let is_over = is_used_up(exchange);
    exchange.socket_mut().into_iter().for_each(|socket| socket.is_over = is_over);
}

/// Settles the usage of a request that has ended.
pub fn settle(exchange: &mut Exchange) {
    if exchange.admissions().is_empty() {
        return;
    }
    let (spent, now) = (exchange.actual_usage(), host::now());
    if let Some(known) = exchange.take_shared() {
        let reserved = exchange.admissions().iter().map(Admission::tokens).max().unwrap_or_default();
        shared_limits::charge(&known, spent, reserved, now);
    }
    let store = SharedData::default();
    for admission in exchange.take_admissions() {
        BOOK.with_borrow_mut(|book| {
            admission.reservations().iter().for_each(|(subject, _)| book.release(subject));
            admission.settle(&store, spent, now, |subject, reservation| {
                book.unsettled.push((subject, reservation, spent));
            });
        });
    }
}

/// Writes earlier changes that could not be written, and renews this VM's slots. Called on each tick.
pub fn renew() {
    let now = host::recent();
    BOOK.with_borrow_mut(|book| {
        let (store, vm) = (SharedData::default(), book.vm);
        book.unsettled.retain(|(subject, reservation, spent)| {
            !store.change(subject, &mut |record| record.settle(reservation, *spent, vm, now))
        });
        if book.held.is_empty() || now.abs_diff(book.renewed) < LEASE / 3 {
            return;
        }
        book.renewed = now;
        for (subject, held) in &book.held {
            store.change(subject, &mut |record| record.renew(vm, *held, now));
        }
    });
}

/// The rest of these limits.
pub fn report(subjects: &[(Subject, Limits)]) -> String {
    let store = SharedData::default();
    let records: Vec<LimitRecord> = subjects.iter().map(|(subject, _)| store.read(subject)).collect();
    let lines = subjects.iter().zip(&records).map(|((subject, limits), record)| ReportLine { subject, limits, record });
    let mut out = String::new();
    write_report(&mut out, lines, host::now());
    out
}

/// Sends the client its limits.
pub fn write_headers(exchange: &Exchange) {
    limit_warnings::write_header(exchange);
    let RateHeaders { requests, tokens } = exchange.rates();
    let requests =
        ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", requests);
    let tokens = ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens", tokens);
    let is_limited = exchange.rates().requests.is_some() || exchange.rates().tokens.is_some();
    for (limit, remaining, reset, quota) in [requests, tokens] {
        let Some(Quota { limit: most, remaining: left, reset: wait }) = quota else {
            // a provider's own headers are about its account; if there is one, there are all
            if is_limited && host::header(Headers::Response, remaining).is_some() {
                for name in [limit, remaining, reset] {
                    host::remove_header(Headers::Response, name);
                }
            }
            continue;
        };
        let mut time = String::new();
        write_reset(&mut time, wait);
        host::set_header(Headers::Response, limit, &most.to_string());
        host::set_header(Headers::Response, remaining, &left.to_string());
        host::set_header(Headers::Response, reset, &time);
    }
}
