//! `router`: picks the first target and passes its cluster to Envoy; also answers operators' commands about clusters.

use std::rc::Rc;

use sluice::config;
use sluice::endpoint::Endpoint;
use sluice::error::{ApiError, Shape};
use sluice::exchange::{Exchange, Routed};
use sluice::gateway::{self, DEFAULT_PREFIX};
use sluice::routing::Table;
use sluice::wire_names::TOKEN_COUNT_HEADER;

use crate::admission::admit_model;
use crate::answer_headers;
use crate::cache::{self, Keeping, Looked, Pending};
use crate::chain_router;
use crate::clusters::{self, AllClusters};
use crate::commands::{self, By};
use crate::filter::{self, Filter};
use crate::hand_over::hand_over;
use crate::incoming::Incoming;
use crate::kinds::{self, Chosen};
use crate::refused_body::RefusedBody;
use crate::registry::{self, SharedExchange};
use crate::reply::{self, CommandReply};
use crate::settings;
use crate::types::{Action, HttpContext};
use crate::waiting::{self, QueueGuard};

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    let read = |bytes: &[u8]| {
        let table = Rc::new(config::router(bytes, &|name| std::env::var(name).ok())?);
        clusters::introduce(table.upstreams());
        chain_router::publish(&table);
        Ok(table)
    };
    filter::filter(read, |table: &Rc<Rc<Table>>, context| {
        let table = Rc::as_ref(table);
        Some(Box::new(Router { table: table.clone(), context, state: RouterState::Headers, keeping: None }))
    })
}

struct Router {
    table: Rc<Table>,
    context: u32,
    state: RouterState,
    /// Keeps the answer for the same request, if the model has a cache.
    keeping: Option<Box<Keeping>>,
}

enum RouterState {
    /// The headers are still to come.
    Headers,
    /// No filter has read the body before; it is awaited.
    Body(Incoming),
    /// An earlier filter has read the body. It is needed here as well, and Envoy delivers it next.
    Read(SharedExchange),
    /// The request is refused; its body is read before the client is answered.
    RefusedBody(RefusedBody),
    /// The kind of its prompt is being found out.
    Choosing { exchange: SharedExchange, pending: Box<kinds::Pending>, opened: Option<Incoming> },
    /// The cache is being asked, or the same request of another client is under way. The incoming request, if the exchange
    /// ends with this filter.
    Looking { exchange: SharedExchange, pending: Box<Pending>, opened: Option<Incoming> },
    /// Every target is at its limit. The guard ends the wait; the incoming request, if the exchange ends with this filter.
    Waiting { exchange: SharedExchange, _queued: QueueGuard, _opened: Option<Incoming> },
    /// The request has a target.
    Routed { exchange: SharedExchange, _opened: Option<Incoming> },
    /// The request has been answered here.
    Answered { _opened: Option<Incoming> },
}

impl Router {
    /// Reads a request as its model wants it, and chooses another one if that is virtual.
    fn admit(&mut self, exchange: SharedExchange, incoming: Option<Incoming>) -> Action {
        let read = match self.table.prepares_requests() {
            true => settings::read_late(&exchange, &self.table),
            false => Ok(()),
        };
        match read {
            Err(error) => self.refuse(&error, &exchange, incoming),
            Ok(()) if self.table.has_kinds => {
                let chosen = kinds::choose(&exchange, &self.table, self.context);
                self.go_by_choice(chosen, exchange, incoming)
            }
            Ok(()) => self.admit_model(exchange, incoming),
        }
    }

    #[cold]
    fn go_by_choice(&mut self, chosen: Chosen, exchange: SharedExchange, incoming: Option<Incoming>) -> Action {
        match chosen {
            Chosen::Ready(Ok(())) => self.admit_model(exchange, incoming),
            Chosen::Ready(Err(error)) => self.refuse(&error, &exchange, incoming),
            Chosen::Waits(pending) => {
                self.state = RouterState::Choosing { exchange, pending, opened: incoming };
                Action::Pause
            }
        }
    }

    /// Admits a request, and looks whether the cache has its answer.
    fn admit_model(&mut self, exchange: SharedExchange, incoming: Option<Incoming>) -> Action {
        let admitted = admit_model(&self.table, &mut exchange.borrow_mut());
        match admitted {
            Err(error) => self.refuse(&error, &exchange, incoming),
            Ok(()) if self.table.has_caches => {
                let looked = cache::look(&exchange, &self.table, self.context);
                self.go_by(looked, exchange, incoming)
            }
            Ok(()) => self.route(exchange, incoming),
        }
    }

