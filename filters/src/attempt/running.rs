//! A request at a target, and its outcome.

use std::time::Duration;

use sluice::connect_failure::ConnectFailure;
use sluice::endpoint::Endpoint;
use sluice::error::{ApiError, Shape};
use sluice::exchange::{Exchange, Prepared, Unprepared};
use sluice::header_plan::RequestHeaders;
use sluice::outcome::Outcome;
use sluice::response_gate::FirstEvent;
use sluice::routing::Ending;
use sluice::splice::ModelNameRewriter;
use sluice::wire_names::{CLUSTER, RETRY_HEADER};

use super::failed_usage::FailedUsage;
use super::held::{Held, ResponseHead, Until};
use super::socket::Socket;
use super::translation::Translation;
use crate::clusters::{self, AllClusters};
use crate::host::{self, text, Headers};
use crate::registry::{self, SharedExchange};
use crate::reply;
use crate::types::Action;

/// What follows a failed attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Handed {
    /// Another target is tried.
    ToNextTarget,
    /// There is none: the received answer passes to the client.
    ToClient,
}

/// A running attempt.
pub(super) struct RunningAttempt {
    /// Whose it is.
    pub exchange: SharedExchange,
    /// When it began.
    pub began: Duration,
    /// Its timeout, if it has one.
    limit: Option<Duration>,
    /// The translation of its answer, if there is one.
    pub translation: Option<Translation>,
    /// The reader of the passing answer, if something is read in it.
    pub splice: Option<ModelNameRewriter>,
    /// The readers of both sides, if it wishes to go on as WebSocket.
    pub socket: Option<Box<Socket>>,
}

impl RunningAttempt {
    /// What a 2xx answer is held for; `None`: nothing.
    ///
    /// # Errors
    /// It is not a valid answer to such a request.
    pub fn until(&self, head: &ResponseHead<'_>, end: bool) -> Result<Option<Until>, Outcome> {
        let mut exchange = self.exchange.borrow_mut();
        exchange.answer_encoded(head.encoded);
        if head.is_whole() && exchange.parsed().is_some_and(|parsed| matches!(parsed.endpoint, Endpoint::Further(_))) {
            exchange.answers_whole(); // some models ignore `stream`, as OpenAI's whisper-1 does
        }
        let (Some(parsed), Some(route)) = (exchange.parsed(), exchange.routed()) else {
            return Ok(None);
        };
        if parsed.by_id && !parsed.stream {
            return Ok(None); // whatever is stored is the answer, a failed response, too
        }
        if let Some(translation) = &self.translation {
            return translation.until(head, end, parsed.stream, route.table().hold_json).map(Some);
        }
        let empty = end || head.length == Some(0);
        let is_text = parsed.endpoint.transcribes() && !head.is_json();
        match (parsed.stream, empty) {
            (false, _) if is_text => Ok(None), // of silence it is empty
            (true, true) => Err(Outcome::BadStream),
            (false, true) => Err(Outcome::BadResponse),
            (true, false) if head.encoded => Ok(None),
            (false, false) if !parsed.endpoint.answers_in_json() => Ok(None),
            (true, false) => {
                let first = FirstEvent::new(parsed.endpoint, head.content_type);
                Ok(Some(first.map_or(Until::Unstreamed, Until::Event)))
            }
            (false, false) => {
                let limit = route.table().hold_json;
                let metered = registry::has_meter().then(|| exchange.format());
                let whole = Until::Whole { limit, endpoint: parsed.endpoint, encoded: head.encoded, metered };
                let holds = head.length.unwrap_or(1) <= limit;
                exchange.answer_unjudged(!holds && !head.encoded);
                Ok(holds.then_some(whole))
            }
        }
    }

    /// Further bytes of the client's, which pass unchanged unless they are frames.
    pub fn pass_client(&mut self, size: usize) -> Action {
        match &mut self.socket {
            None => Action::Continue,
            Some(socket) => socket.pass_client(&self.exchange, size),
        }
    }

    /// The target's name of the model.
    pub fn model(&self) -> String {
        self.exchange.borrow().target_model().unwrap_or_default().to_owned()
    }

    /// Ends the attempt with an error: another target can be tried. Without one, the received answer passes to the
    /// client, unless it is about the gateway's own account.
    pub fn fail(&self, ending: Ending, held: &Held) -> Action {
        let failed_usage = FailedUsage::of(&self.exchange, held);
        let handed = self.retry_elsewhere(ending);
        if handed == Handed::ToNextTarget {
            failed_usage.into_iter().for_each(FailedUsage::count);
        }
        match (handed, ending.outcome) {
            (Handed::ToClient, Outcome::Credential) => self.replace(ending),
            (handed, _) => self.pass_on(ending, handed),
        }
    }

