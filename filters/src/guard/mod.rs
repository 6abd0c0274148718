//! `guard`: checks requests and answers, with its own patterns and with services behind Envoy clusters.

mod answer;
mod calls;
mod config;
mod extracting;
mod handle;
mod listener;
mod request;
mod slices;
mod stream;

use std::rc::Rc;
use std::time::Duration;

use sluice::error::{ApiError, Shape};
use sluice::guard::api::Failure;
use sluice::guard::checks::{CheckPhase, CheckRun};
use sluice::guard::pii::Vault;
use sluice::guard::rewriting::BodyRewriting;
use sluice::parsed_request::ChangedString;
use sluice::usage::Framing;
use sluice::wire_names::GUARD_HEADER;

use crate::chain;
use crate::host::{self, Buffer, Headers};
use crate::incoming::Incoming;
use crate::reentrancy;
use crate::refused_body::RefusedBody;
use crate::registry::SharedExchange;
use crate::reply;
use crate::texts;
use crate::types::Action;
use answer::WholeAnswer;
pub use calls::answered;
use config::{subject, Config};
use extracting::Extracting;
pub use handle::filter;
use listener::{CheckResult, CheckTarget, Listener, Waiter};
use request::{Request, MAX_REWRITTEN};
use slices::{Unextracted, Unwritten};
use stream::StreamedAnswer;

/// Does the work that waits for time. Called on each tick.
pub fn tick() {
    slices::work();
    stream::tick();
}

/// How soon the next tick is needed, if sooner than usual; `None` if not.
pub fn next() -> Option<Duration> {
    slices::next()
}

/// How many bytes of an answer are read to recognise its kind.
const BEGINNING: usize = 64;

/// The guard's part in one stream.
struct Guard {
    config: Rc<Config>,
    context: u32,
    /// Ends the exchange with this filter, if it has taken the request in.
    opened: Option<Incoming>,
    exchange: Option<SharedExchange>,
    /// What the model is not to see.
    vault: Vault,
    state: GuardState,
}

// there is one for each stream, which is on the heap anyway
#[allow(clippy::large_enum_variant)]
enum GuardState {
    /// The request's headers are still to come.
    Headers,
    /// No filter has read the body before; it is awaited.
    Body(Incoming),
    /// A filter before has read the body. It can be rewritten only where Envoy hands it on, which comes next.
    Read(SharedExchange),
    /// The request's texts are being extracted.
    Extracting(Box<Extracting>),
    /// That has ended.
    Extracted(Box<Extracting>, Result<(), Unextracted>),
    /// The request is being checked.
    Asking(Request),
    /// The request is being rewritten.
    Rewriting(Box<BodyRewriting>),
    /// That has ended.
    Rewritten(Result<(Vec<u8>, Vec<ChangedString>), Unwritten>),
    /// It has gone on.
    Passed,
    /// The request is refused; its body is read before the client is answered.
    RefusedBody(RefusedBody),
    /// It has been answered here.
    Refused,
    /// An answer is being collected or checked.
    Whole(WholeAnswer),
    /// A whole answer is being rewritten.
    RewritingAnswer(Box<BodyRewriting>),
    /// An answer is passing in pieces.
    Streamed(StreamedAnswer),
    /// An answer is too large to check, and passes anyway: the held bytes pass with its next piece.
    Unchecked(Vec<u8>),
}

impl Guard {
    /// For a new stream with Envoy's number `context`.
    fn new(config: Rc<Config>, context: u32) -> Self {
        let vault = Vault::default();
        Guard { config, context, opened: None, exchange: None, vault, state: GuardState::Headers }
    }

    /// Passes the request on.
    fn pass(&mut self) -> Action {
        self.state = GuardState::Passed;
        Action::Continue
    }

    /// Does what the checks of the request say.
    fn decide(&mut self, me: &Waiter) -> Action {
        let Some(exchange) = self.exchange.clone() else {
            return Action::Pause;
        };
        let decided = match std::mem::replace(&mut self.state, GuardState::Refused) {
            GuardState::Asking(request) => match request.conclude(&exchange) {
                Ok(request::Concluded::Passes) => Ok(()),
                Ok(request::Concluded::Rewritten(mut rewriting)) => {
                    match slices::rewrite(&mut rewriting, &mut self.vault, MAX_REWRITTEN) {
                        None => {
                            self.state = GuardState::Rewriting(rewriting);
                            slices::wait(me, self.context);
                            chain::wait_for_wake();
                            return Action::Pause;
                        }
                        Some(Ok(())) => request::send_on(rewriting.finish_changes(), &exchange),
                        Some(Err(unwritten)) => Err(request::refusal(&unwritten)),
                    }
                }
                Err(error) => Err(error),
            },
            GuardState::Extracted(extracting, extracted) => return self.ask(*extracting, extracted, me),
            GuardState::Rewritten(Ok(body)) => request::send_on(body, &exchange),
            GuardState::Rewritten(Err(unwritten)) => Err(request::refusal(&unwritten)),
            _ => return Action::Pause,
        };
        match decided {
            Ok(()) => self.pass(),
            Err(error) => self.refuse(&error),
        }
    }

