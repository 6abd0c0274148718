//! `guard`: checks requests and answers, by patterns of its own and by classifiers that Envoy's clusters reach.

mod answer;
mod calls;
mod handle;
mod request;
mod searches;
mod stream;

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use sluice::config::{self, ConfigError};
use sluice::contract::{ANONYMOUS, GUARD_HEADER};
use sluice::error::{ApiError, Shape};
use sluice::guard::api::Failure;
use sluice::guard::checks::{Guard as Checks, Known, Means, Phase, Round, Subject};
use sluice::guard::pii::{Patterns, Vault};

use crate::chain;
use crate::filter::{self, Filter};
use crate::host::{self, Headers};
use crate::intake::Intake;
use crate::metrics;
use crate::nested;
use crate::registry::Shared;
use crate::reply;
use crate::types::Action;
use answer::WholeAnswer;
pub use calls::answered;
use handle::Handle;
use request::Request;
use stream::StreamedAnswer;

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    filter::filter(read, |config: &Rc<Config>, context| {
        if config.checks.checks.is_empty() {
            return None;
        }
        let stream = Guard {
            config: config.clone(),
            context,
            opened: None,
            exchange: None,
            vault: Vault::default(),
            state: State::Headers,
        };
        Some(Box::new(Handle(Rc::new(RefCell::new(stream)))))
    })
}

/// Does what has waited for its time. For each tick.
pub fn tick() {
    searches::work();
    stream::tick();
}

/// How soon there is more to do than at the usual time; `None` if there is nothing.
pub fn next() -> Option<Duration> {
    searches::next()
}

/// What is checked, and what is known from earlier checks.
struct Config {
    checks: Rc<Checks>,
    known: RefCell<Known>,
    /// By check, for those that are made here.
    patterns: Vec<Option<Patterns>>,
}

fn read(bytes: &[u8]) -> Result<Config, ConfigError> {
    let checks = config::guard(bytes, &|name| std::env::var(name).ok())?;
    let patterns = checks.checks.iter().map(|check| match &check.means {
        Means::Patterns(local) => local.compile().ok(), // the configuration has compiled them before
        Means::Service(..) => None,
    });
    let patterns = patterns.collect();
    Ok(Config { known: RefCell::new(Known::new(checks.memory)), checks: Rc::new(checks), patterns })
}

impl Config {
    fn applies(&self, subject: &Subject<'_>) -> bool {
        self.checks.checks.iter().any(|check| check.applies(subject))
    }

    /// Whether one of the checks lets nothing pass that it has not seen.
    fn denies(&self, subject: &Subject<'_>) -> bool {
        self.checks.checks.iter().any(|check| check.applies(subject) && check.denies())
    }

    /// Counts that none of the checks could be made. Whether one of them lets nothing pass then.
    fn fail(&self, subject: &Subject<'_>, failure: Failure) -> bool {
        for check in self.checks.checks.iter().filter(|check| check.applies(subject)) {
            metrics::count_check(&check.name, subject.phase, failure.label(), Duration::ZERO);
        }
        self.denies(subject)
    }
}

/// The guard's part in one stream.
struct Guard {
    config: Rc<Config>,
    context: u32,
    /// Ends the exchange with this filter, if it has taken the request in.
    opened: Option<Intake>,
    exchange: Option<Shared>,
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
    Body(Intake),
    /// A filter before has read the body. It can be rewritten only where Envoy hands it on, which comes next.
    Read(Shared),
    /// The request is being checked.
    Asking(Request),
    /// It has gone on.
    Passed,
    /// It has been answered here.
    Refused,
    /// An answer is being collected or checked.
    Whole(WholeAnswer),
    /// An answer is passing in pieces.
    Streamed(StreamedAnswer),
    /// An answer is too large to be checked, and passes all the same: what was held goes with its next piece.
    Unchecked(Vec<u8>),
}

/// What a callout is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Matter {
    /// The request.
    Request,
    /// The whole answer.
    Answer,
    /// A window of a stream.
    Window(u64),
}

impl Guard {
    /// Checks a request whose body has been read. `me` is where answers find it.
    fn check(&mut self, exchange: Shared, me: &Weak<RefCell<Guard>>) -> Action {
        let asked = {
            let exchange = exchange.borrow();
            match &exchange.facts {
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
                exchange.borrow_mut().replaced = Some(error.status);
                Shape::for_path(&exchange.borrow().original.path)
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
        let (Some(facts), Some(200..=299), false) = (&exchange.facts, exchange.answered, end) else {
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
        if exchange.encoded {
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

    /// Something that was asked has been answered, or failed.
    fn hear(&mut self, matter: Matter, question: usize, heard: calls::Heard, me: &Weak<RefCell<Guard>>) {
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

    /// What is being found out about something; `None` once that is known.
    fn round(&self, matter: Matter) -> Option<&Round> {
        let round = match (matter, &self.state) {
            (Matter::Request, State::Asking(request)) => Some(request.round()),
            (Matter::Answer, State::Whole(answer)) => answer.round(),
            (Matter::Window(id), State::Streamed(answer)) => answer.round(id),
            _ => None,
        };
        round.filter(|round| !round.is_complete())
    }

    /// Whether the request waits for nothing but this filter.
    fn is_decided(&self) -> bool {
        matches!(&self.state, State::Asking(request) if request.is_complete())
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
                if !host::replace_bytes(host::Buffer::ResponseBody, &body) {
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

/// Whether an answer comes as one text, even if a stream was asked for.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

/// Who and what is checked.
fn subject(phase: Phase, exchange: &sluice::exchange::Exchange) -> Subject<'_> {
    let key = exchange.identity.as_ref().map_or(ANONYMOUS, |identity| identity.id.as_str());
    Subject { phase, model: exchange.model_name(), key }
}
