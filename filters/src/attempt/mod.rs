//! `attempt`: runs once per attempt, next to the upstream. Prepares the request for this attempt's target, holds the
//! answer until it is safe to commit, judges the attempt's outcome, and names the next target if another one can be
//! tried.

mod failed_usage;
mod held;
mod long_body;
mod passing;
mod running;
mod socket;
mod stalled;
mod translated;
mod translation;
mod upgraded;

use sluice::config;
use sluice::exchange::{Prepared, MAX_KEPT_BODY};
use sluice::health::parse_retry_after;
use sluice::memory_budget::Purpose;
use sluice::outcome::Outcome;
use sluice::rewrite::BodyRewrite;
use sluice::routing::Ending;
use sluice::translate::Pair;

use crate::budget::{self, NoMemory};
use crate::clusters::{self, AllClusters};
use crate::filter::{self, Filter};
use crate::host::{self, Buffer, Headers};
use crate::reentrancy;
use crate::registry::{self, Expected};
use crate::reply;
use crate::types::{Action, HttpContext};
use crate::waiting;
use held::{Held, HeldDecision, ResponseHead, Until};
use long_body::RewriteFailure;
use running::{prepare, RunningAttempt};
pub use stalled::poll;

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    let open = |_: &_, context| -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Attempt { context, state: AttemptState::Headers(registry::expected()) }))
    };
    filter::filter(|bytes| config::none("attempt", bytes), open)
}

struct Attempt {
    context: u32,
    state: AttemptState,
}

enum AttemptState {
    /// Nothing has happened yet; the request of the attempt, if one was expected.
    Headers(Option<Expected>),
    /// Waits for the request's body, to translate it.
    Translating(RunningAttempt, Pair),
    /// The request has been sent.
    Sent(RunningAttempt, BodyRewrite),
    /// An answer has begun; nothing has reached the client.
    Holding(RunningAttempt, Held),
    /// The answer is passing to the client.
    Passing { sent: RunningAttempt, status: u16, whole: bool },
    /// The gateway's own error is passing to the client; the upstream's further bytes are dropped.
    Replaced,
    /// The attempt has ended.
    Ended,
}