    /// Ends the attempt with an invalid answer: another target can be tried. Without one, the client gets an error.
    pub fn discard(&self, ending: Ending, held: Option<&Held>) -> Action {
        held.and_then(|held| FailedUsage::of(&self.exchange, held)).into_iter().for_each(FailedUsage::count);
        match self.retry_elsewhere(ending) {
            Handed::ToNextTarget => Action::Continue,
            Handed::ToClient => self.replace(ending),
        }
    }

    /// Ends the attempt because the request is too long: another model may accept it.
    pub fn too_long(&self, status: u16) -> Action {
        let handed = self.retry_for_context(status);
        self.pass_on(Ending::answered(Outcome::ClientError, status), handed)
    }

    /// Ends the attempt and requests a retry at another target, if there is one.
    pub fn retry_elsewhere(&self, ending: Ending) -> Handed {
        self.end_and(ending, |exchange| exchange.advance(ending, &AllClusters))
    }

    /// The same at the model for requests that are too long for this one.
    pub fn retry_for_context(&self, status: u16) -> Handed {
        let ending = Ending::answered(Outcome::ClientError, status);
        self.end_and(ending, |exchange| exchange.advance_for_context(&AllClusters))
    }

    fn end_and(&self, ending: Ending, advance: impl FnOnce(&mut Exchange) -> Option<&str>) -> Handed {
        let mut exchange = self.exchange.borrow_mut();
        exchange.end_attempt(ending, &AllClusters);
        registry::publish_id(&mut exchange); // envoy.yaml may make Envoy retry attempts that are not retried here
        match advance(&mut exchange).is_some_and(|cluster| ask_for_retry(cluster, ending.outcome)) {
            true => Handed::ToNextTarget,
            false => Handed::ToClient,
        }
    }

    /// Releases the received bytes: to Envoy, which retries, or else to the client.
    fn pass_on(&self, ending: Ending, handed: Handed) -> Action {
        if handed == Handed::ToClient {
            self.exchange.borrow_mut().answer(ending.status, None);
        }
        Action::Continue
    }

    /// Ends the attempt because memory is short. The client gets a `retry-after`.
    pub fn out_of_memory(&self) -> Action {
        let mut exchange = self.exchange.borrow_mut();
        exchange.end_attempt(Ending::silent(Outcome::Abandoned), &AllClusters);
        let shape = exchange.shape();
        drop(exchange);
        reply::error(&ApiError::out_of_memory(), shape)
    }

    /// Answers in place of the last target.
    pub fn replace(&self, ending: Ending) -> Action {
        let mut exchange = self.exchange.borrow_mut();
        exchange.exhaust(ending.outcome);
        let shape = exchange.shape();
        drop(exchange);
        reply::error(&ApiError::unavailable(ending.outcome), shape)
    }

    /// Ends an attempt of which nothing has reached the client; `held`: the received answer. Envoy may also retry by
    /// itself; if no target is left then, the next attempt answers the client.
    pub fn on_no_response(&self, held: Option<&Held>) {
        held.and_then(|held| FailedUsage::of(&self.exchange, held)).into_iter().for_each(FailedUsage::count);
        let mut exchange = self.exchange.borrow_mut();
        let elapsed = host::now().saturating_sub(self.began);
        if exchange.is_closed() {
            let outcome = match exchange.has_timed_out() {
                true => self.blame(exchange.routed().and_then(|route| route.asked()?.retry.deadline), elapsed),
                false => Outcome::Abandoned,
            };
            exchange.end_attempt(Ending::silent(outcome), &AllClusters);
            return;
        }
        registry::publish_id(&mut exchange);
        let failure = host::property("upstream\0transport_failure_reason");
        let late = self.limit.is_some_and(|limit| Outcome::is_late(elapsed, limit));
        let ending = match failure {
            Some(reason) => {
                let address = host::property("upstream\0address").unwrap_or_default();
                let cause = ConnectFailure::of(&reason, &address);
                clusters::unconnected(&mut exchange, cause, &String::from_utf8_lossy(&reason))
            }
            None => Ending::silent(Outcome::of_silence(true, late)),
        };
        exchange.end_attempt(ending, &AllClusters);
        let handed_on = exchange
            .advance(ending, &AllClusters)
            .is_some_and(|cluster| host::set_filter_state(CLUSTER, cluster.as_bytes()));
        if !handed_on {
            exchange.exhaust(ending.outcome);
        }
    }

