//! `auth`: who is calling, and may they use this model?

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use sluice::config;
use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::keys::{self, bearer, Identity, KeyError, Role};

use crate::host;
use crate::intake::Intake;
use crate::reply;
use crate::root::{self, Filter};

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    let read = |bytes: &[u8]| config::auth(bytes, &|name| std::env::var(name).ok());
    root::filter(read, |keys, _| Box::new(Auth { keys: keys.clone(), state: State::Headers }))
}

struct Auth {
    keys: Rc<keys::Auth>,
    state: State,
}

enum State {
    /// The headers are still to come.
    Headers,
    /// The caller is known, the body awaited.
    Body(Intake),
    /// The request has gone on; the exchange ends with it.
    Passed { _exchange: Intake },
    /// The request has been answered here; its exchange, if it got that far, says whose it was.
    Refused { _exchange: Option<Intake> },
}

impl Auth {
    fn take_in(&mut self, size: usize) -> Action {
        let State::Body(mut intake) = std::mem::replace(&mut self.state, State::Refused { _exchange: None }) else {
            return Action::Pause;
        };
        let permitted = intake.body(size).and_then(|exchange| permit(&exchange.borrow()));
        match permitted {
            Ok(()) => {
                self.state = State::Passed { _exchange: intake };
                Action::Continue
            }
            Err(error) => {
                let action = reply::error(&error, intake.shape());
                self.state = State::Refused { _exchange: Some(intake) };
                action
            }
        }
    }
}

impl Context for Auth {}

impl HttpContext for Auth {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        match Intake::open(|presented| identify(&self.keys, presented).map(Some)) {
            Ok(intake) => {
                self.state = State::Body(intake);
                match end {
                    true => self.take_in(0),
                    false => Action::Pause,
                }
            }
            Err(refusal) => {
                self.state = State::Refused { _exchange: None };
                reply::error(&refusal.error, refusal.shape)
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        match (&self.state, end) {
            (State::Passed { .. }, _) => Action::Continue,
            (State::Body(_), true) => self.take_in(size),
            (State::Headers | State::Body(_) | State::Refused { .. }, _) => Action::Pause,
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        match self.state {
            State::Body(_) => self.take_in(usize::MAX),
            State::Passed { .. } => Action::Continue,
            State::Headers | State::Refused { .. } => Action::Pause,
        }
    }
}

/// Whom the key belongs to that the client presents, in whichever header its SDK uses.
fn identify(keys: &keys::Auth, presented: &[(&str, &str)]) -> Result<Rc<Identity>, ApiError> {
    let now = host::now();
    let mut refusal = match presented {
        [] => "No API key provided: send it as `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`."
            .to_owned(),
        _ => KeyError::Unknown.to_string(),
    };
    for (name, value) in presented {
        let key = match *name {
            "authorization" => bearer(value),
            _ => Some(*value),
        };
        match key.map_or(Err(KeyError::Unknown), |key| keys.identify(key, now)) {
            Ok(identity) if keys.is_revoked(&identity.id, now) => refusal = "The API key has been revoked.".to_owned(),
            Ok(identity) => return Ok(identity),
            Err(KeyError::Expired) => refusal = KeyError::Expired.to_string(),
            Err(KeyError::Unknown) => {}
        }
    }
    Err(ApiError::unauthorized(refusal))
}

/// Whether the caller may use the model, or command the gateway.
fn permit(exchange: &Exchange) -> Result<(), ApiError> {
    let Some(identity) = &exchange.identity else {
        return Err(ApiError::internal("The request passed without a caller."));
    };
    let Some(facts) = &exchange.facts else {
        return match identity.role {
            Role::Admin => Ok(()),
            Role::User => Err(ApiError::admin_only()),
        };
    };
    if identity.models.matches(&facts.model) {
        return Ok(());
    }
    let allowed: Vec<&str> = identity.models.iter().collect();
    Err(ApiError::model_not_allowed(format!(
        "This key may not use the model `{}`, only: {}.",
        facts.model,
        allowed.join(", ")
    )))
}
