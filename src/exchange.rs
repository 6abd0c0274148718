//! One request and its answer: the record that all filters of a request share.

use std::rc::Rc;
use std::time::Duration;

use crate::contract::{ANONYMOUS, NONE};
use crate::endpoint::Endpoint;
use crate::error::ApiError;
use crate::facts::Facts;
use crate::header_plan::{Overwritten, RequestHeaders, Turn, Wish};
use crate::keys::Identity;
use crate::outcome::Outcome;
use crate::rewrite::{injects_usage, BodyRewrite};
use crate::routing::{Model, Table, Target, Tried, Upstream};
use crate::usage::{Source, TokenUsage};

/// All that is known of one request. Filters that are not configured leave their part unknown.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Who is calling; `None` without `auth`.
    pub identity: Option<Rc<Identity>>,
    /// What the client's headers said, before any attempt wrote over them.
    pub original: Original,
    /// The body's facts; `None` until it has been read.
    pub facts: Option<Facts>,
    /// The body itself, if it is small, until an answer is on its way to the client: so that an attempt need
    /// not ask for it again.
    pub body: Vec<u8>,
    /// Where it goes; `None` until it has been routed.
    pub route: Option<Route>,
    /// The tokens, once the answer is through.
    pub usage: Option<(TokenUsage, Source)>,
    /// Envoy has been asked to retry, and no new attempt has begun.
    pub retry_asked: bool,
    /// How the last of all targets failed. Envoy retries what it saw break by itself, so one more attempt may
    /// follow, which only has to tell the client.
    pub exhausted: Option<Outcome>,
    /// The status of the answer that an attempt has let pass to the client.
    pub answered: Option<u16>,
    /// The target the request's headers are fit for.
    prepared_for: Option<usize>,
    overwritten: Overwritten,
}

/// The request headers that attempts write over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Original {
    /// `:authority`
    pub authority: String,
    /// `:path`, without any key in its query.
    pub path: String,
    /// `content-length`, if the client sent one.
    pub length: Option<usize>,
}

/// The longest body that an exchange keeps, in bytes. Most chats are smaller; what documents and images take
/// stays with Envoy alone.
pub const MAX_KEPT_BODY: usize = 64 * 1024;

/// Why an attempt must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unprepared {
    /// No filter has routed the request.
    NotRouted,
    /// Envoy has the attempt go to a cluster that was not chosen.
    OtherCluster,
    /// Every target has been tried; the last one ended so.
    Exhausted(Outcome),
    /// Envoy refused to set a header.
    HeaderRefused,
}

/// The way of one request through the targets of its model.
#[derive(Debug)]
pub struct Route {
    /// The configuration that routed it. A change of configuration does not touch requests under way.
    table: Rc<Table>,
    model: usize,
    endpoint: Endpoint,
    current: usize,
    tried: Tried,
}

impl Exchange {
    /// An exchange that has just begun.
    pub fn new(identity: Option<Rc<Identity>>, original: Original) -> Self {
        Exchange { identity, original, ..Exchange::default() }
    }

    /// Takes in what the body says, and the body.
    pub fn read(&mut self, facts: Facts, body: Vec<u8>) {
        self.facts = Some(facts);
        if body.len() <= MAX_KEPT_BODY {
            self.body = body;
        }
    }

    /// An answer of this status is on its way to the client; there will be no further attempt.
    pub fn answer(&mut self, status: u16) {
        self.answered = Some(status);
        self.body = Vec::new();
    }

    /// Routes the request: picks the first target of the model it names.
    ///
    /// # Errors
    /// 404 with the models the caller may use, when there is none of that name, or none in that dialect.
    pub fn route(&mut self, table: &Rc<Table>) -> Result<&Route, ApiError> {
        let facts = self.facts.as_ref().ok_or_else(|| ApiError::internal("The request was routed unread."))?;
        let dialect = facts.endpoint.dialect();
        let Some(index) = table.find(&facts.model) else {
            return Err(self.unknown_model(table, &facts.model));
        };
        let model = table.models().get(index);
        let Some(first) = model.and_then(|model| model.first(dialect)) else {
            let spoken: Vec<&str> = model.into_iter().flat_map(Model::dialects).map(|d| d.name()).collect();
            return Err(ApiError::model_not_found(format!(
                "The model `{}` is not served in the {} dialect, only in: {}.",
                facts.model,
                dialect.name(),
                spoken.join(", ")
            )));
        };
        let mut tried = Tried::default();
        tried.insert(first);
        let route = Route { table: table.clone(), model: index, endpoint: facts.endpoint, current: first, tried };
        Ok(self.route.insert(route))
    }

