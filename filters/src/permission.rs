//! Whether a caller may do what it asks: use a model, by its key's models and limits, or ask something of the gateway.

use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::gateway::{Access, Command};
use sluice::keys::{Auth, Identity, Role};
use sluice::limits::shared::Shared;
use sluice::limits::{Limits, Subject};

use crate::limits;

/// Whether the caller may use the model, or ask this of the gateway; and counts the request, if it is limited.
pub fn permit(auth: &Auth, exchange: &mut Exchange) -> Result<(), ApiError> {
    if let (Some((Command::Limits, _)), Some(identity)) = (exchange.command(), exchange.identity()) {
        let reported = subjects(identity, auth).to_vec();
        exchange.report_limits(reported); // the router adds the models
    }
    if let Some((command, _)) = exchange.command() {
        return match (command.access(), exchange.identity().map(|identity| identity.role)) {
            (Access::Anyone, _) | (Access::Caller, Some(_)) | (Access::Admin, Some(Role::Admin)) => Ok(()),
            (Access::Admin, Some(Role::User)) => Err(ApiError::admin_only()),
            (Access::Caller | Access::Admin, None) => Err(without_caller()),
        };
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
        exchange.share(Shared { service: service.clone(), subjects: subjects.to_vec(), uncounted: false });
    }
    Ok(())
}

/// What a request of this caller is counted for.
fn subjects(identity: &Identity, auth: &Auth) -> [(Subject, Limits); 2] {
    [(Subject::Key(identity.id.as_str().into()), identity.limits), (Subject::All, auth.limits)]
}

/// No filter has said who is calling.
pub fn without_caller() -> ApiError {
    ApiError::internal("The request passed without a caller.")
}
