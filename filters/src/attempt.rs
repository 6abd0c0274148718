//! `attempt`: runs once per attempt, next to the upstream. Makes the request fit for this attempt's
//! target, judges how it ended, and names the next target when another may try.

use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use sluice::config;
use sluice::contract::{CLUSTER, RETRY_HEADER};
use sluice::error::{ApiError, Shape};
use sluice::exchange::Unprepared;
use sluice::header_plan::RequestHeaders;
use sluice::outcome::Outcome;
use sluice::rewrite::BodyRewrite;

use crate::host::{self, Buffer, Headers};
use crate::metrics::count_attempt;
use crate::registry::{self, Shared};
use crate::reply;
use crate::root::{self, Filter};

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    root::filter(|bytes| config::none("attempt", bytes), |_| Box::new(Attempt { state: State::Headers }))
}

struct Attempt {
    state: State,
}

enum State {
    /// Nothing has happened yet.
    Headers,
    /// The request is on its way.
    Sent(Sent, BodyRewrite),
    /// The answer is passing to the client; the outcome holds if it comes to its end.
    Answering(Sent, Outcome),
    /// The outcome has been counted.
    Judged,
}

/// An attempt under way.
struct Sent {
    exchange: registry::Id,
    cluster: String,
    /// When it began and how long it may take, if that is limited.
    limit: Option<(Duration, Duration)>,
}

impl Attempt {
    /// The answer has come to its end.
    fn complete(&mut self) {
        if let State::Answering(sent, outcome) = &self.state {
            count_attempt(&sent.cluster, *outcome);
            self.state = State::Judged;
        }
    }
}

impl Context for Attempt {
    /// The only sign of an attempt that was refused, reset or timed out.
    fn on_done(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Judged) {
            State::Headers | State::Judged => {}
            State::Sent(sent, _) => count_attempt(&sent.cluster, sent.silence()),
            State::Answering(sent, _) => count_attempt(&sent.cluster, sent.cut()),
        }
        true
    }
}