    #[cold]
    fn go_by(&mut self, looked: Looked, exchange: SharedExchange, incoming: Option<Incoming>) -> Action {
        match looked {
            Looked::Off => self.route(exchange, incoming),
            Looked::Miss(keeping) => {
                self.keeping = keeping;
                self.route(exchange, incoming)
            }
            Looked::Waits(pending) => {
                self.state = RouterState::Looking { exchange, pending, opened: incoming };
                Action::Pause
            }
            Looked::Hit(answer) => {
                let kind = exchange.borrow().kind().map(|kind| kind.kind.clone());
                self.state = RouterState::Answered { _opened: incoming };
                answer.reply(kind.as_deref())
            }
        }
    }

    fn route(&mut self, exchange: SharedExchange, incoming: Option<Incoming>) -> Action {
        let routed = self.pick(&exchange);
        match routed {
            Ok(Routed::Ready) => {
                self.state = RouterState::Routed { exchange, _opened: incoming };
                Action::Continue
            }
            Ok(Routed::Queue(patience)) => {
                match waiting::queue(self.context, exchange.clone(), self.table.clone(), patience) {
                    Some(queued) => {
                        self.state = RouterState::Waiting { exchange, _queued: queued, _opened: incoming };
                        Action::Pause
                    }
                    None => {
                        let busy = ApiError::no_free_slot(exchange.borrow().model_name());
                        self.refuse(&busy, &exchange, incoming)
                    }
                }
            }
            Ok(Routed::Estimated(tokens)) => {
                self.state = RouterState::Answered { _opened: incoming };
                let endpoint = exchange.borrow().parsed().map_or(Endpoint::Messages, |parsed| parsed.endpoint);
                let answer = CommandReply::json(gateway::token_count(endpoint, tokens));
                answer.with(&[(TOKEN_COUNT_HEADER, "estimate")]).reply()
            }
            Err(error) => self.refuse(&error, &exchange, incoming),
        }
    }

    fn refuse(&mut self, error: &ApiError, exchange: &SharedExchange, incoming: Option<Incoming>) -> Action {
        self.state = RouterState::Answered { _opened: incoming };
        reply::error(error, exchange.borrow().shape())
    }

    fn pick(&self, shared: &SharedExchange) -> Result<Routed, ApiError> {
        let mut exchange = shared.borrow_mut();
        let routed = exchange.route(&self.table, &AllClusters)?;
        if routed == Routed::Ready {
            if !hand_over(&exchange) {
                return Err(ApiError::internal("The gateway could not hand the request on."));
            }
            waiting::limit(self.context, shared, &exchange);
        }
        Ok(routed)
    }

    /// Answers what is asked of the gateway itself.
    fn serve(&mut self, exchange: &SharedExchange, incoming: Option<Incoming>) -> Action {
        self.state = RouterState::Answered { _opened: incoming };
        let answer = commands::serve(&mut exchange.borrow_mut(), By::Router(&self.table), self.context);
        match answer.unwrap_or_else(|| Err(ApiError::admin_only())) {
            Ok(answer) => answer.reply(),
            Err(error) => reply::error(&error, Shape::OpenAi),
        }
    }

    /// Goes on with a request whose body has been read.
    fn go_on(&mut self, exchange: SharedExchange, incoming: Option<Incoming>) -> Action {
        let command = exchange.borrow().command().is_some();
        match command {
            true => self.serve(&exchange, incoming),
            false => self.admit(exchange, incoming),
        }
    }

    /// Goes on with a request that an earlier filter has read, now that its body is available.
    #[cold]
    fn go_on_read(&mut self) -> Action {
        match std::mem::replace(&mut self.state, RouterState::Answered { _opened: None }) {
            RouterState::Read(exchange) => self.go_on(exchange, None),
            _ => Action::Pause,
        }
    }

    fn take_in(&mut self, size: usize) -> Action {
        let RouterState::Body(mut incoming) =
            std::mem::replace(&mut self.state, RouterState::Answered { _opened: None })
        else {
            return Action::Pause;
        };
        match incoming.body(size, Some(&self.table), || None).cloned() {
            Ok(exchange) => self.go_on(exchange, Some(incoming)),
            Err(error) => {
                let action = reply::error(&error, incoming.shape());
                self.state = RouterState::Answered { _opened: Some(incoming) };
                action
            }
        }
    }

    /// Refuses a request whose body is still arriving.
    fn give_up(&mut self, error: &ApiError) -> Action {
        let RouterState::Body(incoming) = std::mem::replace(&mut self.state, RouterState::Answered { _opened: None })
        else {
            return Action::Pause;
        };
        let action = reply::error(error, incoming.shape());
        self.state = RouterState::Answered { _opened: Some(incoming) };
        action
    }
}

