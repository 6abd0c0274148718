//! Envoy's events for the guard.

use std::cell::RefCell;
use std::rc::Rc;

use sluice::error::ApiError;
use sluice::gateway::DEFAULT_PREFIX;
use sluice::guard::checks::CheckPhase;
use sluice::parsed_request::ParsedRequest;

use super::answer::Taken;
use super::config::{self, subject, Config};
use super::extracting::Extracting;
use super::listener::{Listener, Waiter};
use super::request::{self, Request};
use super::slices::{self, Unextracted};
use super::stream::StreamedAnswer;
use super::{calls, Guard, GuardState};
use crate::chain;
use crate::filter::{self, Filter};
use crate::host;
use crate::incoming::Incoming;
use crate::refused_body::RefusedBody;
use crate::registry::{self, SharedExchange};
use crate::reply;
use crate::types::{Action, HttpContext};

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    filter::filter(config::read, |config: &Rc<Config>, context| match config.checks.checks.is_empty() {
        true => None,
        false => Some(Box::new(Handle(Rc::new(RefCell::new(Guard::new(config.clone(), context)))))),
    })
}

/// Envoy's side of a stream. The state that callouts' answers change is behind it.
pub(super) struct Handle(Rc<RefCell<Guard>>);

impl Handle {
    fn waiter(&self) -> Waiter {
        Rc::downgrade(&self.0) as Waiter
    }
}

