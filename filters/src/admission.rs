//! Whether a caller may use a model: by its key's models, and by all limits that apply to the request.
//!
//! The limits of the key, of its labels and of all callers together admit the request once the caller is known, the model's limits
//! once the model is known. So it happens in two steps.

use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::keys::{Auth, Identity};
use sluice::limits::shared::SharedLimits;
use sluice::limits::{Limits, Subject};
use sluice::pattern::matches;
use sluice::routing::{Model, Table};

use crate::limits;

/// Whether the caller may use the model, by its key; counts the request, if limits of the key, of its labels or of all
/// callers apply.
/// Commands to the gateway itself are checked elsewhere.
///
/// # Errors
/// 403, 429, or 500 if no filter has identified the caller.
pub fn admit_caller(auth: &Auth, exchange: &mut Exchange) -> Result<(), ApiError> {
    if exchange.command().is_some() {
        return Ok(());
    }
    let Some(identity) = exchange.identity().cloned() else {
        return Err(without_caller());
    };
    if !identity.models.matches(exchange.model_name()) && !exchange.names_models_later() {
        if exchange.is_passed() {
            return Err(ApiError::path_not_allowed(exchange.model_name()));
        }
        return Err(ApiError::model_not_allowed(format!(
            "This key may not use the model `{}`, only: {}.",
            exchange.model_name(),
            identity.models.iter().collect::<Vec<_>>().join(", ")
        )));
    }
    if (identity.tools.is_some() || auth.tools.is_some()) && has_unread_tools(&identity, exchange) {
        return Err(ApiError::unread_tools());
    }
    let subjects = subjects(&identity, auth);
    if subjects.is_empty() {
        return Ok(());
    }
    limits::admit(exchange, &subjects, 0)?;
    if let Some(service) = &auth.shared {
        exchange.share(SharedLimits { service: service.clone(), subjects, uncounted: false });
    }
    Ok(())
}

/// Whether the request may offer tools that nobody reads. A caller whose `models` name the path may send anything there.
fn has_unread_tools(identity: &Identity, exchange: &Exchange) -> bool {
    let path = exchange.model_name();
    let is_named = || identity.models.iter().any(|pattern| pattern.starts_with('/') && matches(pattern, path));
    let generates = exchange.parsed().is_some_and(|parsed| parsed.choices > 0);
    exchange.socket().is_some() || exchange.is_passed() && generates && !is_named()
}

/// Whether the model's limits, and the budgets that have admitted the caller, have enough left; counts the request, if
/// there are any.
///
/// # Errors
/// 429 or 400, by the limit that refuses it; earlier admissions of the request are withdrawn.
pub fn admit_model(table: &Table, exchange: &mut Exchange) -> Result<(), ApiError> {
    if exchange.is_passed() {
        return Ok(());
    }
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

/// The limited subjects of a caller's request, without the model.
pub fn subjects(identity: &Identity, auth: &Auth) -> Vec<(Subject, Limits)> {
    let mut subjects = Vec::new();
    if !identity.limits.is_unlimited() {
        subjects.push((Subject::Key(identity.id.as_str().into()), identity.limits));
    }
    subjects.extend(auth.label_limits.of(&identity.labels));
    if !auth.limits.is_unlimited() {
        subjects.push((Subject::All, auth.limits));
    }
    subjects
}

/// No filter has identified the caller.
pub fn without_caller() -> ApiError {
    ApiError::internal("The request passed without a caller.")
}
