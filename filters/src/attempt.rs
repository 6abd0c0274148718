//! `attempt`: runs once per attempt, next to the upstream. Makes the request fit for this attempt's target,
//! holds the answer until it is worth committing to, judges how the attempt ended, and names the next target
//! when another may try.

use std::time::Duration;

use sluice::commit::{is_context_length_exceeded, is_whole, FirstEvent, Gate, MAX_HELD};
use sluice::config;
use sluice::contract::{CLUSTER, RETRY_HEADER};
use sluice::error::{ApiError, Shape};
use sluice::exchange::{Exchange, Unprepared};
use sluice::header_plan::RequestHeaders;
use sluice::health::wanted_pause;
use sluice::outcome::Outcome;
use sluice::rewrite::BodyRewrite;
use sluice::routing::Ending;

use crate::abi::{self, Action, HttpContext};
use crate::clusters::{self, AllClusters};
use crate::host::{self, text, Buffer, HeaderPairs, Headers};
use crate::registry::{self, Shared};
use crate::reply;
use crate::root::{self, Filter};
use crate::waiting;

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    let open = |_: &_, context| -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Attempt { state: State::Headers(registry::expected(context)) }))
    };
    root::filter(|bytes| config::none("attempt", bytes), open)
}

struct Attempt {
    state: State,
}

enum State {
    /// Nothing has happened yet; whose attempt it is, if that is known already.
    Headers(Option<Shared>),
    /// The request is on its way.
    Sent(Sent, BodyRewrite),
    /// An answer has begun; nothing of it has reached the client.
    Holding(Sent, Held),
    /// The answer is passing to the client.
    Passing { sent: Sent, status: u16, whole: bool },
    /// The attempt has ended.
    Ended,
}

/// An attempt under way.
struct Sent {
    exchange: Shared,
    /// When it began.
    began: Duration,
    /// How long it may take, if that is limited.
    limit: Option<Duration>,
}

/// What an answer's headers say, told in one pass.
#[derive(Default)]
struct ResponseHead<'a> {
    status: u16,
    content_type: Option<&'a str>,
    length: Option<usize>,
    chunked: bool,
    /// Compressed, although the upstream was asked not to: nothing can be told from the bytes.
    encoded: bool,
    /// The upstream has set the mark that is this filter's own.
    asks_for_retry: bool,
}

impl<'a> ResponseHead<'a> {
    fn of(pairs: &'a HeaderPairs) -> Self {
        let mut head = ResponseHead::default();
        for (name, value) in pairs.iter() {
            match name {
                b":status" => head.status = text(value).parse().unwrap_or(0),
                b"content-type" => head.content_type = Some(text(value)),
                b"content-length" => head.length = text(value).parse().ok(),
                b"transfer-encoding" => head.chunked = true,
                b"content-encoding" => head.encoded = value != b"identity",
                name => head.asks_for_retry |= name == RETRY_HEADER.as_bytes(),
            }
        }
        head
    }
}

/// An answer that is held.
struct Held {
    status: u16,
    until: Until,
    /// How many bytes of it have been looked at.
    seen: usize,
}

/// What an answer is held for.
enum Until {
    /// A stream's first event.
    Event(FirstEvent),
    /// All of a JSON answer, if it is no longer than `limit`. Its end alone may not show that it is whole.
    Whole { limit: usize, verify: bool },
    /// All of an error that may say that the request is too long for the model.
    Error,
}

/// What becomes of an answer that is held.
enum Next {
    /// It is held on.
    Hold,
    /// It passes to the client.
    Pass,
    /// It is no answer; another target may try.
    Fail(Outcome),
    /// The request is too long for the model.
    TooLong,
}