impl HttpContext for Router {
    fn on_http_request_headers(&mut self, end: bool) -> Action {
        if let Some(exchange) = registry::current() {
            let needs_body = |exchange: &Exchange| {
                cache::needs_body(exchange, &self.table) || settings::needs_body(exchange, &self.table)
            };
            if !end && needs_body(&exchange.borrow()) {
                self.state = RouterState::Read(exchange);
                return Action::Pause;
            }
            return self.go_on(exchange, None);
        }
        let find = |path: &str| self.table.paths().find(path).map(|(_, rule)| rule.dialect(path));
        let library = self.table.paths().library.clone();
        match Incoming::open(DEFAULT_PREFIX, find, || self.table.paths().max_upload, library, |_| Ok(None)) {
            Ok(incoming) => {
                let complete = incoming.is_complete(end);
                self.state = RouterState::Body(incoming);
                match complete {
                    true => self.take_in(0),
                    false => Action::Pause,
                }
            }
            Err(refusal) => {
                let body = RefusedBody::refuse(refusal, end);
                self.state = body.map_or(RouterState::Answered { _opened: None }, RouterState::RefusedBody);
                Action::Pause
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        let grown = match &mut self.state {
            RouterState::Routed { .. } => return Action::Continue,
            RouterState::Read(_) if end => return self.go_on_read(),
            RouterState::Body(incoming) => incoming.grow(size),
            RouterState::RefusedBody(body) => {
                if body.drop_part(size, end) {
                    self.state = RouterState::Answered { _opened: None };
                }
                return Action::Pause;
            }
            RouterState::Headers
            | RouterState::Read(_)
            | RouterState::Choosing { .. }
            | RouterState::Looking { .. }
            | RouterState::Waiting { .. }
            | RouterState::Answered { .. } => return Action::Pause,
        };
        match grown {
            Ok(()) if end => self.take_in(size),
            Ok(()) => Action::Pause,
            Err(error) => self.give_up(&error),
        }
    }

    fn on_http_request_trailers(&mut self) -> Action {
        match &self.state {
            RouterState::Body(_) => self.take_in(usize::MAX),
            RouterState::Read(_) => self.go_on_read(),
            RouterState::RefusedBody(body) => {
                let action = body.reply();
                self.state = RouterState::Answered { _opened: None };
                action
            }
            RouterState::Routed { .. } => Action::Continue,
            RouterState::Headers
            | RouterState::Choosing { .. }
            | RouterState::Looking { .. }
            | RouterState::Waiting { .. }
            | RouterState::Answered { .. } => Action::Pause,
        }
    }

    fn on_resume(&mut self) -> Action {
        match std::mem::replace(&mut self.state, RouterState::Answered { _opened: None }) {
            RouterState::Choosing { exchange, pending, opened } => {
                let chosen = kinds::go_on(pending, &exchange);
                self.go_by_choice(chosen, exchange, opened)
            }
            RouterState::Looking { exchange, pending, opened } => {
                let looked = cache::go_on(pending, &exchange);
                self.go_by(looked, exchange, opened)
            }
            state => {
                let is_routed = matches!(state, RouterState::Routed { .. });
                self.state = state;
                if is_routed {
                    Action::Continue
                } else {
                    Action::Pause
                }
            }
        }
    }

    fn on_http_response_headers(&mut self, _: bool) -> Action {
        let (exchange, own) = match &mut self.state {
            RouterState::Routed { exchange, _opened: opened }
            | RouterState::Waiting { exchange, _opened: opened, .. } => {
                opened.iter_mut().for_each(Incoming::let_go);
                (&*exchange, opened.is_some())
            }
            RouterState::Answered { _opened: Some(incoming) } => (incoming.exchange(), true),
            RouterState::Headers
            | RouterState::Body(_)
            | RouterState::Read(_)
            | RouterState::Choosing { .. }
            | RouterState::Looking { .. }
            | RouterState::RefusedBody(_)
            | RouterState::Answered { _opened: None } => {
                return Action::Continue;
            }
        };
        answer_headers::write(exchange, &self.table, own);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if let (Some(keeping), RouterState::Routed { exchange, .. }) = (&mut self.keeping, &self.state) {
            keeping.chunk(size, end, &exchange.borrow());
        }
        Action::Continue
    }

    fn on_http_response_trailers(&mut self) -> Action {
        self.on_http_response_body(0, true)
    }

    fn on_done(&mut self) {
        let keeping = self.keeping.take();
        if let (Some(keeping), RouterState::Routed { exchange, .. }) = (keeping, &self.state) {
            keeping.end(&exchange.borrow());
        }
    }
}
