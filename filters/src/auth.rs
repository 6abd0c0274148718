//! `auth`: identifies the caller, and checks its permissions and limits.

use std::cell::RefCell;
use std::rc::Rc;

use sluice::config::{self, ConfigError};
use sluice::error::ApiError;
use sluice::keys::{self, bearer, Identity, KeyError, Oidc};
use sluice::password::{credentials, LoginOutcome, LoginVerdict, PasswordVerifier, REMEMBERED_FOR};

use crate::admin;
use crate::admission::{admit_caller, without_caller};
use crate::chain;
use crate::commands::{self, By};
use crate::filter::{self, Filter};
use crate::host::{self, text};
use crate::incoming::Incoming;
use crate::limits;
use crate::misplaced;
use crate::password_checks;
use crate::paths::ChainPaths;
use crate::refused_body::RefusedBody;
use crate::registry;
use crate::reply;
use crate::shared_limits::{self, Asked};
use crate::types::{Action, HttpContext};

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    filter::filter(read, |config, context| {
        Some(Box::new(Auth { config: config.clone(), context, state: AuthState::Headers }))
    })
}

/// The callers.
struct Config {
    auth: keys::Auth,
    paths: ChainPaths,
    verifier: Option<Rc<RefCell<PasswordVerifier>>>,
}

fn read(bytes: &[u8]) -> Result<Config, ConfigError> {
    let auth = config::auth(bytes, &|name| std::env::var(name).ok())?;
    let users: Vec<_> = auth.users.iter().map(|user| (user.identity.id.clone(), user.hash.clone())).collect();
    let verifier = match (users.is_empty(), host::random_bytes()) {
        (false, Some(key)) => PasswordVerifier::new(users, &key, REMEMBERED_FOR).ok().map(password_checks::open),
        (true, _) | (_, None) => None,
    };
    Ok(Config { auth, paths: ChainPaths::of_chain(), verifier })
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
    /// The service that counts for all Envoys is being asked.
    Asking(Incoming),
    /// The request has gone on; the exchange ends with it.
    Passed(Incoming),
    /// The request is refused; its body is read before the client is answered.
    RefusedBody(RefusedBody),
    /// The request has been answered here; its exchange, if it got that far, says whose it was.
    Refused(Option<Incoming>),
}

/// What is known about a caller.
enum Caller {
    /// The caller is known.
    Known(Rc<Identity>),
    /// It has sent a user name, and the password is being checked.
    Checking,
}

