//! `attempt`: runs once per attempt, next to the upstream. Makes the request fit for this attempt's
//! target, judges how it ended, and names the next target when another may try.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::Action;
use sluice::config;
use sluice::contract::{CLUSTER, RETRY_HEADER};
use sluice::header_plan::HeaderEdit;
use sluice::outcome::Outcome;
use sluice::rewrite::BodyRewrite;

use crate::host::{self, Buffer, Headers};
use crate::metrics::count_attempt;
use crate::registry;
use crate::reply;
use crate::root::Root;

/// The filter.
pub fn root() -> Box<dyn RootContext> {
    Root::new(|bytes| config::none("attempt", bytes), |_| Box::new(Attempt { state: State::Headers }))
}

struct Attempt {
    state: State,
}

enum State {
    /// Nothing has happened yet.
    Headers,
    /// The request is on its way.
    Sent { cluster: String, started: Duration, body: BodyRewrite },
    /// The answer is passing to the client; the outcome holds if it comes to its end.
    Answering { cluster: String, outcome: Outcome },
    /// The outcome has been counted.
    Judged,
}

impl Attempt {
    /// The answer has come to its end.
    fn complete(&mut self) {
        if let State::Answering { cluster, outcome } = &self.state {
            count_attempt(cluster, *outcome);
            self.state = State::Judged;
        }
    }
}

impl Context for Attempt {
    /// The only sign of an attempt that was refused, reset or timed out.
    fn on_done(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Judged) {
            State::Headers | State::Judged => {}
            State::Sent { cluster, started, .. } => count_attempt(&cluster, silence(started)),
            State::Answering { cluster, .. } => {
                // when the client leaves, its exchange ends before its attempt does
                let left = registry::current().is_none();
                count_attempt(&cluster, if left { Outcome::Abandoned } else { Outcome::Interrupted });
            }
        }
        true
    }
}

impl HttpContext for Attempt {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match prepare() {
            Ok((cluster, body)) => {
                self.state = State::Sent { cluster, started: host::now(), body };
                Action::Continue
            }
            Err(reason) => {
                self.state = State::Judged;
                reply::internal(reason)
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let State::Sent { body, .. } = &mut self.state else {
            return Action::Continue;
        };
        if size == 0 || body.is_identity() {
            return Action::Continue;
        }
        let chunk = host::bytes(Buffer::RequestBody, size).unwrap_or_default();
        match body.chunk(&chunk, end) {
            Ok(None) => Action::Continue,
            Ok(Some(rewritten)) if host::replace_bytes(Buffer::RequestBody, &rewritten) => Action::Continue,
            Ok(Some(_)) | Err(_) => {
                self.state = State::Judged;
                reply::internal("the request's body could not be rewritten: another filter has changed it")
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        let State::Sent { cluster, .. } = &mut self.state else {
            return Action::Continue;
        };
        let status = host::header(Headers::Response, ":status").and_then(|status| status.parse().ok()).unwrap_or(0);
        let outcome = Outcome::of_status(status);
        let cluster = std::mem::take(cluster);
        if outcome.is_retriable() && pass_on() {
            // Envoy reads this mark and asks the next cluster
            host::set_header(Headers::Response, RETRY_HEADER, outcome.label());
            count_attempt(&cluster, outcome);
            self.state = State::Judged;
            return Action::Continue;
        }
        self.state = State::Answering { cluster, outcome };
        if end {
            self.complete();
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, _: usize, end: bool) -> Action {
        if end {
            self.complete();
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.complete();
        Action::Continue
    }
}

/// Makes the request fit for its target. Returns the cluster and what is to be done to the body.
///
/// # Errors
/// Why the request must not go on: a request that cannot be matched with its exchange would carry whatever
/// credential an earlier attempt left in it.
fn prepare() -> Result<(String, BodyRewrite), &'static str> {
    let exchange = registry::current().ok_or("an attempt without an exchange: is `router` configured?")?;
    let mut exchange = exchange.borrow_mut();
    let cluster = host::property("xds\0cluster_name").ok_or("Envoy does not say which cluster this attempt is for")?;
    let (edits, body) = exchange
        .prepare(&cluster, |name| host::header(Headers::Request, name))
        .ok_or("an attempt at a cluster that was not chosen")?;
    let applied = edits.iter().all(|edit| match edit {
        HeaderEdit::Set(name, value) => host::set_header(Headers::Request, name, value.expose()),
        HeaderEdit::Remove(name) => host::remove_header(Headers::Request, name),
    });
    match applied {
        true => Ok((String::from_utf8_lossy(&cluster).into_owned(), body)),
        false => Err("Envoy refused a header of this attempt's target"),
    }
}

/// Judges an attempt that ended without an answer, and names the next target.
fn silence(started: Duration) -> Outcome {
    let Some(exchange) = registry::current() else {
        return Outcome::Abandoned;
    };
    let limit = exchange.borrow().route.as_ref().and_then(|route| route.per_try_timeout());
    let connected = host::property("upstream\0transport_failure_reason").is_none();
    let elapsed = host::now().saturating_sub(started);
    drop(exchange);
    pass_on();
    Outcome::of_silence(connected, elapsed, limit)
}

/// Names the next target to Envoy; `false` if there is none.
fn pass_on() -> bool {
    let Some(exchange) = registry::current() else {
        return false;
    };
    let mut exchange = exchange.borrow_mut();
    match exchange.advance() {
        Some(cluster) => host::set_filter_state(CLUSTER, cluster.as_bytes()),
        None => false,
    }
}