    /// Ends an attempt that Envoy or another filter has ended: its upstream is not the cause.
    pub fn on_downstream_reset(&self) {
        self.exchange.borrow_mut().end_attempt(Ending::silent(Outcome::Abandoned), &AllClusters);
    }

    /// The deadline for all attempts is over: the running attempt counts as failed if it took most of the time.
    fn blame(&self, deadline: Option<Duration>, elapsed: Duration) -> Outcome {
        match deadline {
            Some(deadline) if elapsed * 2 >= deadline => Outcome::Timeout,
            _ => Outcome::Abandoned,
        }
    }

    /// Ends an attempt whose answer has passed to the client. If the client leaves, its exchange ends before its
    /// attempt.
    pub fn on_complete(&self, status: u16, whole: bool) {
        if self.socket.is_some() {
            // an open WebSocket always ends as abruptly
            let ending = Ending::answered(Outcome::Success, status);
            return self.exchange.borrow_mut().end_attempt(ending, &AllClusters);
        }
        let mut exchange = self.exchange.borrow_mut();
        if whole {
            exchange.end_whole(status, &AllClusters);
            return;
        }
        let outcome = if exchange.is_closed() { Outcome::Abandoned } else { Outcome::Interrupted };
        exchange.end_attempt(Ending::answered(outcome, status), &AllClusters);
    }
}

/// Makes Envoy try the next cluster: it reads the mark in the answer, and removes the answer.
fn ask_for_retry(cluster: &str, outcome: Outcome) -> bool {
    host::set_filter_state(CLUSTER, cluster.as_bytes())
        && host::set_header(Headers::Response, RETRY_HEADER, outcome.label())
}

/// Why an attempt is not sent.
pub(super) enum Refusal {
    /// The filters do not fit together.
    Internal(String),
    /// No target is left.
    Exhausted(ApiError, Shape),
}

impl Refusal {
    /// Answers the client.
    pub fn reply(self) -> Action {
        match self {
            Refusal::Internal(reason) => reply::internal(&reason),
            Refusal::Exhausted(error, shape) => reply::error(&error, shape),
        }
    }
}

/// Changes the request's headers for its target, and returns what to do with the body.
///
/// # Errors
/// Why the request must not go on: one that cannot be matched with its exchange would carry whatever
/// credential an earlier attempt left in it.
pub(super) fn prepare(exchange: Option<SharedExchange>) -> Result<(RunningAttempt, Prepared), Refusal> {
    let internal = |reason: &str| Refusal::Internal(reason.to_owned());
    let shared = exchange.ok_or_else(|| internal("an attempt without an exchange: is `router` configured?"))?;
    let mut exchange = shared.borrow_mut();
    let cluster = host::property("xds\0cluster_name")
        .ok_or_else(|| internal("Envoy does not say which cluster this attempt is for"))?;
    let body = exchange.prepare(&cluster, &mut Request).map_err(|unprepared| match unprepared {
        Unprepared::NotRouted => internal("an attempt that `router` has not routed"),
        Unprepared::OtherCluster => {
            let ending = clusters::unconnected(&mut exchange, ConnectFailure::NoCluster, "");
            exchange.end_attempt(ending, &AllClusters);
            let (_, _, chosen) = exchange.labels();
            Refusal::Internal(format!(
                "an attempt at a cluster that was not chosen: {chosen:?} was; is its line in cluster_matcher right?"
            ))
        }
        Unprepared::HeaderRefused => internal("Envoy refused a header of this attempt's target"),
        Unprepared::Exhausted(last) => Refusal::Exhausted(ApiError::unavailable(last), exchange.shape()),
    })?;
    let streamed = exchange.streams();
    let limit = exchange.routed().and_then(|route| route.per_try_timeout(streamed));
    let socket = Socket::of(&exchange);
    drop(exchange);
    Ok((RunningAttempt { exchange: shared, began: host::now(), limit, translation: None, splice: None, socket }, body))
}

/// The headers of the request that is being attempted.
struct Request;

impl RequestHeaders for Request {
    fn read(&self, see: &mut dyn FnMut(&str, &[u8])) {
        host::headers(Headers::Request).iter().for_each(|(name, value)| see(text(name), value));
    }

    fn set(&mut self, name: &str, value: &[u8]) -> bool {
        host::set_header_bytes(Headers::Request, name, value)
    }

    fn remove(&mut self, name: &str) -> bool {
        host::remove_header(Headers::Request, name)
    }
}
