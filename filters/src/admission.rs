//! Whether a caller may use a model, by its key's models and by all limits that the request is counted for.
//!
//! The key's limits, and those of everything together, admit it where the caller is known, and the model's where the
//! model is: two moments, so that nobody is admitted by one filter and unknown to the other.

use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::keys::{Auth, Identity};
use sluice::limits::shared::SharedLimits;
use sluice::limits::{Limits, Subject};
use sluice::routing::{Model, Table};

use crate::limits;

/// Whether the caller may use the model, by its key; and counts the request, if the key or everything is limited. What is
/// asked of the gateway itself is permitted where it is answered.
///
/// # Errors
/// 403, 429, or 500 where no filter has said who is calling.
pub fn admit_caller(auth: &Auth, exchange: &mut Exchange) -> Result<(), ApiError> {
    if exchange.command().is_some() {
        return Ok(());
    }
    let Some(identity) = exchange.identity().cloned() else {
        return Err(without_caller());
    };
    if !identity.models.matches(exchange.model_name()) {
        return Err(ApiError::model_not_allowed(format!(
            "This key may not use the model `{}`, only: {}.",
            exchange.model_name(),
            identity.models.iter().collect::<Vec<_>>().join(", ")
        )));
    }
    if identity.limits.is_unlimited() && auth.limits.is_unlimited() {
        return Ok(());
    }
    let subjects = subjects(&identity, auth);
    limits::admit(exchange, &subjects, 0)?;
    if let Some(service) = &auth.shared {
        exchange.share(SharedLimits { service: service.clone(), subjects: subjects.to_vec(), uncounted: false });
    }
    Ok(())
}

/// Whether the model's limits, and the budgets that have admitted the caller, leave enough; and counts the request, if
/// there are any.
///
/// # Errors
/// 429 or 400, by the limit that refuses it; what had been counted for the request is withdrawn.
pub fn admit_model(table: &Table, exchange: &mut Exchange) -> Result<(), ApiError> {
    let asked = table.find(exchange.model_name()).and_then(|index| Some((index, table.models().get(index)?)));
    let is_limited = |model: &Model| !model.limits.is_unlimited() || limits::has_budget(exchange);
    let Some((index, model)) = asked.filter(|(_, model)| is_limited(model)) else {
        return Ok(());
    };
    let microusd = exchange.cost_estimate(table, index);
    limits::reserve(exchange, microusd)?;
    if !model.limits.is_unlimited() {
        let subject = (Subject::Model(model.name.as_str().into()), model.limits);
        limits::admit(exchange, &[subject], microusd)?;
    }
    Ok(())
}

/// What a request of this caller is counted for, whatever its model.
pub fn subjects(identity: &Identity, auth: &Auth) -> [(Subject, Limits); 2] {
    [(Subject::Key(identity.id.as_str().into()), identity.limits), (Subject::All, auth.limits)]
}

/// No filter has said who is calling.
pub fn without_caller() -> ApiError {
    ApiError::internal("The request passed without a caller.")
}