impl HttpContext for Handle {
    fn on_http_request_headers(&mut self, end: bool) -> Action {
        let me = self.waiter();
        let Ok(mut guard) = self.0.try_borrow_mut() else {
            return Action::Pause;
        };
        if let Some(exchange) = registry::current() {
            let is_bodiless = {
                let open = exchange.borrow();
                end || open.parsed().is_none_or(ParsedRequest::is_passed) || open.socket().is_some()
            };
            if is_bodiless {
                return guard.check(exchange, &me);
            }
            guard.state = GuardState::Read(exchange);
            return Action::Pause;
        }
        let find = |path: &str| guard.config.router.find(path);
        let library = guard.config.router.library();
        match Incoming::open(DEFAULT_PREFIX, find, || guard.config.router.max_upload(), library, |_| Ok(None)) {
            Ok(incoming) => {
                let complete = incoming.is_complete(end);
                guard.state = GuardState::Body(incoming);
                match complete {
                    true => guard.take_in(0, &me),
                    false => Action::Pause,
                }
            }
            Err(refusal) => {
                guard.state = RefusedBody::refuse(refusal, end).map_or(GuardState::Refused, GuardState::RefusedBody);
                Action::Pause
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let me = self.waiter();
        let Ok(mut guard) = self.0.try_borrow_mut() else {
            return Action::Pause;
        };
        if let GuardState::Body(incoming) = &mut guard.state {
            if let Err(error) = incoming.grow(size) {
                let shape = incoming.shape();
                guard.state = GuardState::Refused;
                return reply::error(&error, shape);
            }
        }
        if let GuardState::RefusedBody(body) = &mut guard.state {
            if body.drop_part(size, end) {
                guard.state = GuardState::Refused;
            }
            return Action::Pause;
        }
        match (&guard.state, end) {
            (GuardState::Body(_), true) => guard.take_in(size, &me),
            (GuardState::Read(_), true) => guard.check_read(&me),
            (
                GuardState::Body(_)
                | GuardState::Read(_)
                | GuardState::Headers
                | GuardState::Extracting(_)
                | GuardState::Extracted(..)
                | GuardState::Asking(_)
                | GuardState::Rewriting(_)
                | GuardState::Rewritten(_)
                | GuardState::RefusedBody(_)
                | GuardState::Refused,
                _,
            ) => Action::Pause,
            (
                GuardState::Passed
                | GuardState::Whole(_)
                | GuardState::RewritingAnswer(_)
                | GuardState::Streamed(_)
                | GuardState::Unchecked(_),
                _,
            ) => Action::Continue,
        }
    }

    fn on_http_request_trailers(&mut self) -> Action {
        let me = self.waiter();
        let Ok(mut guard) = self.0.try_borrow_mut() else {
            return Action::Pause;
        };
        match &guard.state {
            GuardState::Body(_) => guard.take_in(usize::MAX, &me),
            GuardState::Read(_) => guard.check_read(&me),
            GuardState::RefusedBody(body) => {
                body.reply();
                guard.state = GuardState::Refused;
                Action::Pause
            }
            GuardState::Headers
            | GuardState::Extracting(_)
            | GuardState::Extracted(..)
            | GuardState::Asking(_)
            | GuardState::Rewriting(_)
            | GuardState::Rewritten(_)
            | GuardState::Refused => Action::Pause,
            GuardState::Passed
            | GuardState::Whole(_)
            | GuardState::RewritingAnswer(_)
            | GuardState::Streamed(_)
            | GuardState::Unchecked(_) => Action::Continue,
        }
    }

    /// The request's checks have finished.
    fn on_resume(&mut self) -> Action {
        let me = self.waiter();
        let Ok(mut guard) = self.0.try_borrow_mut() else {
            return Action::Pause;
        };
        match guard.is_decided() {
            true => guard.decide(&me),
            false if matches!(guard.state, GuardState::Passed) => Action::Continue,
            false => Action::Pause,
        }
    }

    fn on_http_response_headers(&mut self, end: bool) -> Action {
        let Ok(mut guard) = self.0.try_borrow_mut() else {
            return Action::Pause;
        };
        match guard.state {
            GuardState::Passed => guard.begin_answer(end),
            _ => Action::Continue, // an answer of the gateway's own
        }
    }

    fn on_http_response_body(&mut self, _: usize, end: bool) -> Action {
        let me = self.waiter();
        let Ok(mut guard) = self.0.try_borrow_mut() else {
            return Action::Pause;
        };
        let guard = &mut *guard;
        guard.tell_by_bytes();
        match &mut guard.state {
            GuardState::Whole(answer) => {
                let taken = guard.exchange.as_ref().map(|exchange| answer.chunk(end, &guard.config, exchange, &me));
                match (taken, end) {
                    (Some(Taken::Unchecked(body)), _) => {
                        guard.state = GuardState::Unchecked(body);
                        Action::Continue
                    }
                    (Some(Taken::Large(body)), _) => guard.read_in_pieces(&body, &me),
                    (Some(Taken::Held) | None, true) if answer.is_complete() => guard.end_whole(false, &me),
                    (Some(Taken::Held) | None, true) if answer.is_extracting() => {
                        slices::wait(&me, guard.context);
                        Action::Pause
                    }
                    (Some(Taken::Held) | None, _) => Action::Pause,
                }
            }
            GuardState::RewritingAnswer(_) => Action::Pause,
            GuardState::Streamed(answer) => {
                let action = answer.chunk(end, &guard.config, &me);
                guard.refuse_streamed(false).unwrap_or(action)
            }
            GuardState::Unchecked(held) => {
                held.extend(host::bytes(host::Buffer::ResponseBody, usize::MAX).unwrap_or_default());
                let held = std::mem::take(held);
                guard.state = GuardState::Passed;
                match host::replace_bytes(host::Buffer::ResponseBody, &held) {
                    true => Action::Continue,
                    // trailers arrived, and no piece
                    false => reply::internal("the guard could not let an answer pass"),
                }
            }
            _ => Action::Continue,
        }
    }

    fn on_http_response_trailers(&mut self) -> Action {
        self.on_http_response_body(0, true)
    }

    fn on_done(&mut self) {
        calls::forget(&self.waiter());
    }
}

impl Guard {
    /// Checks a request that an earlier filter has read, now that its body is available.
    fn check_read(&mut self, me: &Waiter) -> Action {
        match std::mem::replace(&mut self.state, GuardState::Refused) {
            GuardState::Read(exchange) => self.check(exchange, me),
            _ => Action::Pause,
        }
    }

    /// Checks a request whose body has been read. `me` is where answers find it.
    fn check(&mut self, exchange: SharedExchange, me: &Waiter) -> Action {
        exchange.borrow_mut().guarded(self.config.digest);
        let extracting = {
            let exchange = exchange.borrow();
            let subject = subject(CheckPhase::Request, &exchange);
            match exchange.parsed() {
                Some(parsed) if parsed.is_passed() => {
                    match self.config.refuses_unread(&exchange.original().path, subject.key) {
                        true => Err(ApiError::unguarded_path()),
                        false => Ok(None),
                    }
                }
                Some(_) if exchange.socket().is_some() => match self.config.refuses_socket(&subject) {
                    true => Err(ApiError::unguarded_socket()),
                    false => Ok(None),
                },
                Some(parsed) if parsed.by_id => Ok(None), // it asks for a stored answer, and says nothing
                Some(parsed) if self.config.applies(&subject) && parsed.has_unread_fields() => {
                    Err(ApiError::unread_fields())
                }
                Some(_) if self.config.applies(&subject) => Ok(Some(Extracting::of_request(&exchange))),
                Some(_) | None => Ok(None), // what is not parsed is a command to the gateway itself
            }
        };
        self.exchange = Some(exchange);
        let extracting = match extracting {
            Ok(extracting) => extracting,
            Err(error) => return self.refuse(&error),
        };
        match extracting {
            None => self.pass(),
            Some(Err(unextracted)) => self.unextracted(&unextracted),
            Some(Ok(mut extracting)) => match extracting.go_on() {
                Some(extracted) => self.ask(extracting, extracted, me),
                None => {
                    self.state = GuardState::Extracting(Box::new(extracting));
                    slices::wait(me, self.context);
                    chain::wait_for_wake();
                    Action::Pause
                }
            },
        }
    }

    /// Runs the checks on the request's texts.
    pub(super) fn ask(&mut self, extracting: Extracting, extracted: Result<(), Unextracted>, me: &Waiter) -> Action {
        if let Err(unextracted) = extracted {
            return self.unextracted(&unextracted);
        }
        let asked = self.exchange.as_ref().and_then(|exchange| {
            let exchange = exchange.borrow();
            let subject = subject(CheckPhase::Request, &exchange);
            let endpoint = exchange.parsed()?.endpoint;
            Request::ask(&self.config, &subject, endpoint, extracting.finish(), (me, self.context))
        });
        match asked {
            Some(request) if request.is_complete() => {
                self.state = GuardState::Asking(request);
                self.decide(me)
            }
            Some(request) => {
                self.state = GuardState::Asking(request);
                chain::wait_for_wake();
                Action::Pause
            }
            None => self.pass(),
        }
    }

    /// The request's texts cannot be extracted. What lacks memory may pass unchecked.
    fn unextracted(&mut self, unextracted: &Unextracted) -> Action {
        let may_pass = match (unextracted, &self.exchange) {
            (Unextracted::Busy, Some(exchange)) => {
                !unextracted.fail(&self.config, &subject(CheckPhase::Request, &exchange.borrow()))
            }
            (Unextracted::Busy | Unextracted::Unreadable(_), _) => false,
        };
        match may_pass {
            true => self.pass(),
            false => self.refuse(&request::unreadable(unextracted)),
        }
    }

    fn take_in(&mut self, size: usize, me: &Waiter) -> Action {
        let GuardState::Body(mut incoming) = std::mem::replace(&mut self.state, GuardState::Refused) else {
            return Action::Pause;
        };
        let router = &self.config.router;
        let read = incoming.body(size, router.table(), || router.default_model_elsewhere()).cloned();
        let shape = incoming.shape();
        self.opened = Some(incoming);
        match read {
            Ok(exchange) => self.check(exchange, me),
            Err(error) => reply::error(&error, shape),
        }
    }

    /// Goes over to reading an answer in pieces, of which this much has been held.
    fn read_in_pieces(&mut self, body: &[u8], me: &Waiter) -> Action {
        let Some(shared) = &self.exchange else {
            return Action::Continue;
        };
        let exchange = shared.borrow();
        let Some(parsed) = exchange.parsed() else {
            return Action::Continue;
        };
        let checked = self.config.applies(&subject(CheckPhase::Response, &exchange));
        let mut answer = StreamedAnswer::new(&self.config, shared, parsed, checked, &self.vault, self.context);
        drop(exchange);
        shared.borrow_mut().leave_answer(); // its form cannot be changed in pieces
        let action = answer.take_over(body, &self.config, me);
        self.state = GuardState::Streamed(answer);
        self.refuse_streamed(false).unwrap_or(action)
    }

    /// Refuses an answer that is read in pieces, if it is blocked and the client has nothing of it. `held`: Envoy waits
    /// for that.
    pub(super) fn refuse_streamed(&mut self, held: bool) -> Option<Action> {
        let GuardState::Streamed(answer) = &mut self.state else {
            return None;
        };
        let error = answer.refusal()?;
        Some(self.refuse_answer(&error, held))
    }

    /// Passes the bytes of a stream that may pass.
    pub(super) fn flow(&mut self) {
        if let GuardState::Streamed(answer) = &mut self.state {
            answer.flow();
        }
    }
}