impl HttpContext for Attempt {
    fn on_http_request_headers(&mut self, _: bool) -> Action {
        let expected = match &mut self.state {
            AttemptState::Headers(expected) => expected.take(),
            AttemptState::Translating(..)
            | AttemptState::Sent(..)
            | AttemptState::Holding(..)
            | AttemptState::Passing { .. }
            | AttemptState::Replaced
            | AttemptState::Ended => None,
        };
        match prepare(registry::of_attempt(expected, self.context)) {
            Ok((sent, Prepared::Rewrite(body))) => {
                self.state = AttemptState::Sent(sent, body);
                Action::Continue
            }
            Ok((sent, Prepared::Translate(pair))) => {
                self.state = AttemptState::Translating(sent, pair);
                Action::Pause // its length is not known yet
            }
            Err(refusal) => {
                self.state = AttemptState::Ended;
                refusal.reply()
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let (sent, body) = match &mut self.state {
            AttemptState::Sent(sent, body) => (sent, body),
            AttemptState::Translating(..) if end => return self.translate(size),
            AttemptState::Translating(..) => return Action::Pause,
            AttemptState::Passing { sent, .. } => return sent.pass_client(size),
            AttemptState::Headers(_) | AttemptState::Holding(..) | AttemptState::Replaced | AttemptState::Ended => {
                return Action::Continue
            }
        };
        if size == 0 || body.is_identity() {
            return sent.pass_client(size);
        }
        if size > MAX_KEPT_BODY {
            return match long_body::rewrite(body, size, end) {
                Ok(()) => Action::Continue,
                Err(RewriteFailure::NoMemory) => self.out_of_memory(),
                Err(RewriteFailure::Changed) => self.changed(),
            };
        }
        let exchange = sent.exchange.borrow();
        let rewritten = match exchange.kept_body(size).filter(|_| end) {
            Some(kept) => body.chunk(kept, end),
            None => match budget::receive(Purpose::Body, Buffer::RequestBody, 0, size) {
                Ok(bytes) => body.chunk(&bytes, end),
                Err(NoMemory) => {
                    drop(exchange);
                    return self.out_of_memory();
                }
            },
        };
        drop(exchange);
        match rewritten {
            Ok(None) => Action::Continue,
            Ok(Some(rewritten)) if host::replace_bytes(Buffer::RequestBody, &rewritten) => Action::Continue,
            Ok(Some(_)) | Err(_) => self.changed(),
        }
    }

    fn on_http_request_trailers(&mut self) -> Action {
        match self.state {
            AttemptState::Translating(..) => self.translate(usize::MAX),
            AttemptState::Headers(_)
            | AttemptState::Sent(..)
            | AttemptState::Holding(..)
            | AttemptState::Passing { .. }
            | AttemptState::Replaced
            | AttemptState::Ended => Action::Continue,
        }
    }

    fn on_http_response_headers(&mut self, end: bool) -> Action {
        let AttemptState::Sent(mut sent, _) = std::mem::replace(&mut self.state, AttemptState::Ended) else {
            return Action::Continue;
        };
        let headers = host::headers(Headers::Response);
        let head = ResponseHead::of(&headers);
        head.remove_private();
        let status = head.status;
        if sent.socket.is_some() {
            match self.upgraded(sent, status) {
                Ok(action) => return action,
                Err(failed) => sent = *failed,
            }
        }
        let outcome = Outcome::of_status(status);
        match outcome {
            Outcome::Success => self.hold(sent, &head, end),
            Outcome::BadResponse => sent.discard(Ending::answered(outcome, status), None),
            _ => {
                let may_ask = matches!(status, 429 | 503 | 529);
                let retry_after = may_ask.then(|| parse_retry_after(headers.iter(), host::now())).flatten();
                // it must be translated if no other target is tried
                let foreign = sent.translation.is_some() && !end;
                let until = if foreign { Until::Foreign } else { Until::Error };
                self.state = AttemptState::Holding(sent, Held { status, retry_after, until, seen: 0, released: None });
                match !foreign && (end || head.encoded || !says_more(status)) {
                    true => self.held(0, true),
                    false => Action::Pause,
                }
            }
        }
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        match &mut self.state {
            AttemptState::Holding(..) => self.held(size, end),
            AttemptState::Passing { sent, whole, .. } => {
                *whole |= end;
                if let Some(socket) = &mut sent.socket {
                    socket.pass_server(&sent.exchange, size);
                    return Action::Continue;
                }
                let mut passes = size;
                if let Some(translation) = &mut sent.translation {
                    translation.pass(&sent.exchange, size, end);
                    passes = usize::MAX; // it has been rewritten
                }
                if passes > 0 {
                    sent.pass(passes);
                }
                Action::Continue
            }
            AttemptState::Replaced => {
                host::replace_bytes(Buffer::ResponseBody, b"");
                Action::Continue
            }
            AttemptState::Headers(_) | AttemptState::Translating(..) | AttemptState::Sent(..) | AttemptState::Ended => {
                Action::Continue
            }
        }
    }

    fn on_http_response_trailers(&mut self) -> Action {
        held::clean_trailers();
        let seen = match &self.state {
            AttemptState::Holding(_, held) => held.seen,
            AttemptState::Headers(_)
            | AttemptState::Translating(..)
            | AttemptState::Sent(..)
            | AttemptState::Passing { .. }
            | AttemptState::Replaced
            | AttemptState::Ended => 0,
        };
        self.on_http_response_body(seen, true)
    }

    /// The only sign of an attempt that was refused, reset or timed out. Other attempts are also judged here, after the
    /// client's filters have seen the answer's end.
    fn on_done(&mut self) {
        match (std::mem::replace(&mut self.state, AttemptState::Ended), reentrancy::is_late()) {
            (AttemptState::Headers(_) | AttemptState::Replaced | AttemptState::Ended, _) => {}
            (AttemptState::Passing { sent, status, whole: true }, _) => sent.on_complete(status, true),
            (AttemptState::Translating(sent, _) | AttemptState::Sent(sent, _), true) => sent.on_downstream_reset(),
            (AttemptState::Holding(sent, _) | AttemptState::Passing { sent, .. }, true) => sent.on_downstream_reset(),
            (AttemptState::Translating(sent, _) | AttemptState::Sent(sent, _), false) => sent.on_no_response(None),
            (AttemptState::Holding(sent, held), false) if held.is_released() => sent.on_complete(held.status, false),
            (AttemptState::Holding(sent, held), false) => sent.on_no_response(Some(&held)),
            (AttemptState::Passing { sent, status, whole: false }, false) => sent.on_complete(status, false),
        }
        waiting::poll_queue();
    }
}

/// Whether an error's body may show more of its cause than its status.
fn says_more(status: u16) -> bool {
    matches!(status, 400..=407 | 410..=424 | 426..=499 | 503 | 529)
}

impl Attempt {
    /// Decides what the answer is held for, if anything.
    fn hold(&mut self, sent: RunningAttempt, head: &ResponseHead<'_>, end: bool) -> Action {
        match sent.until(head, end) {
            Ok(Some(until)) => {
                let status = head.status;
                let released = match until {
                    Until::Event(_) => stalled::limit(self.context, &sent.exchange, status, false),
                    Until::Whole { .. } => stalled::limit(self.context, &sent.exchange, status, true),
                    Until::Translated | Until::Document { .. } | Until::Foreign | Until::Error | Until::Unstreamed => {
                        None
                    }
                };
                self.state = AttemptState::Holding(sent, Held { status, retry_after: None, until, seen: 0, released });
                Action::Pause
            }
            Ok(None) => {
                self.pass(sent, head.status, false, end);
                Action::Continue
            }
            Err(outcome) => sent.discard(Ending::answered(outcome, head.status), None),
        }
    }

    /// Ends the attempt because memory is short; nothing is ejected for that.
    fn out_of_memory(&mut self) -> Action {
        match std::mem::replace(&mut self.state, AttemptState::Ended) {
            AttemptState::Translating(sent, _) | AttemptState::Sent(sent, _) | AttemptState::Holding(sent, _) => {
                sent.out_of_memory()
            }
            AttemptState::Headers(_) | AttemptState::Passing { .. } | AttemptState::Replaced | AttemptState::Ended => {
                Action::Continue
            }
        }
    }

    /// Ends the attempt because the body is not the one that was read.
    #[cold]
    fn changed(&mut self) -> Action {
        if let AttemptState::Sent(sent, _) = std::mem::replace(&mut self.state, AttemptState::Ended) {
            sent.exchange.borrow_mut().end_attempt(Ending::silent(Outcome::Abandoned), &AllClusters);
        }
        reply::internal("the request's body could not be rewritten: another filter has changed it")
    }

    /// Judges a held answer; `size` is its length so far.
    fn held(&mut self, size: usize, end: bool) -> Action {
        let AttemptState::Holding(sent, mut held) = std::mem::replace(&mut self.state, AttemptState::Ended) else {
            return Action::Continue;
        };
        if held.is_released() {
            self.pass(sent, held.status, false, false);
            return self.on_http_response_body(size, end);
        }
        let foreign = matches!(held.until, Until::Translated | Until::Document { .. } | Until::Foreign);
        if sent.translation.is_some() && foreign {
            return self.held_translated(sent, held, size, end);
        }
        let model = sent.model();
        match held.look(size, end, &model) {
            HeldDecision::Hold => {
                self.state = AttemptState::Holding(sent, held);
                Action::Pause
            }
            next @ (HeldDecision::Pass | HeldDecision::PassUnjudged) => {
                sent.exchange.borrow_mut().answer_unjudged(matches!(next, HeldDecision::PassUnjudged));
                self.pass(sent, held.status, true, end);
                Action::Continue
            }
            HeldDecision::PassMetered(meter) => {
                sent.exchange.borrow_mut().answer_metered(meter);
                self.pass(sent, held.status, true, end);
                Action::Continue
            }
            HeldDecision::Fail(ending) => sent.fail(ending, &held),
            HeldDecision::Discard(ending) => sent.discard(ending, Some(&held)),
            HeldDecision::TooLong => sent.too_long(held.status),
        }
    }

    /// Passes the answer to the client. `held`: its first bytes have arrived; `whole`: its last bytes, too.
    fn pass(&mut self, mut sent: RunningAttempt, status: u16, held: bool, whole: bool) {
        let now = host::now();
        let mut exchange = sent.exchange.borrow_mut();
        exchange.answer(status, Some(Outcome::of_status(status)));
        if held {
            exchange.first_bytes(now);
            if whole {
                exchange.last_bytes(now);
            }
        }
        if let Some(route) = exchange.routed() {
            let elapsed = now.saturating_sub(sent.began);
            route.learn(elapsed);
            route.upstream().into_iter().for_each(|upstream| clusters::learn(upstream, elapsed));
        }
        drop(exchange);
        sent.begin_passing(held, whole);
        self.state = AttemptState::Passing { sent, status, whole };
    }
}