    fn refuse(&mut self, error: &ApiError) -> Action {
        self.state = GuardState::Refused;
        let shape = match &self.exchange {
            Some(exchange) => {
                exchange.borrow_mut().replace_answer(error.status);
                exchange.borrow().shape()
            }
            None => Shape::OpenAi,
        };
        reply::error(error, shape)
    }

    /// Prepares for an answer, if something must be checked or restored in it.
    fn begin_answer(&mut self, end: bool) -> Action {
        let Some(shared) = &self.exchange else {
            return Action::Continue;
        };
        let exchange = shared.borrow();
        if let Some(flags) = exchange.flags() {
            host::set_header(Headers::Response, GUARD_HEADER, &flags);
        }
        let (Some(parsed), Some(200..=299), false) = (exchange.parsed(), exchange.answered(), end) else {
            return Action::Continue;
        };
        if !parsed.endpoint.answers_with_texts() {
            return Action::Continue;
        }
        let subject = subject(CheckPhase::Response, &exchange);
        let checked = self.config.applies(&subject);
        if !checked && self.vault.is_empty() {
            return Action::Continue;
        }
        if exchange.is_encoded() {
            // its bytes are unreadable, although the gateway asked for an uncompressed answer
            return match checked && self.config.fail(&subject, Failure::Shape) {
                true => {
                    drop(exchange);
                    self.refuse(&ApiError::unchecked())
                }
                false => Action::Continue,
            };
        }
        host::remove_header(Headers::Response, "content-length");
        let json = host::header(Headers::Response, "content-type").is_some_and(|kind| is_json(&kind));
        match parsed.stream && !json {
            true => {
                let answer = StreamedAnswer::new(&self.config, shared, parsed, checked, &self.vault, self.context);
                let is_hit = exchange.is_hit();
                self.state = GuardState::Streamed(answer);
                // a kept answer comes at once: its headers wait, so that an error can still take its place
                match is_hit {
                    true => Action::Pause,
                    false => Action::Continue,
                }
            }
            false => {
                let passes = self.vault.is_empty() && !self.config.denies(&subject);
                self.state = GuardState::Whole(WholeAnswer::new(parsed.endpoint, checked, passes, self.context));
                Action::Pause
            }
        }
    }

    /// A stream with the content type of JSON may turn out to be events by its first bytes.
    fn tell_by_bytes(&mut self) {
        let (GuardState::Whole(answer), Some(shared)) = (&self.state, &self.exchange) else {
            return;
        };
        let exchange = shared.borrow();
        let Some(parsed) = exchange.parsed().filter(|parsed| parsed.stream && !answer.has_begun()) else {
            return;
        };
        let beginning = host::bytes(Buffer::ResponseBody, BEGINNING).unwrap_or_default();
        let framing = Framing::of_answer(parsed.endpoint.dialect(), true, &beginning);
        if framing == Framing::Json || beginning.trim_ascii().is_empty() {
            return;
        }
        let checked = self.config.applies(&subject(CheckPhase::Response, &exchange));
        let answer = StreamedAnswer::new(&self.config, shared, parsed, checked, &self.vault, self.context);
        drop(exchange);
        self.state = GuardState::Streamed(answer);
    }

    /// Lets the checked answer go on, once it is rewritten. `held`: Envoy waits for it.
    fn end_whole(&mut self, held: bool, me: &Waiter) -> Action {
        let (GuardState::Whole(answer), Some(shared)) =
            (std::mem::replace(&mut self.state, GuardState::Passed), &self.exchange)
        else {
            return Action::Continue;
        };
        let concluded = answer.conclude(!self.vault.is_empty(), &mut shared.borrow_mut());
        let body = match concluded {
            Ok(answer::Concluded::Body(body)) => Ok(body),
            Ok(answer::Concluded::Rewritten(mut rewriting)) => {
                match slices::rewrite(&mut rewriting, &mut self.vault, usize::MAX) {
                    None => {
                        self.state = GuardState::RewritingAnswer(rewriting);
                        slices::wait(me, self.context);
                        return Action::Pause;
                    }
                    Some(Ok(())) => Ok(rewriting.finish()),
                    Some(Err(_)) => Err(ApiError::unchecked()),
                }
            }
            Err(error) => Err(error),
        };
        self.show(body, held)
    }