impl HttpContext for Attempt {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        match prepare() {
            Ok((sent, body)) => {
                self.state = State::Sent(sent, body);
                Action::Continue
            }
            Err(refusal) => {
                self.state = State::Judged;
                refusal.reply()
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let State::Sent(sent, body) = &mut self.state else {
            return Action::Continue;
        };
        if size == 0 || body.is_identity() {
            return Action::Continue;
        }
        let rewritten = match sent.kept(size).filter(|_| end) {
            Some(exchange) => body.chunk(&exchange.borrow().body, end),
            None => body.chunk(&host::bytes(Buffer::RequestBody, size).unwrap_or_default(), end),
        };
        match rewritten {
            Ok(None) => Action::Continue,
            Ok(Some(rewritten)) if host::replace_bytes(Buffer::RequestBody, &rewritten) => Action::Continue,
            Ok(Some(_)) | Err(_) => {
                self.state = State::Judged;
                reply::internal("the request's body could not be rewritten: another filter has changed it")
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        let State::Sent(sent, _) = std::mem::replace(&mut self.state, State::Judged) else {
            return Action::Continue;
        };
        let headers = host::headers(Headers::Response);
        let status = headers.find(":status").and_then(|status| status.parse().ok()).unwrap_or(0);
        if headers.find(RETRY_HEADER).is_some() {
            // only this filter asks for a retry
            host::remove_header(Headers::Response, RETRY_HEADER);
        }
        let outcome = Outcome::of_status(status);
        if outcome.is_retriable() && sent.pass_on() {
            // Envoy reads this mark and asks the next cluster
            host::set_header(Headers::Response, RETRY_HEADER, outcome.label());
            count_attempt(&sent.cluster, outcome);
            return Action::Continue;
        }
        sent.answer(status);
        self.state = State::Answering(sent, outcome);
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

impl Sent {
    /// The exchange, if it has kept the body and that is of this size.
    fn kept(&self, size: usize) -> Option<Shared> {
        registry::find(self.exchange).filter(|exchange| exchange.borrow().body.len() == size)
    }

    /// Notes the status of the answer that passes to the client.
    fn answer(&self, status: u16) {
        if let Some(exchange) = registry::find(self.exchange) {
            exchange.borrow_mut().answer(status);
        }
    }

    /// Judges an attempt that ended without an answer, and names the next target.
    fn silence(&self) -> Outcome {
        let Some(exchange) = registry::find(self.exchange) else {
            return Outcome::Abandoned;
        };
        let connected = host::property("upstream\0transport_failure_reason").is_none();
        let late = self.limit.is_some_and(|(start, limit)| Outcome::is_late(host::now().saturating_sub(start), limit));
        let outcome = Outcome::of_silence(connected, late);
        if !self.pass_on() {
            exchange.borrow_mut().exhausted = Some(outcome);
        }
        outcome
    }

    /// Judges an attempt whose answer was cut. When the client leaves, its exchange ends before its attempt.
    fn cut(&self) -> Outcome {
        match registry::find(self.exchange) {
            Some(_) => Outcome::Interrupted,
            None => Outcome::Abandoned,
        }
    }

    /// Names the next target to Envoy; `false` if there is none.
    fn pass_on(&self) -> bool {
        let Some(exchange) = registry::find(self.exchange) else {
            return false;
        };
        let mut exchange = exchange.borrow_mut();
        exchange.advance().is_some_and(|cluster| host::set_filter_state(CLUSTER, cluster.as_bytes()))
    }
}

/// Why an attempt is not sent.
enum Refusal {
    /// The gateway's parts do not fit together.
    Internal(&'static str),
    /// There is no target left.
    Exhausted(ApiError, Shape),
}

impl Refusal {
    fn reply(self) -> Action {
        match self {
            Refusal::Internal(reason) => reply::internal(reason),
            Refusal::Exhausted(error, shape) => reply::error(&error, shape),
        }
    }
}

/// Makes the request fit for its target, and says what is to be done to the body.
///
/// # Errors
/// Why the request must not go on: one that cannot be matched with its exchange would carry whatever
/// credential an earlier attempt left in it.
fn prepare() -> Result<(Sent, BodyRewrite), Refusal> {
    let unknown = || Refusal::Internal("an attempt without an exchange: is `router` configured?");
    let id = registry::current_id().ok_or_else(unknown)?;
    let exchange = registry::find(id).ok_or_else(unknown)?;
    let mut exchange = exchange.borrow_mut();
    let cluster = host::property("xds\0cluster_name")
        .ok_or(Refusal::Internal("Envoy does not say which cluster this attempt is for"))?;
    let body = exchange.prepare(&cluster, &mut Request).map_err(|unprepared| match unprepared {
        Unprepared::NotRouted => Refusal::Internal("an attempt that `router` has not routed"),
        Unprepared::OtherCluster => Refusal::Internal(
            "an attempt at a cluster that was not chosen: do the names in envoy.yaml's cluster_matcher agree?",
        ),
        Unprepared::HeaderRefused => Refusal::Internal("Envoy refused a header of this attempt's target"),
        Unprepared::Exhausted(last) => {
            Refusal::Exhausted(ApiError::unavailable(last), Shape::for_path(&exchange.original.path))
        }
    })?;
    let limit = exchange.route.as_ref().and_then(|route| route.per_try_timeout());
    let cluster = String::from_utf8(cluster).unwrap_or_default();
    Ok((Sent { exchange: id, cluster, limit: limit.map(|limit| (host::now(), limit)) }, body))
}

/// The headers of the request that is being attempted.
struct Request;

impl RequestHeaders for Request {
    fn get(&self, name: &str) -> Option<String> {
        host::header(Headers::Request, name)
    }

    fn set(&mut self, name: &str, value: &str) -> bool {
        host::set_header(Headers::Request, name, value)
    }

    fn remove(&mut self, name: &str) -> bool {
        host::remove_header(Headers::Request, name)
    }
}
