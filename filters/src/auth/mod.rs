//! `auth`: identifies the caller, and checks its permissions and limits.

mod identify;

use std::cell::RefCell;
use std::rc::Rc;

use sluice::config::{self, ConfigError};
use sluice::error::ApiError;
use sluice::keys;
use sluice::password::{LoginVerdict, PasswordVerifier, REMEMBERED_FOR};

use crate::admission::{admit_caller, without_caller};
use crate::chain;
use crate::chain_router::ChainRouter;
use crate::commands::{self, By};
use crate::filter::{self, Filter};
use crate::fleet;
use crate::host;
use crate::incoming::Incoming;
use crate::limits;
use crate::misplaced;
use crate::password_checks;
use crate::refused_body::RefusedBody;
use crate::registry;
use crate::reply::{self, CommandReply};
use crate::revoked;
use crate::shared_limits::{self, Asked};
use crate::types::{Action, HttpContext};

use identify::{is_revoked, Callers, Identification};

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    filter::filter(read, |config, context| {
        Some(Box::new(Auth { config: config.clone(), context, state: AuthState::Headers }))
    })
}

/// The callers.
struct Config {
    auth: keys::Auth,
    router: ChainRouter,
    verifier: Option<Rc<RefCell<PasswordVerifier>>>,
}

fn read(bytes: &[u8]) -> Result<Config, ConfigError> {
    let auth = config::auth(bytes, &|name| std::env::var(name).ok())?;
    auth.ledger.iter().for_each(fleet::open);
    let users: Vec<_> = auth.users.iter().map(|user| (user.identity.id.clone(), user.hash.clone())).collect();
    let verifier = match (users.is_empty(), host::random_bytes()) {
        (false, Some(key)) => PasswordVerifier::new(users, &key, REMEMBERED_FOR).ok().map(password_checks::open),
        (true, _) | (_, None) => None,
    };
    Ok(Config { auth, router: ChainRouter::of_chain(), verifier })
}

struct Auth {
    config: Rc<Config>,
    context: u32,
    state: AuthState,
}

enum AuthState {
    /// The headers are still to come.
    Headers,
    /// The caller's password is being checked; `complete`: all of the request is there.
    Checking { incoming: Incoming, complete: bool },
    /// The caller is known, the body awaited.
    Body(Incoming),
    /// This Envoy has just started, and waits for what the ledger knows.
    Starting(Incoming),
    /// The service that counts for all Envoys is being asked.
    Asking(Incoming),
    /// The ledger is told what the command has changed; the answer to the command.
    Spreading(Incoming, CommandReply),
    /// The request has gone on; the exchange ends with it.
    Passed(Incoming),
    /// The request is refused; its body is read before the client is answered.
    RefusedBody(RefusedBody),
    /// The request has been answered here; its exchange, if it got that far, says whose it was.
    Refused(Option<Incoming>),
}

impl Auth {
    fn take_in(&mut self, size: usize) -> Action {
        let AuthState::Body(mut incoming) = std::mem::replace(&mut self.state, AuthState::Refused(None)) else {
            return Action::Pause;
        };
        let must_wait = || self.config.auth.ledger.is_some() && !fleet::is_ready();
        let router = &self.config.router;
        let read = incoming.body(size, router.table(), || router.default_model_elsewhere());
        match read.map(|exchange| must_wait() && exchange.borrow().identity().is_some()) {
            Ok(true) => {
                fleet::wait(self.context);
                self.state = AuthState::Starting(incoming);
                Action::Pause
            }
            Ok(_) => self.admit(incoming),
            Err(error) => self.refuse(incoming, &error),
        }
    }

    /// Goes on with a request that has waited for what the ledger knows.
    fn started(&mut self, incoming: Incoming) -> Action {
        let caller = incoming.exchange().borrow().identity().cloned();
        match caller {
            Some(caller) if is_revoked(&self.config.auth, &caller) => self.refuse(incoming, &revoked::error()),
            _ => self.admit(incoming),
        }
    }

    fn admit(&mut self, incoming: Incoming) -> Action {
        let admitted = admit_caller(&self.config.auth, &mut incoming.exchange().borrow_mut());
        match admitted {
            Ok(()) if self.config.auth.shared.is_some() => self.ask(incoming),
            Ok(()) => self.pass(incoming),
            Err(error) => self.refuse(incoming, &error),
        }
    }

