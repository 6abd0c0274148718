//! Which model names from clients are distinguished: those that this worker has seen answered.

use std::cell::RefCell;

use sluice::exchange::Exchange;
use sluice::known_models::KnownModels;

thread_local! {
    static KNOWN_MODELS: RefCell<KnownModels> = RefCell::default();
}

/// Decides it for a request, from what is known about its answer now.
pub fn decide(exchange: &mut Exchange) {
    let (key, ..) = exchange.labels();
    let is_distinguished =
        |name| KNOWN_MODELS.with_borrow_mut(|names| names.is_distinguished(key, name, exchange.has_succeeded()));
    let told_apart = exchange.chosen_name().is_some_and(is_distinguished);
    exchange.tell_apart(told_apart);
}