    fn unknown_model(&self, table: &Table, name: &str) -> ApiError {
        let allowed = |model: &&str| self.identity.as_ref().is_none_or(|identity| identity.models.matches(model));
        let names: Vec<&str> = table.models().iter().map(|model| model.name.as_str()).filter(allowed).collect();
        ApiError::model_not_found(format!(
            "The model `{name}` does not exist or you do not have access to it. Models you can use: {}.",
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        ))
    }

    /// Makes the request's headers fit for the current target, and says what is to be done to its body.
    /// `cluster` is the one Envoy says the attempt is for.
    ///
    /// # Errors
    /// Why nothing may be sent: it would carry a credential to a stranger.
    pub fn prepare(&mut self, cluster: &[u8], headers: &mut dyn RequestHeaders) -> Result<BodyRewrite, Unprepared> {
        if let Some(outcome) = self.exhausted {
            return Err(Unprepared::Exhausted(outcome));
        }
        let (Some(route), Some(facts)) = (&self.route, &self.facts) else {
            return Err(Unprepared::NotRouted);
        };
        let (body, wish) = route.wish(route.current, facts).ok_or(Unprepared::NotRouted)?;
        if wish.upstream.cluster.as_bytes() != cluster {
            return Err(Unprepared::OtherCluster);
        }
        let before = self.prepared_for.and_then(|target| route.wish(target, facts));
        let before = before.as_ref().map(|(_, wish)| wish);
        let turn = Turn { original: &self.original, before, wish: &wish };
        if !turn.apply(&mut self.overwritten, headers) {
            return Err(Unprepared::HeaderRefused);
        }
        self.prepared_for = Some(route.current);
        self.retry_asked = false;
        Ok(body)
    }

    /// Goes on to another target and asks Envoy to retry. Returns the target's cluster, or `None` if all
    /// have been tried.
    pub fn advance(&mut self) -> Option<&str> {
        let route = self.route.as_mut()?;
        if !route.advance() {
            return None;
        }
        self.retry_asked = true;
        route.upstream().map(|upstream| upstream.cluster.as_str())
    }

    /// The key, the model and the cluster as labels: names from the configuration wherever there is one, for
    /// clients may send any.
    pub fn labels(&self) -> (&str, &str, &str) {
        let key = self.identity.as_ref().map_or(ANONYMOUS, |identity| identity.id.as_str());
        let model = self.route.as_ref().and_then(Route::model).map(|model| model.name.as_str());
        let model = match (model, &self.facts) {
            (Some(name), Some(facts)) if name.ends_with('*') => facts.model.as_str(),
            (Some(name), _) => name,
            (None, _) => NONE,
        };
        let cluster = self.route.as_ref().and_then(Route::upstream).map_or(NONE, |upstream| upstream.cluster.as_str());
        (key, model, cluster)
    }

    /// Whether the gateway asks the current target for usage on the client's behalf, and strips it again.
    pub fn injects_usage(&self) -> bool {
        let upstream = self.route.as_ref().and_then(Route::upstream);
        let wanted = self.facts.as_ref().is_some_and(injects_usage);
        wanted && upstream.is_some_and(|upstream| upstream.include_usage)
    }
}

impl Route {
    /// The model that was asked for.
    pub fn model(&self) -> Option<&Model> {
        self.table.models().get(self.model)
    }

    /// The target of the attempt under way.
    pub fn target(&self) -> Option<&Target> {
        self.model()?.targets.get(self.current)
    }

    /// The upstream of the attempt under way.
    pub fn upstream(&self) -> Option<&Upstream> {
        self.table.upstream_of(self.target()?)
    }

    /// How long one attempt may take, if the model says so.
    pub fn per_try_timeout(&self) -> Option<Duration> {
        self.model()?.per_try_timeout
    }

    /// What a target's request must look like, and the way to its body.
    fn wish<'a>(&'a self, target: usize, facts: &'a Facts) -> Option<(BodyRewrite, Wish<'a>)> {
        let target = self.model()?.targets.get(target)?;
        let upstream = self.table.upstream_of(target)?;
        let model = target.model.as_deref().unwrap_or(&facts.model);
        let body = BodyRewrite::plan(facts, model, upstream.include_usage);
        let length = body.length();
        Some((body, Wish { upstream, endpoint: self.endpoint, model, length }))
    }

    fn advance(&mut self) -> bool {
        let another = self.model().and_then(|model| model.another(self.endpoint.dialect(), self.tried));
        if let Some(another) = another {
            self.current = another;
            self.tried.insert(another);
        }
        another.is_some()
    }
}
