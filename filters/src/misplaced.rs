//! Requests that reach `auth` after another filter: nothing may pass like that.

use std::cell::RefCell;

use sluice::error::ApiError;
use sluice::guard::checks::Failures;

use crate::host;
use crate::registry::SharedExchange;
use crate::reply;
use crate::types::Action;

thread_local! {
    /// When the log last reported it.
    static LOGGED: RefCell<Failures> = RefCell::default();
}

/// Refuses a request that an earlier filter has accepted without a caller, because nothing may pass like that. A filter
/// only learns its position from a request; `sluice check` finds it in the configuration.
#[cold]
pub fn refuse(exchange: &SharedExchange) -> Action {
    if let Some(untold) = LOGGED.with_borrow_mut(|told| told.note("", "filter_order", host::recent())) {
        log::error!(
            "sluice: auth: `auth` comes after another of Sluice's filters in http_filters, so all requests are refused; \
             put it first (`sluice check` shows the line); and {untold} times since this was logged last"
        );
    }
    let shape = exchange.borrow().shape();
    reply::error(&ApiError::filter_order(), shape)
}