impl Auth {
    fn take_in(&mut self, size: usize) -> Action {
        let AuthState::Body(mut incoming) = std::mem::replace(&mut self.state, AuthState::Refused(None)) else {
            return Action::Pause;
        };
        let admitted =
            incoming.body(size).and_then(|exchange| admit_caller(&self.config.auth, &mut exchange.borrow_mut()));
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
        let answer = commands::serve(&mut incoming.exchange().borrow_mut(), By::Auth(&self.config.auth));
        match answer {
            Some(Ok(body)) => {
                self.state = AuthState::Refused(Some(incoming));
                body.reply()
            }
            Some(Err(error)) => self.refuse(incoming, &error),
            None => {
                self.state = AuthState::Passed(incoming);
                Action::Continue
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
                Some(user) if self.is_revoked(&user.identity) => self.refuse(incoming, &admin::revoked()),
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
            AuthState::Body(incoming) | AuthState::Asking(incoming) | AuthState::Passed(incoming) => {
                self.refuse(incoming, error)
            }
            AuthState::Headers | AuthState::RefusedBody(_) | AuthState::Refused(_) => Action::Pause,
        }
    }

    fn is_revoked(&self, identity: &Identity) -> bool {
        self.config.auth.is_revoked(identity, host::recent()) || admin::is_revoked(identity)
    }

    /// Identifies the client, by the header of its SDK.
    fn identify(&self, presented: &[(&str, &str)]) -> Result<Caller, ApiError> {
        let mut refusal = match presented {
            [] => ApiError::unauthorized(
                "No API key provided: send it as `Authorization: Bearer`, `x-api-key`, `api-key` or `x-goog-api-key`.",
            ),
            _ => ApiError::unauthorized(KeyError::Unknown.to_string()),
        };
        for (name, value) in presented {
            let key = match *name {
                "authorization" => bearer(value),
                _ => Some(*value),
            };
            let found = match key {
                Some(key) => self.config.auth.identify(key, host::recent()),
                None => Err(KeyError::Unknown),
            };
            match found {
                Ok(identity) if self.is_revoked(&identity) => refusal = admin::revoked(),
                Ok(identity) => return Ok(Caller::Known(identity)),
                Err(KeyError::Expired) => refusal = ApiError::expired(KeyError::Expired.to_string()),
                Err(KeyError::Unknown) if *name == "authorization" && key.is_none() => {
                    if let Some(caller) = self.log_in(value)? {
                        return Ok(caller);
                    }
                }
                Err(KeyError::Unknown) => {}
            }
        }
        match self.provided()? {
            Some(identity) if self.is_revoked(&identity) => Err(admin::revoked()),
            Some(identity) => Ok(Caller::Known(Rc::new(identity))),
            None => Err(refusal),
        }
    }

    /// Asks for a user, where the client presents a name and a password.
    fn log_in(&self, header: &str) -> Result<Option<Caller>, ApiError> {
        let (Some(verifier), Some((name, password))) = (&self.config.verifier, credentials(header)) else {
            return Ok(None);
        };
        let address = || host::property("source\0address").map(|address| text(&address).to_owned()).unwrap_or_default();
        let log_in = verifier.borrow_mut().log_in(self.context, &name, &password, address, host::now());
        match log_in {
            LoginOutcome::Open(index) => {
                let user = self.config.auth.users.get(index).map(|user| user.identity.clone());
                match user {
                    Some(identity) if self.is_revoked(&identity) => Err(admin::revoked()),
                    user => Ok(user.map(Caller::Known)),
                }
            }
            LoginOutcome::Checking => Ok(Some(Caller::Checking)),
            LoginOutcome::Wait(time) => Err(ApiError::too_many_failures(time)),
            LoginOutcome::Busy => Err(ApiError::busy()),
        }
    }

    /// Identifies a caller with an identity provider's token, if Envoy has verified one.
    fn provided(&self) -> Result<Option<Identity>, ApiError> {
        let Some(oidc) = &self.config.auth.oidc else {
            return Ok(None);
        };
        match oidc.verified_claims(&|path| host::jwt_metadata(&oidc.metadata, path)) {
            Some(claims) => match oidc.identity(&claims, &self.config.auth.roles) {
                Ok(identity) => Ok(Some(identity)),
                Err(problem) => Err(ApiError::not_permitted(problem.to_string())),
            },
            None if oidc.failure_metadata.as_deref().is_some_and(has_expired) => {
                Err(ApiError::expired("The token has expired."))
            }
            None => Ok(None),
        }
    }
}

/// Whether Envoy refused a token because it has expired.
fn has_expired(failure: &str) -> bool {
    Oidc::is_expired(&host::jwt_metadata(failure, &["message"]))
}

impl HttpContext for Auth {
    fn on_http_request_headers(&mut self, end: bool) -> Action {
        if let Some(exchange) = registry::taken_in() {
            self.state = AuthState::Refused(None);
            return misplaced::refuse(&exchange);
        }
        let mut checking = false;
        let find = |path: &str| self.config.paths.find(path);
        let most = || self.config.paths.max_upload();
        let opened =
            Incoming::open(&self.config.auth.prefix, find, most, |presented| match self.identify(presented)? {
                Caller::Known(identity) => Ok(Some(identity)),
                Caller::Checking => {
                    checking = true;
                    Ok(None)
                }
            });
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
            AuthState::Headers | AuthState::Asking(_) | AuthState::Refused(_) => return Action::Pause,
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
            AuthState::Headers | AuthState::Asking(_) | AuthState::Refused(_) => Action::Pause,
        }
    }

    /// The password has been checked, or the service that counts for all Envoys has answered.
    fn on_resume(&mut self) -> Action {
        match std::mem::replace(&mut self.state, AuthState::Refused(None)) {
            AuthState::Checking { incoming, complete } => self.woken(incoming, complete),
            AuthState::Asking(incoming) => self.heard(incoming),
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
            | AuthState::Asking(_)
            | AuthState::RefusedBody(_)
            | AuthState::Refused(None) => {}
        }
        Action::Continue
    }

    fn on_done(&mut self) {
        if let (AuthState::Checking { .. }, Some(verifier)) = (&self.state, &self.config.verifier) {
            verifier.borrow_mut().cancel(self.context);
        }
        if let AuthState::Asking(_) = self.state {
            shared_limits::forget(self.context);
        }
    }
}
