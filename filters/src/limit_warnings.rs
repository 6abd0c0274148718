//! Warnings of limits that are nearly used up: in stats and the log once in a limit's window, in the client's answer always.

use std::cell::RefCell;
use std::time::Duration;

use hashbrown::HashMap;
use sluice::exchange::Exchange;
use sluice::limits::{warnings_header, Changed, LimitRecord, Limited, Subject, Warning};
use sluice::wire_names::{stats, LIMIT_WARNING_HEADER, MAX_LABEL_SETS};

use crate::host::{self, shared_data, Headers};

thread_local! {
    static COUNTERS: RefCell<HashMap<(Subject, Limited), u32>> = RefCell::default();
}

/// Gives the warnings.
pub fn give(exchange: &mut Exchange, warnings: Vec<(Subject, Warning)>) {
    for (subject, warning) in warnings.iter().filter(|(_, warning)| warning.is_first) {
        tell(subject, warning);
    }
    exchange.warn_of_limits(warnings);
}

/// Gives warnings of open connections, whose answers have no more headers.
pub fn tell_all(warnings: &[(Subject, Warning)]) {
    warnings.iter().filter(|(_, warning)| warning.is_first).for_each(|(subject, warning)| tell(subject, warning));
}

/// Gives warnings by the count of all Envoys; each with the limit's used part in percent.
pub fn note(exchange: &mut Exchange, warnings: Vec<(Subject, Limited, u64)>, now: Duration) {
    if warnings.is_empty() {
        return;
    }
    let mut noted = Vec::with_capacity(warnings.len());
    for (subject, what, percent) in warnings {
        let mut is_first = false;
        let _ = shared_data::update(&subject.data_key(), |record: &mut LimitRecord| {
            is_first = record.note_warning(what, now);
            Changed::when(is_first)
        });
        noted.push((subject, Warning { what, percent, is_first }));
    }
    give(exchange, noted);
}

/// Adds the client's header.
pub fn write_header(exchange: &Exchange) {
    let warnings = exchange.limit_warnings();
    if !warnings.is_empty() {
        host::set_header(Headers::Response, LIMIT_WARNING_HEADER, &warnings_header(warnings));
    }
}

#[cold]
fn tell(subject: &Subject, Warning { what, percent, .. }: &Warning) {
    let (kind, name, id) = (subject.kind(), what.name(), subject.id());
    match id {
        Some(id) => log::warn!("sluice: limits: {kind} {id:?} has used {percent}% of {name}"),
        None => log::warn!("sluice: limits: {kind}: {percent}% of {name} is used"),
    }
    let counter = COUNTERS.with_borrow_mut(|known| {
        let place = (subject.clone(), *what);
        if let Some(counter) = known.get(&place) {
            return Some(*counter);
        }
        // keys are many, and Envoy never frees a counter
        if known.len() >= MAX_LABEL_SETS {
            return None;
        }
        let tag = subject.tag();
        let tag = tag.as_ref().map(|(tag, value)| (*tag, value.as_ref()));
        let counter = host::define_counter(&stats::limit_warnings(tag, name))?;
        known.insert(place, counter);
        Some(counter)
    });
    if let Some(counter) = counter {
        host::increment(counter, 1);
    }
}
