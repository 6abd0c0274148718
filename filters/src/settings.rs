//! Reads a request as its model's configuration wants it: with the router's default model, and the model's defaults and
//! overrides.
//!
//! `auth` does it if its chain's router is in the same entry, so that limits count with the model's settings; else `router`.

use std::cell::RefCell;

use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::exchange::{Exchange, MAX_KEPT_BODY};
use sluice::guard::checks::Failures;
use sluice::intake::{self, Invalid, Prepared, Unprepared};
use sluice::memory_budget::Purpose;
use sluice::parsed_request::ParsedRequest;
use sluice::routing::Table;

use crate::budget;
use crate::host::{self, Buffer};
use crate::metrics::count_invalid;
use crate::registry::SharedExchange;
use crate::replaced_body;

thread_local! {
    static TOLD: RefCell<Failures> = RefCell::default();
}

/// Counts an invalid request that passes, and logs once a minute where such requests have their problems.
#[cold]
fn warn(Invalid { model, problem }: &Invalid) {
    count_invalid(model, &problem.field());
    let untold = TOLD.with_borrow_mut(|told| told.note(model, "invalid", host::recent()));
    if let Some(untold) = untold {
        log::warn!(
            "sluice: router: a request to {model} is not what its API takes: `{}` {}; and {untold} times since this was \
             logged last",
            problem.path(),
            problem.wrong
        );
    }
}

/// Reads a body: the client's, or one that the gateway has written in its place (`is_written`). If it is not the client's, or if
/// settings change it, Envoy gets it.
///
/// # Errors
/// 400, or 503 if there is no memory for it. (Nothing is borrowed while Envoy takes the body: if it is too much, Envoy ends
/// the stream at once.)
pub fn read(
    (endpoint, path_model): (Endpoint, Option<String>),
    (body, is_written): (Vec<u8>, bool),
    has_length: bool,
    table: &Table,
) -> Result<(ParsedRequest, Vec<u8>), ApiError> {
    if body.len() > MAX_KEPT_BODY && !budget::admits_beside_promises(Purpose::Body, body.len()) {
        return Err(ApiError::out_of_memory());
    }
    let prepared = told(intake::prepare(endpoint, path_model, body, table))?;
    write(Prepared { changed: prepared.changed || is_written, ..prepared }, has_length)
}

/// Gives a request of a virtual model the model that was chosen for it.
///
/// # Errors
/// As for [`read`].
pub fn choose(parsed: &ParsedRequest, body: Vec<u8>, model: &str, table: &Table) -> Result<Prepared, ApiError> {
    told(intake::choose_model(parsed, body, model, table))
}

/// Counts and logs what is wrong with a body.
fn told(prepared: Result<Prepared, Unprepared>) -> Result<Prepared, ApiError> {
    match prepared {
        Ok(prepared) => {
            prepared.invalid.iter().for_each(warn);
            Ok(prepared)
        }
        Err(Unprepared::Refused(error)) => Err(error),
        Err(Unprepared::Invalid(invalid)) => {
            count_invalid(&invalid.model, &invalid.problem.field());
            Err(invalid.problem.error())
        }
    }
}

/// Hands Envoy the body of a request that has been read, if it is another one than the client's.
///
/// # Errors
/// It is too large, or Envoy does not take it.
pub fn write(prepared: Prepared, has_length: bool) -> Result<(ParsedRequest, Vec<u8>), ApiError> {
    if prepared.changed {
        replaced_body::send(&prepared.body, has_length)?;
    }
    Ok((prepared.parsed, prepared.body))
}

/// Whether the body of a request that earlier filters have read may have to be changed here: then Envoy must have handed
/// it on.
pub fn needs_body(exchange: &Exchange, table: &Table) -> bool {
    let late = table.prepares_requests() && !exchange.is_prepared();
    if !late && !table.has_kinds {
        return false;
    }
    let is_virtual = |index: usize| table.models().get(index).is_some_and(|model| model.choose.is_some());
    let parsed = exchange.parsed().filter(|parsed| !parsed.by_id && parsed.form.is_none());
    parsed.is_some_and(|parsed| late || table.find(&parsed.model).is_some_and(is_virtual))
}

/// Reads a request again that the filters before this entry have read without its model's settings.
///
/// # Errors
/// As for [`read`].
pub fn read_late(shared: &SharedExchange, table: &Table) -> Result<(), ApiError> {
    let exchange = shared.borrow();
    let unread = exchange.parsed().filter(|parsed| !parsed.by_id && parsed.form.is_none());
    let Some(parsed) = unread.filter(|_| !exchange.is_prepared() && exchange.socket().is_none()) else {
        return Ok(());
    };
    let named = (parsed.endpoint, parsed.named_in_path.then(|| parsed.model.clone()));
    let (size, user) = (parsed.layout.length, parsed.user);
    let has_length = exchange.original().length.is_some();
    let body = match exchange.whole_body() {
        Some(body) => body.to_vec(),
        None => host::bytes(Buffer::RequestBody, size).ok_or_else(ApiError::out_of_memory)?,
    };
    drop(exchange);
    let (parsed, body) = read(named, (body, false), has_length, table)?;
    // a check may have masked the client's own
    let parsed = ParsedRequest { user, ..parsed };
    shared.borrow_mut().prepared(parsed, body);
    Ok(())
}