impl HttpContext for Attempt {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let exchange = match &mut self.state {
            State::Headers(expected) => expected.take(),
            State::Sent(..) | State::Holding(..) | State::Passing { .. } | State::Ended => None,
        };
        match prepare(exchange.or_else(registry::sought)) {
            Ok((sent, body)) => {
                self.state = State::Sent(sent, body);
                Action::Continue
            }
            Err(refusal) => {
                self.state = State::Ended;
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
        let rewritten = match sent.exchange.borrow().kept_body(size).filter(|_| end) {
            Some(kept) => body.chunk(kept, end),
            None => body.chunk(&host::bytes(Buffer::RequestBody, size).unwrap_or_default(), end),
        };
        match rewritten {
            Ok(None) => Action::Continue,
            Ok(Some(rewritten)) if host::replace_bytes(Buffer::RequestBody, &rewritten) => Action::Continue,
            Ok(Some(_)) | Err(_) => {
                sent.exchange.borrow_mut().end_attempt(Ending::silent(Outcome::Abandoned), &AllClusters);
                self.state = State::Ended;
                reply::internal("the request's body could not be rewritten: another filter has changed it")
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        let State::Sent(sent, _) = std::mem::replace(&mut self.state, State::Ended) else {
            return Action::Continue;
        };
        let headers = host::headers(Headers::Response);
        let head = ResponseHead::of(&headers);
        let status = head.status;
        if head.asks_for_retry {
            // only this filter asks for a retry
            host::remove_header(Headers::Response, RETRY_HEADER);
        }
        let outcome = Outcome::of_status(status);
        if outcome == Outcome::Success {
            self.hold(sent, &head, end)
        } else if matches!(status, 400 | 413) && !end && sent.may_be_too_long() {
            self.state = State::Holding(sent, Held { status, until: Until::Error, seen: 0 });
            Action::Pause
        } else {
            let may_ask = matches!(status, 429 | 503 | 529);
            let retry_after = may_ask.then(|| wanted_pause(headers.iter(), host::now())).flatten();
            sent.fail(Ending { outcome, status, retry_after });
            Action::Continue
        }
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        match &mut self.state {
            State::Holding(..) => self.held(size, end),
            State::Passing { whole, .. } => {
                *whole |= end;
                Action::Continue
            }
            State::Headers(_) | State::Sent(..) | State::Ended => Action::Continue,
        }
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        let seen = match &self.state {
            State::Holding(_, held) => held.seen,
            State::Headers(_) | State::Sent(..) | State::Passing { .. } | State::Ended => 0,
        };
        self.on_http_response_body(seen, true)
    }

    /// The only sign of an attempt that was refused, reset or timed out; and where every other one is judged,
    /// when the client's filters have seen its end.
    fn on_done(&mut self) {
        match (std::mem::replace(&mut self.state, State::Ended), abi::is_late()) {
            (State::Headers(_) | State::Ended, _) => {}
            (State::Passing { sent, status, whole: true }, _) => sent.passed(status, true),
            (State::Sent(sent, _) | State::Holding(sent, _) | State::Passing { sent, .. }, true) => sent.cut(),
            (State::Sent(sent, _) | State::Holding(sent, _), false) => sent.silence(),
            (State::Passing { sent, status, whole: false }, false) => sent.passed(status, false),
        }
        waiting::poll_queue();
    }
}

impl Attempt {
    /// Decides what the answer is held for, if for anything.
    fn hold(&mut self, sent: Sent, head: &ResponseHead<'_>, end: bool) -> Action {
        let status = head.status;
        match sent.until(head, end) {
            Ok(Some(until)) => {
                self.state = State::Holding(sent, Held { status, until, seen: 0 });
                Action::Pause
            }
            Ok(None) => {
                self.pass(sent, status, false, end);
                Action::Continue
            }
            Err(outcome) => {
                sent.fail(Ending { outcome, status, retry_after: None });
                Action::Continue
            }
        }
    }

    /// Looks at what has come of an answer that is held; `size` is all of it so far.
    fn held(&mut self, size: usize, end: bool) -> Action {
        let State::Holding(sent, mut held) = std::mem::replace(&mut self.state, State::Ended) else {
            return Action::Continue;
        };
        match held.look(size, end) {
            Next::Hold => {
                self.state = State::Holding(sent, held);
                return Action::Pause;
            }
            Next::Pass => self.pass(sent, held.status, true, end),
            Next::Fail(outcome) => sent.fail(Ending { outcome, status: held.status, retry_after: None }),
            Next::TooLong => sent.too_long(held.status),
        }
        Action::Continue
    }

    /// Lets the answer pass to the client. `held`: its first bytes are there; `whole`: and its last.
    fn pass(&mut self, sent: Sent, status: u16, held: bool, whole: bool) {
        let now = host::now();
        let mut exchange = sent.exchange.borrow_mut();
        exchange.answer(status, Some(Outcome::of_status(status)));
        if held {
            exchange.timing.first_bytes(now);
            if whole {
                exchange.timing.end(now);
            }
        }
        if let Some(route) = &exchange.route {
            let elapsed = now.saturating_sub(sent.began);
            route.learn(elapsed);
            route.upstream().into_iter().for_each(|upstream| clusters::learn(upstream, elapsed));
        }
        drop(exchange);
        self.state = State::Passing { sent, status, whole };
    }
}

impl Held {
    fn look(&mut self, size: usize, end: bool) -> Next {
        let outcome_of_error = Outcome::of_status(self.status);
        let before = std::mem::replace(&mut self.seen, size);
        match &mut self.until {
            Until::Event(first) => {
                let bytes = match size.saturating_sub(before) {
                    0 => Vec::new(),
                    new => host::bytes_from(Buffer::ResponseBody, before, new).unwrap_or_default(),
                };
                match first.chunk(&bytes, end) {
                    Gate::Hold => Next::Hold,
                    Gate::Commit => Next::Pass,
                    Gate::Reject(_) => Next::Fail(Outcome::BadStream),
                }
            }
            Until::Whole { limit, verify } => match (end, size <= *limit) {
                (_, false) => Next::Pass,
                (false, true) => Next::Hold,
                (true, true) if *verify && !is_whole(&body(size)) => Next::Fail(Outcome::Reset),
                (true, true) => Next::Pass,
            },
            Until::Error if !end && size <= MAX_HELD => Next::Hold,
            Until::Error if is_context_length_exceeded(&body(size)) => Next::TooLong,
            Until::Error => Next::Fail(outcome_of_error),
        }
    }
}

fn body(size: usize) -> Vec<u8> {
    host::bytes(Buffer::ResponseBody, size).unwrap_or_default()
}

impl Sent {
    /// What a 2xx answer is held for; `None`: for nothing.
    ///
    /// # Errors
    /// It is no answer to such a request.
    fn until(&self, head: &ResponseHead<'_>, end: bool) -> Result<Option<Until>, Outcome> {
        let mut exchange = self.exchange.borrow_mut();
        exchange.encoded = head.encoded;
        let (Some(facts), Some(route)) = (&exchange.facts, &exchange.route) else {
            return Ok(None);
        };
        if facts.stream && head.encoded {
            return Ok(None);
        }
        if facts.stream {
            let first = FirstEvent::new(facts.endpoint, head.content_type);
            return match first {
                Ok(first) if !end => Ok(Some(Until::Event(first))),
                Ok(_) | Err(_) => Err(Outcome::BadStream),
            };
        }
        let limit = route.table().hold_json;
        if end || head.length.unwrap_or(1) > limit {
            return Ok(None);
        }
        // without a length or chunks, a connection that closes early looks like the end
        let verify = head.length.is_none() && !head.chunked && !head.encoded;
        Ok(Some(Until::Whole { limit, verify }))
    }

    fn may_be_too_long(&self) -> bool {
        self.exchange.borrow().route.as_ref().is_some_and(|route| route.has_context_fallback())
    }

    /// Ends the attempt with an answer that is none, or an error: another target may try. If there is none, what
    /// has come passes to the client.
    fn fail(&self, ending: Ending) {
        self.hand_on(ending, |exchange| exchange.advance(ending, &AllClusters));
    }

    /// Ends the attempt with the answer that the request is too long: another model may take it.
    fn too_long(&self, status: u16) {
        let ending = Ending { outcome: Outcome::ClientError, status, retry_after: None };
        self.hand_on(ending, |exchange| exchange.advance_for_context(&AllClusters));
    }

    /// Ends the attempt and asks for a retry at the cluster that `advance` goes on to; without one, what has come
    /// passes to the client.
    fn hand_on(&self, ending: Ending, advance: impl FnOnce(&mut Exchange) -> Option<&str>) {
        let mut exchange = self.exchange.borrow_mut();
        exchange.end_attempt(ending, &AllClusters);
        let id = exchange.id;
        if !advance(&mut exchange).is_some_and(|cluster| ask_for_retry(id, cluster, ending.outcome)) {
            exchange.answer(ending.status, None);
        }
    }

    /// Ends an attempt of which nothing has reached the client. Envoy retries by itself; where it does so when
    /// there is no target left, the next attempt tells the client.
    fn silence(&self) {
        let mut exchange = self.exchange.borrow_mut();
        let elapsed = host::now().saturating_sub(self.began);
        if exchange.closed {
            let outcome = match exchange.timed_out {
                true => self.blame(exchange.route.as_ref().and_then(|route| route.asked()?.retry.deadline), elapsed),
                false => Outcome::Abandoned,
            };
            exchange.end_attempt(Ending::silent(outcome), &AllClusters);
            return;
        }
        registry::announce(exchange.id);
        let connected = host::property("upstream\0transport_failure_reason").is_none();
        let late = self.limit.is_some_and(|limit| Outcome::is_late(elapsed, limit));
        let ending = Ending::silent(Outcome::of_silence(connected, late));
        exchange.end_attempt(ending, &AllClusters);
        let handed_on = exchange
            .advance(ending, &AllClusters)
            .is_some_and(|cluster| host::set_filter_state(CLUSTER, cluster.as_bytes()));
        if !handed_on {
            exchange.exhausted = Some(ending.outcome);
        }
    }

    /// Ends an attempt that Envoy, or another filter, has ended: its upstream is not to blame.
    fn cut(&self) {
        self.exchange.borrow_mut().end_attempt(Ending::silent(Outcome::Abandoned), &AllClusters);
    }

    /// The time for all attempts is up: the one that was under way is to blame if it took most of it.
    fn blame(&self, deadline: Option<Duration>, elapsed: Duration) -> Outcome {
        match deadline {
            Some(deadline) if elapsed * 2 >= deadline => Outcome::Timeout,
            _ => Outcome::Abandoned,
        }
    }

    /// Ends an attempt whose answer has passed to the client. When the client leaves, its exchange ends before
    /// its attempt.
    fn passed(&self, status: u16, whole: bool) {
        let mut exchange = self.exchange.borrow_mut();
        if whole {
            exchange.end_whole(status, &AllClusters);
            return;
        }
        let outcome = if exchange.closed { Outcome::Abandoned } else { Outcome::Interrupted };
        exchange.end_attempt(Ending { outcome, status, retry_after: None }, &AllClusters);
    }
}

/// Has Envoy ask the next cluster: it reads the mark on the answer, which goes no further.
fn ask_for_retry(id: u64, cluster: &str, outcome: Outcome) -> bool {
    registry::announce(id)
        && host::set_filter_state(CLUSTER, cluster.as_bytes())
        && host::set_header(Headers::Response, RETRY_HEADER, outcome.label())
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
fn prepare(exchange: Option<Shared>) -> Result<(Sent, BodyRewrite), Refusal> {
    let shared = exchange.ok_or(Refusal::Internal("an attempt without an exchange: is `router` configured?"))?;
    let mut exchange = shared.borrow_mut();
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
    let streamed = exchange.facts.as_ref().is_some_and(|facts| facts.stream);
    let limit = exchange.route.as_ref().and_then(|route| route.per_try_timeout(streamed));
    drop(exchange);
    // the request has come a moment ago, or a tick has
    Ok((Sent { exchange: shared, began: host::recent(), limit }, body))
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