    /// Asks whether the other Envoys have left enough, if the request has limits.
    fn ask(&mut self, incoming: Incoming) -> Action {
        let asked = shared_limits::ask(&mut incoming.exchange().borrow_mut(), self.context);
        if let Asked::Waits = asked {
            chain::wait_for_wake();
        }
        self.go_by(asked, incoming)
    }

    fn heard(&mut self, incoming: Incoming) -> Action {
        let heard = shared_limits::heard(&mut incoming.exchange().borrow_mut(), self.context);
        self.go_by(heard, incoming)
    }

    fn go_by(&mut self, asked: Asked, incoming: Incoming) -> Action {
        match asked {
            Asked::Waits => {
                self.state = AuthState::Asking(incoming);
                Action::Pause
            }
            Asked::Passes => self.pass(incoming),
            Asked::Refused(error) => {
                limits::withdraw(&mut incoming.exchange().borrow_mut(), host::now());
                self.refuse(incoming, &error)
            }
        }
    }

    fn pass(&mut self, incoming: Incoming) -> Action {
        let answer = commands::serve(&mut incoming.exchange().borrow_mut(), By::Auth(&self.config.auth), self.context);
        match answer {
            Some(Ok(reply)) => self.answer(incoming, reply),
            Some(Err(error)) => self.refuse(incoming, &error),
            None => {
                self.state = AuthState::Passed(incoming);
                Action::Continue
            }
        }
    }

    /// Answers a command. If it has changed what other Envoys must learn, the ledger is told first.
    fn answer(&mut self, incoming: Incoming, mut reply: CommandReply) -> Action {
        if let (Some(change), Some(ledger)) = (reply.take_change(), &self.config.auth.ledger) {
            if fleet::spread(ledger, self.context, change) {
                self.state = AuthState::Spreading(incoming, reply);
                return Action::Pause;
            }
            reply = reply.spread(false);
        }
        self.state = AuthState::Refused(Some(incoming));
        reply.reply()
    }

    /// Answers a command after the ledger has been told.
    fn told(&mut self, incoming: Incoming, reply: CommandReply) -> Action {
        match fleet::spread_result(self.context) {
            Some(spread) => {
                self.state = AuthState::Refused(Some(incoming));
                reply.spread(spread).reply()
            }
            None => {
                self.state = AuthState::Spreading(incoming, reply);
                Action::Pause
            }
        }
    }

    fn refuse(&mut self, incoming: Incoming, error: &ApiError) -> Action {
        let shape = incoming.shape();
        self.state = AuthState::Refused(Some(incoming));
        reply::error(error, shape)
    }

    /// Goes on with a request whose caller has waited for this.
    fn woken(&mut self, incoming: Incoming, complete: bool) -> Action {
        match password_checks::verdict(self.context) {
            None => {
                self.state = AuthState::Checking { incoming, complete };
                Action::Pause
            }
            Some(LoginVerdict::Right(index)) => match self.config.auth.users.get(index) {
                Some(user) if is_revoked(&self.config.auth, &user.identity) => self.refuse(incoming, &revoked::error()),
                Some(user) => {
                    incoming.identified(user.identity.clone());
                    let size = if incoming.is_passed() { 0 } else { usize::MAX };
                    self.state = AuthState::Body(incoming);
                    match complete {
                        true => self.take_in(size),
                        false => Action::Pause,
                    }
                }
                None => self.refuse(incoming, &without_caller()),
            },
            Some(LoginVerdict::Wrong) => self.refuse(incoming, &ApiError::wrong_password()),
            Some(LoginVerdict::Crowded) => self.refuse(incoming, &ApiError::busy()),
        }
    }

    /// Refuses a request whose body is still arriving.
    fn give_up(&mut self, error: &ApiError) -> Action {
        match std::mem::replace(&mut self.state, AuthState::Refused(None)) {
            AuthState::Checking { incoming, .. } => {
                self.config.verifier.iter().for_each(|verifier| verifier.borrow_mut().cancel(self.context));
                self.refuse(incoming, error)
            }
            AuthState::Body(incoming)
            | AuthState::Starting(incoming)
            | AuthState::Asking(incoming)
            | AuthState::Spreading(incoming, _)
            | AuthState::Passed(incoming) => self.refuse(incoming, error),
            AuthState::Headers | AuthState::RefusedBody(_) | AuthState::Refused(_) => Action::Pause,
        }
    }
}

