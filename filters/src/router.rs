//! `router`: picks the first target and hands its cluster to Envoy.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use sluice::config;
use sluice::contract::{CLUSTER, PER_TRY_TIMEOUT_HEADER, RETRY_HEADER};
use sluice::error::{ApiError, Shape};
use sluice::exchange::{Exchange, Route};
use sluice::routing::Table;

use crate::host::{self, Headers};
use crate::intake::Intake;
use crate::registry::{self, Shared};
use crate::reply;
use crate::root::{self, Filter};

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    let read = |bytes: &[u8]| config::router(bytes, &|name| std::env::var(name).ok());
    root::filter(read, |table| Box::new(Router { table: table.clone(), state: State::Headers }))
}

struct Router {
    table: Rc<Table>,
    state: State,
}

enum State {
    /// The headers are still to come.
    Headers,
    /// No filter has read the body before; it is awaited.
    Body(Intake),
    /// The request has a target. The intake, if the exchange ends with this filter.
    Routed { exchange: Shared, _opened: Option<Intake> },
    /// The request has been answered here.
    Refused { _opened: Option<Intake> },
}

impl Router {
    fn route(&mut self, exchange: Shared, intake: Option<Intake>) -> Action {
        let routed = route(&mut exchange.borrow_mut(), &self.table);
        match routed {
            Ok(()) => {
                self.state = State::Routed { exchange, _opened: intake };
                Action::Continue
            }
            Err(error) => {
                self.state = State::Refused { _opened: intake };
                reply::error(&error, Shape::for_path(&exchange.borrow().original.path))
            }
        }
    }

    fn take_in(&mut self, size: usize) -> Action {
        let State::Body(mut intake) = std::mem::replace(&mut self.state, State::Refused { _opened: None }) else {
            return Action::Pause;
        };
        match intake.body(size).cloned() {
            Ok(exchange) => self.route(exchange, Some(intake)),
            Err(error) => {
                let action = reply::error(&error, intake.shape());
                self.state = State::Refused { _opened: Some(intake) };
                action
            }
        }
    }
}

impl Context for Router {}

impl HttpContext for Router {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        if let Some(exchange) = registry::current() {
            return self.route(exchange, None);
        }
        match (Intake::open(|_| Ok(None)), end) {
            (Ok(intake), true) => {
                self.state = State::Body(intake);
                self.take_in(0)
            }
            (Ok(intake), false) => {
                self.state = State::Body(intake);
                Action::Pause
            }
            (Err(refusal), _) => {
                self.state = State::Refused { _opened: None };
                reply::error(&refusal.error, refusal.shape)
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        match (&self.state, end) {
            (State::Routed { .. }, _) => Action::Continue,
            (State::Body(_), true) => self.take_in(size),
            (State::Headers | State::Body(_) | State::Refused { .. }, _) => Action::Pause,
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        match self.state {
            State::Body(_) => self.take_in(usize::MAX),
            State::Routed { .. } => Action::Continue,
            State::Headers | State::Refused { .. } => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if let State::Routed { exchange, .. } = &self.state {
            // Envoy did not follow the wish for a retry, so its mark is still there
            if exchange.borrow().retry_asked {
                host::remove_header(Headers::Response, RETRY_HEADER);
            }
        }
        Action::Continue
    }
}

fn route(exchange: &mut Exchange, table: &Rc<Table>) -> Result<(), ApiError> {
    match hand_over(exchange.route(table)?) {
        true => Ok(()),
        false => Err(ApiError::internal("The gateway could not hand the request on.")),
    }
}

/// Tells Envoy where the request goes and how long it may be tried there.
fn hand_over(route: &Route) -> bool {
    let Some(upstream) = route.upstream() else {
        return false;
    };
    host::set_filter_state(CLUSTER, upstream.cluster.as_bytes())
        && match route.per_try_timeout() {
            // a header that is written has Envoy choose the route anew
            Some(timeout) => {
                host::set_header(Headers::Request, PER_TRY_TIMEOUT_HEADER, &timeout.as_millis().to_string())
            }
            None => host::clear_route_cache(),
        }
}
