//! `attempt`: runs once per attempt, next to the upstream. Makes the request fit for this attempt's target,
//! holds the answer until it is worth committing to, judges how the attempt ended, and names the next target
//! when another may try.

mod held;
mod sent;

use sluice::config;
use sluice::contract::RETRY_HEADER;
use sluice::health::wanted_pause;
use sluice::outcome::Outcome;
use sluice::rewrite::BodyRewrite;
use sluice::routing::Ending;

use crate::abi::{self, Action, HttpContext};
use crate::clusters::{self, AllClusters};
use crate::host::{self, Buffer, Headers};
use crate::registry::{self, Expected};
use crate::reply;
use crate::root::{self, Filter};
use crate::waiting;
use held::{Held, Next, ResponseHead, Until};
use sent::{prepare, Sent};

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    let open = |_: &_, context| -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Attempt { context, state: State::Headers(registry::expected()) }))
    };
    root::filter(|bytes| config::none("attempt", bytes), open)
}

struct Attempt {
    context: u32,
    state: State,
}

enum State {
    /// Nothing has happened yet; whose attempt it should be, if one was expected.
    Headers(Option<Expected>),
    /// The request is on its way.
    Sent(Sent, BodyRewrite),
    /// An answer has begun; nothing of it has reached the client.
    Holding(Sent, Held),
    /// The answer is passing to the client.
    Passing { sent: Sent, status: u16, whole: bool },
    /// The attempt has ended.
    Ended,
}

impl HttpContext for Attempt {
    fn on_http_request_headers(&mut self, _: bool) -> Action {
        let expected = match &mut self.state {
            State::Headers(expected) => expected.take(),
            State::Sent(..) | State::Holding(..) | State::Passing { .. } | State::Ended => None,
        };
        match prepare(registry::of_attempt(expected, self.context)) {
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

    fn on_http_response_headers(&mut self, end: bool) -> Action {
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

    fn on_http_response_trailers(&mut self) -> Action {
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