impl HttpContext for Auth {
    fn on_http_request_headers(&mut self, end: bool) -> Action {
        if let Some(exchange) = registry::taken_in() {
            self.state = AuthState::Refused(None);
            return misplaced::refuse(&exchange);
        }
        let (auth, verifier) = (&self.config.auth, self.config.verifier.as_deref());
        let callers = Callers { auth, verifier, context: self.context };
        let mut checking = false;
        let find = |path: &str| self.config.router.find(path);
        let most = || self.config.router.max_upload();
        let library = self.config.router.library();
        let identify = |presented: &[(&str, &str)]| match callers.identify(presented)? {
            Identification::Known(identity) => Ok(Some(identity)),
            Identification::Checking => {
                checking = true;
                Ok(None)
            }
        };
        let opened = Incoming::open(&self.config.auth.prefix, find, most, library, identify);
        let opened = opened.map(|incoming| incoming.with_tools(&self.config.auth.tools));
        match (opened, checking) {
            (Ok(incoming), true) => {
                let complete = incoming.is_complete(end);
                self.state = AuthState::Checking { incoming, complete };
                chain::wait_for_wake();
                Action::Pause
            }
            (Ok(incoming), false) => {
                let complete = incoming.is_complete(end);
                self.state = AuthState::Body(incoming);
                match complete {
                    true => self.take_in(0),
                    false => Action::Pause,
                }
            }
            (Err(refusal), _) => {
                if let (true, Some(verifier)) = (checking, &self.config.verifier) {
                    verifier.borrow_mut().cancel(self.context);
                }
                self.state = RefusedBody::refuse(refusal, end).map_or(AuthState::Refused(None), AuthState::RefusedBody);
                Action::Pause
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let grown = match &mut self.state {
            AuthState::Passed(_) => return Action::Continue,
            AuthState::Body(incoming) | AuthState::Checking { incoming, .. } => incoming.grow(size),
            AuthState::RefusedBody(body) => {
                if body.drop_part(size, end) {
                    self.state = AuthState::Refused(None);
                }
                return Action::Pause;
            }
            AuthState::Headers
            | AuthState::Starting(_)
            | AuthState::Asking(_)
            | AuthState::Spreading(..)
            | AuthState::Refused(_) => return Action::Pause,
        };
        match (&mut self.state, grown) {
            (AuthState::Body(_), Ok(())) if end => self.take_in(size),
            (AuthState::Checking { complete, .. }, Ok(())) => {
                *complete |= end;
                Action::Pause
            }
            (_, Ok(())) => Action::Pause,
            (_, Err(error)) => self.give_up(&error),
        }
    }

    fn on_http_request_trailers(&mut self) -> Action {
        match &mut self.state {
            AuthState::Checking { complete, .. } => {
                *complete = true;
                Action::Pause
            }
            AuthState::Body(_) => self.take_in(usize::MAX),
            AuthState::Passed(_) => Action::Continue,
            AuthState::RefusedBody(body) => {
                let action = body.reply();
                self.state = AuthState::Refused(None);
                action
            }
            AuthState::Headers
            | AuthState::Starting(_)
            | AuthState::Asking(_)
            | AuthState::Spreading(..)
            | AuthState::Refused(_) => Action::Pause,
        }
    }

    /// The password has been checked, or another service has answered.
    fn on_resume(&mut self) -> Action {
        match std::mem::replace(&mut self.state, AuthState::Refused(None)) {
            AuthState::Checking { incoming, complete } => self.woken(incoming, complete),
            AuthState::Starting(incoming) if fleet::is_ready() => self.started(incoming),
            AuthState::Asking(incoming) => self.heard(incoming),
            AuthState::Spreading(incoming, reply) => self.told(incoming, reply),
            other => {
                self.state = other;
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _: bool) -> Action {
        match &mut self.state {
            AuthState::Passed(incoming) | AuthState::Refused(Some(incoming)) => {
                incoming.let_go();
                limits::write_headers(&incoming.exchange().borrow());
            }
            AuthState::Headers
            | AuthState::Checking { .. }
            | AuthState::Body(_)
            | AuthState::Starting(_)
            | AuthState::Asking(_)
            | AuthState::Spreading(..)
            | AuthState::RefusedBody(_)
            | AuthState::Refused(None) => {}
        }
        Action::Continue
    }

    fn on_done(&mut self) {
        if let (AuthState::Checking { .. }, Some(verifier)) = (&self.state, &self.config.verifier) {
            verifier.borrow_mut().cancel(self.context);
        }
        match self.state {
            AuthState::Asking(_) => shared_limits::forget(self.context),
            AuthState::Starting(_) | AuthState::Spreading(..) => fleet::forget(self.context),
            _ => {}
        }
    }
}