    /// Hands Envoy what the client gets of an answer that was held. `held`: it waits for that.
    fn show(&mut self, body: Result<Vec<u8>, ApiError>, held: bool) -> Action {
        match body.and_then(|body| texts::reshaped(self.exchange.as_ref(), body)) {
            Ok(body) => {
                if let Some(flags) = self.exchange.as_ref().and_then(|exchange| exchange.borrow().flags()) {
                    // the headers are held with the body
                    host::set_header(Headers::Response, GUARD_HEADER, &flags);
                }
                if !host::replace_bytes(Buffer::ResponseBody, &body) {
                    log::error!("sluice: guard: Envoy refused the checked answer");
                }
                if held && !reentrancy::is_ending(self.context) {
                    host::continue_response();
                }
                Action::Continue
            }
            Err(error) => self.refuse_answer(&error, held),
        }
    }

    /// Refuses an answer of which the client has nothing. `held`: Envoy waits for that.
    fn refuse_answer(&mut self, error: &ApiError, held: bool) -> Action {
        let Some(exchange) = self.exchange.as_ref().filter(|exchange| exchange.borrow().is_hit()) else {
            return self.refuse(error);
        };
        self.state = GuardState::Refused;
        exchange.borrow_mut().replace_answer(error.status);
        reply::error_in_place(error, exchange.borrow().shape());
        if held && !reentrancy::is_ending(self.context) {
            host::continue_response();
        }
        Action::Continue
    }
}

impl Listener for Guard {
    fn config(&self) -> &Config {
        &self.config
    }

    fn receive(&mut self, target: CheckTarget, question: usize, result: CheckResult, me: &Waiter) {
        match (target, &mut self.state) {
            (CheckTarget::Request, GuardState::Asking(request)) => {
                request.receive(&self.config, question, result);
            }
            (CheckTarget::Answer, GuardState::Whole(answer)) => {
                answer.receive(&self.config, question, result);
                if answer.is_complete() && host::act_on(self.context) {
                    self.end_whole(true, me);
                }
            }
            (CheckTarget::Window(id), GuardState::Streamed(answer)) => {
                answer.receive(&self.config, id, question, result, me);
                if host::act_on(self.context) && self.refuse_streamed(true).is_none() {
                    self.flow();
                }
            }
            _ => {} // too late
        }
    }

    fn check_run(&self, target: CheckTarget) -> Option<&CheckRun> {
        let run = match (target, &self.state) {
            (CheckTarget::Request, GuardState::Asking(request)) => Some(request.check_run()),
            (CheckTarget::Answer, GuardState::Whole(answer)) => answer.check_run(),
            (CheckTarget::Window(id), GuardState::Streamed(answer)) => answer.check_run(id),
            _ => None,
        };
        run.filter(|run| !run.is_complete())
    }

    fn is_decided(&self) -> bool {
        match &self.state {
            GuardState::Asking(request) => request.is_complete(),
            GuardState::Extracted(..) | GuardState::Rewritten(_) => true,
            _ => false,
        }
    }

    fn go_on(&mut self, me: &Waiter) -> bool {
        let ended = match &mut self.state {
            GuardState::Extracting(extracting) => match extracting.go_on() {
                Some(extracted) => {
                    if let GuardState::Extracting(extracting) = std::mem::replace(&mut self.state, GuardState::Refused)
                    {
                        self.state = GuardState::Extracted(extracting, extracted);
                    }
                    return true;
                }
                None => None,
            },
            GuardState::Whole(answer) => {
                let extracts = |exchange: &SharedExchange| answer.extract(&self.config, &exchange.borrow(), me);
                let ended = self.exchange.as_ref().is_none_or(extracts);
                if ended && answer.is_complete() {
                    self.end_whole(true, me);
                }
                return ended;
            }
            GuardState::Rewriting(rewriting) => slices::rewrite(rewriting, &mut self.vault, MAX_REWRITTEN),
            GuardState::RewritingAnswer(rewriting) => slices::rewrite(rewriting, &mut self.vault, usize::MAX),
            _ => return true,
        };
        let Some(ended) = ended else {
            return false;
        };
        match std::mem::replace(&mut self.state, GuardState::Passed) {
            GuardState::Rewriting(rewriting) => {
                self.state = GuardState::Rewritten(ended.map(|()| rewriting.finish_changes()))
            }
            GuardState::RewritingAnswer(rewriting) => {
                self.show(ended.map(|()| rewriting.finish()).map_err(|_| ApiError::unchecked()), true);
            }
            _ => {}
        }
        true
    }

    fn wait(&mut self, now: Duration, me: &Waiter) -> bool {
        let GuardState::Streamed(answer) = &mut self.state else {
            return false;
        };
        if !host::act_on(self.context) {
            return false;
        }
        let waits = answer.wait(now, &self.config, me);
        if self.refuse_streamed(true).is_some() {
            return false;
        }
        self.flow();
        waits
    }
}

/// Whether an answer is one text, even if a stream was requested.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}
