//! Which model names from clients are distinguished: those that this worker has seen answered.

use std::cell::RefCell;

use sluice::exchange::Exchange;
use sluice::names::Names;

thread_local! {
    static NAMES: RefCell<Names> = RefCell::default();
}

/// Decides it for a request, from what is known about its answer now.
pub fn decide(exchange: &mut Exchange) {
    let (key, ..) = exchange.labels();
    let tells = |name| NAMES.with_borrow_mut(|names| names.tells(key, name, exchange.has_succeeded()));
    let told_apart = exchange.chosen_name().is_some_and(tells);
    exchange.tell_apart(told_apart);
}
