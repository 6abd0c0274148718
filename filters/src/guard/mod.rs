//! `guard`: checks requests and answers, by patterns of its own and by classifiers that Envoy's clusters reach.

mod answer;
mod calls;
mod config;
mod handle;
mod listener;
mod request;
mod searches;
mod stream;

use std::rc::Rc;
use std::time::Duration;

use sluice::error::{ApiError, Shape};
use sluice::guard::api::Failure;
use sluice::guard::checks::{Phase, Round};
use sluice::guard::pii::Vault;
use sluice::usage::Framing;
use sluice::wire_names::GUARD_HEADER;

use crate::chain;
use crate::host::{self, Buffer, Headers};
use crate::incoming::Incoming;
use crate::nested;
use crate::registry::SharedExchange;
use crate::reply;
use crate::types::Action;
use crate::unread::Unread;
use answer::WholeAnswer;
pub use calls::answered;
use config::{subject, Config};
pub use handle::filter;
use listener::{Heard, Listener, Matter, Waiter};
use request::Request;
use stream::StreamedAnswer;

/// Does what has waited for its time. For each tick.
pub fn tick() {
    searches::work();
    stream::tick();
}

/// How soon there is more to do than at the usual time; `None` if there is nothing.
pub fn next() -> Option<Duration> {
    searches::next()
}

/// How much of an answer is looked at to tell what it is, in bytes.
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
    state: State,
}

// there is one for each stream, on the heap already
#[allow(clippy::large_enum_variant)]
enum State {
    /// The request's headers are still to come.
    Headers,
    /// No filter has read the body before; it is awaited.
    Body(Incoming),
    /// A filter before has read the body. It can be rewritten only where Envoy hands it on, which comes next.
    Read(SharedExchange),
    /// The request is being checked.
    Asking(Request),
    /// It has gone on.
    Passed,
    /// The request is refused; its body is let come before the client is told.
    Unread(Unread),
    /// It has been answered here.
    Refused,
    /// An answer is being collected or checked.
    Whole(WholeAnswer),
    /// An answer is passing in pieces.
    Streamed(StreamedAnswer),
    /// An answer is too large to be checked, and passes all the same: what was held goes with its next piece.
    Unchecked(Vec<u8>),
}

impl Guard {
    /// For a stream that begins; Envoy's number for it is `context`.
    fn new(config: Rc<Config>, context: u32) -> Self {
        let vault = Vault::default();
        Guard { config, context, opened: None, exchange: None, vault, state: State::Headers }
    }

    /// Checks a request whose body has been read. `me` is where answers find it.
    fn check(&mut self, exchange: SharedExchange, me: &Waiter) -> Action {
        let asked = {
            let exchange = exchange.borrow();
            match exchange.facts() {
                Some(facts) if facts.by_id => Ok(None), // it says nothing
                Some(facts) => {
                    let subject = subject(Phase::Request, &exchange);
                    match self.config.applies(&subject) {
                        true => Request::ask(&self.config, &subject, facts.endpoint, &exchange, (me, self.context)),
                        false => Ok(None),
                    }
                }
                None => Ok(None), // something for the gateway itself
            }
        };
        self.exchange = Some(exchange);
        match asked {
            Ok(Some(request)) if request.is_complete() => {
                self.state = State::Asking(request);
                self.decide()
            }
            Ok(Some(request)) => {
                self.state = State::Asking(request);
                chain::wait_for_wake();
                Action::Pause
            }
            Ok(None) => {
                self.state = State::Passed;
                Action::Continue
            }
            Err(error) => self.refuse(&error),
        }
    }

    /// Does what the checks of the request say.
    fn decide(&mut self) -> Action {
        let State::Asking(request) = std::mem::replace(&mut self.state, State::Refused) else {
            return Action::Pause;
        };
        let Some(exchange) = self.exchange.clone() else {
            return Action::Pause;
        };
        let concluded = request.conclude(&mut self.vault, &exchange);
        match concluded {
            Ok(()) => {
                self.state = State::Passed;
                Action::Continue
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn refuse(&mut self, error: &ApiError) -> Action {
        self.state = State::Refused;
        let shape = match &self.exchange {
            Some(exchange) => {
                exchange.borrow_mut().replace_answer(error.status);
                exchange.borrow().shape()
            }
            None => Shape::OpenAi,
        };
        reply::error(error, shape)
    }

    /// Prepares for an answer, if there is something to check or to restore in it.
    fn begin_answer(&mut self, end: bool) -> Action {
        let Some(shared) = &self.exchange else {
            return Action::Continue;
        };
        let exchange = shared.borrow();
        if let Some(flags) = exchange.flags() {
            host::set_header(Headers::Response, GUARD_HEADER, &flags);
        }
        let (Some(facts), Some(200..=299), false) = (exchange.facts(), exchange.answered(), end) else {
            return Action::Continue;
        };
        if !facts.endpoint.answers_in_words() {
            return Action::Continue;
        }
        let subject = subject(Phase::Response, &exchange);
        let checked = self.config.applies(&subject);
        if !checked && self.vault.is_empty() {
            return Action::Continue;
        }
        if exchange.is_encoded() {
            // its bytes say nothing; it was asked not to come so
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
        match facts.stream && !json {
            true => {
                let answer = StreamedAnswer::new(&self.config, shared, facts, checked, &self.vault, self.context);
                self.state = State::Streamed(answer);
                Action::Continue
            }
            false => {
                let passes = self.vault.is_empty() && !self.config.denies(&subject);
                self.state = State::Whole(WholeAnswer::new(facts.endpoint, checked, passes, self.context));
                Action::Pause
            }
        }
    }

    /// A stream that says it is JSON may show by its first bytes that it is one of events.
    fn tell_by_bytes(&mut self) {
        let (State::Whole(answer), Some(shared)) = (&self.state, &self.exchange) else {
            return;
        };
        let exchange = shared.borrow();
        let Some(facts) = exchange.facts().filter(|facts| facts.stream && !answer.has_begun()) else {
            return;
        };
        let beginning = host::bytes(Buffer::ResponseBody, BEGINNING).unwrap_or_default();
        let framing = Framing::of_answer(facts.endpoint.dialect(), true, &beginning);
        if framing == Framing::Json || beginning.trim_ascii().is_empty() {
            return;
        }
        let checked = self.config.applies(&subject(Phase::Response, &exchange));
        let answer = StreamedAnswer::new(&self.config, shared, facts, checked, &self.vault, self.context);
        drop(exchange);
        self.state = State::Streamed(answer);
    }

    /// Lets the checked answer go on. `held`: Envoy waits for it.
    fn end_whole(&mut self, held: bool) -> Action {
        let (State::Whole(answer), Some(shared)) = (std::mem::replace(&mut self.state, State::Passed), &self.exchange)
        else {
            return Action::Continue;
        };
        let mut exchange = shared.borrow_mut();
        let concluded = answer.conclude(&self.vault, &mut exchange);
        let flags = exchange.flags();
        drop(exchange);
        match concluded {
            Ok(body) => {
                if let Some(flags) = flags {
                    // the headers are held with the body
                    host::set_header(Headers::Response, GUARD_HEADER, &flags);
                }
                if !host::replace_bytes(Buffer::ResponseBody, &body) {
                    log::error!("sluice: guard: Envoy refused the checked answer");
                }
                if held && !nested::is_ending(self.context) {
                    host::continue_response();
                }
                Action::Continue
            }
            Err(error) => self.refuse(&error),
        }
    }
}

impl Listener for Guard {
    fn config(&self) -> &Config {
        &self.config
    }

    fn hear(&mut self, matter: Matter, question: usize, heard: Heard, me: &Waiter) {
        match (matter, &mut self.state) {
            (Matter::Request, State::Asking(request)) => {
                request.hear(&self.config, question, heard);
            }
            (Matter::Answer, State::Whole(answer)) => {
                answer.hear(&self.config, question, heard);
                if answer.is_complete() && host::act_on(self.context) {
                    self.end_whole(true);
                }
            }
            (Matter::Window(id), State::Streamed(answer)) => {
                answer.hear(&self.config, id, question, heard, me);
                if host::act_on(self.context) {
                    answer.flow();
                }
            }
            _ => {} // too late
        }
    }

    fn round(&self, matter: Matter) -> Option<&Round> {
        let round = match (matter, &self.state) {
            (Matter::Request, State::Asking(request)) => Some(request.round()),
            (Matter::Answer, State::Whole(answer)) => answer.round(),
            (Matter::Window(id), State::Streamed(answer)) => answer.round(id),
            _ => None,
        };
        round.filter(|round| !round.is_complete())
    }

    fn is_decided(&self) -> bool {
        matches!(&self.state, State::Asking(request) if request.is_complete())
    }

    fn wait(&mut self, now: Duration, me: &Waiter) -> bool {
        let State::Streamed(answer) = &mut self.state else {
            return false;
        };
        if !host::act_on(self.context) {
            return false;
        }
        let waits = answer.wait(now, &self.config, me);
        answer.flow();
        waits
    }
}

/// Whether an answer comes as one text, even if a stream was asked for.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}
