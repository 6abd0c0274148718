//! One request's route through the targets of its model and of the fallbacks.

use std::rc::Rc;
use std::time::Duration;

use super::ending::Ending;
use super::pick::{Picked, Pool, Soonest};
use super::why::Why;
use super::{AffinityBy, BudgetBalance, ClusterState, Model, Table, Target, TargetSet, Upstream};
use crate::connect_failure::ConnectFailure;
use crate::endpoint::Endpoint;
use crate::health::Probe;
use crate::outcome::Outcome;
use crate::translate::Pair;
use crate::usage::Price;

/// The request's data for a route.
pub trait RouteInput {
    /// A hash of the strategy's affinity.
    fn affinity(&self, by: AffinityBy) -> u64;
    /// The client's name of the model.
    fn model(&self) -> &str;
    /// Whether the caller may use a model.
    fn may_use(&self, model: &str) -> bool;
}

/// Why a request has no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// No target has a free slot; the request may wait this long for one.
    Full(Duration),
    /// The model's targets do not serve the dialect.
    Silent,
    /// The upstream that stores the response is ejected, until then (since the epoch).
    Away(Duration),
    /// That upstream does not serve the model.
    Elsewhere,
}

/// The way of one request.
#[derive(Debug)]
pub struct Route {
    /// The configuration that routed it. Changes of the configuration do not affect running requests.
    table: Rc<Table>,
    endpoint: Endpoint,
    /// The requested model, and the one whose targets are tried now.
    asked: usize,
    model: usize,
    /// The only possible upstream, because it stores the response.
    storing_upstream: Option<usize>,
    context_fallback_taken: bool,
    current: usize,
    why: Why,
    tried: TargetSet,
    /// The models that were tried before, with their tried targets.
    left: Vec<(usize, TargetSet)>,
    probe: Option<Probe>,
    /// The current attempt has been chosen, and has not ended.
    open: bool,
    began: Option<Duration>,
    log: Vec<(usize, Outcome, Option<ConnectFailure>)>,
}

impl Route {
    /// Assigns a request to a model and picks its first target: at the upstream `storing_upstream`, if only that one is possible.
    ///
    /// # Errors
    /// There is no target, or none is free.
    pub fn start(
        table: &Rc<Table>,
        model: usize,
        endpoint: Endpoint,
        storing_upstream: Option<usize>,
        subject: &dyn RouteInput,
        clusters: &dyn ClusterState,
    ) -> Result<Route, NotStarted> {
        let asked = table.model(model).ok_or(NotStarted::Silent)?;
        let deadline = asked.retry.deadline.is_some();
        let mut route = Route {
            table: table.clone(),
            endpoint,
            asked: model,
            model,
            storing_upstream,
            context_fallback_taken: false,
            current: 0,
            why: Why::Strategy,
            tried: TargetSet::default(),
            left: Vec::new(),
            probe: None,
            open: false,
            began: deadline.then(|| clusters.now()),
            log: Vec::new(),
        };
        let patience = asked.strategy.queue_timeout();
        let full = Err(NotStarted::Full(patience.unwrap_or_default()));
        match route.pick(model, subject, clusters) {
            Picked::Target(target, probe) => {
                let why = if storing_upstream.is_some() { Why::Stored } else { Why::of(probe) };
                route.enter(target, probe, why, clusters);
                let in_flight = || route.upstream().map_or(0, |upstream| clusters.in_flight(upstream));
                if patience.is_some() && probe.is_none() && asked.strategy.is_over(target, in_flight()) {
                    route.abandon(subject.model(), clusters);
                    return full;
                }
            }
            Picked::Out(soonest) if storing_upstream.is_some() => return Err(NotStarted::Away(soonest.at)),
            Picked::None if storing_upstream.is_some() => return Err(NotStarted::Elsewhere),
            // healthy fallbacks come before ejected targets
            Picked::Out(_) if route.go_on(subject, clusters) => {}
            Picked::Full => return full,
            Picked::Out(_) | Picked::None => return Err(NotStarted::Silent),
        }
        if let Some(balance) = &asked.balance {
            balance.deposit();
        }
        Ok(route)
    }

    /// The model whose target serves it now.
    pub fn model(&self) -> Option<&Model> {
        self.table.model(self.model)
    }

    /// Whether the requested model serves it now, and not a fallback.
    pub fn is_at_requested_model(&self) -> bool {
        self.model == self.asked
    }

    /// The requested model.
    pub fn asked(&self) -> Option<&Model> {
        self.table.model(self.asked)
    }

    /// The name for the model at the target at `place`; `asked` is the client's own.
    pub fn model_name<'a>(&'a self, place: (usize, usize), asked: &'a str) -> Option<&'a str> {
        let (model, target) = place;
        let target = self.table.model(model)?.targets.get(target)?;
        target.model.as_deref().or_else(|| self.name_of(model, asked))
    }

    /// The name for targets without their own name for a model; `asked` is the client's.
    fn name_of<'a>(&'a self, model: usize, asked: &'a str) -> Option<&'a str> {
        Some(self.table.model(model)?.name_for(model == self.asked, asked))
    }

    /// The target of the current attempt.
    pub fn target(&self) -> Option<&Target> {
        self.model()?.targets.get(self.current)
    }

    /// The price at the target of the current attempt, if it is known; `asked` is the client's name for the model.
    pub fn price(&self, asked: &str) -> Option<Price> {
        let name = self.name_of(self.model, asked).unwrap_or(asked);
        self.table.price_at(self.model()?, self.target()?, name)
    }

    /// The upstream of the current attempt.
    pub fn upstream(&self) -> Option<&Upstream> {
        self.table.upstream_of(self.target()?)
    }

    /// The current target: its model and its index there.
    pub fn place(&self) -> (usize, usize) {
        (self.model, self.current)
    }

    /// The upstream of the target at `place`.
    pub fn upstream_at(&self, place: (usize, usize)) -> Option<&Upstream> {
        let (model, target) = place;
        self.table.upstream_of(self.table.model(model)?.targets.get(target)?)
    }

    /// The translation for the target at `place`; `None` if it has the request's dialect.
    pub fn pair_at(&self, place: (usize, usize)) -> Option<Pair> {
        self.upstream_at(place)?.pair(self.endpoint)
    }

    /// The requested endpoint.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The configuration that routed the request.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The timeout of one attempt, if the requested model has one: until a stream's first event, or until a JSON answer
    /// is complete. Envoy is told once, so it applies to fallbacks as well.
    pub fn per_try_timeout(&self, streamed: bool) -> Option<Duration> {
        self.asked()?.retry.per_try_timeout(streamed)
    }

    /// When the answer must have begun.
    pub fn deadline(&self) -> Option<Duration> {
        Some(self.began? + self.asked()?.retry.deadline?)
    }

    /// Records the time to first byte of the current target.
    pub fn learn(&self, time_to_first_byte: Duration) {
        if let Some(model) = self.model() {
            model.strategy.learn(self.current, time_to_first_byte);
        }
    }

    /// Reports the end of the current attempt to the clusters, once. `asked` is the client's name of the model.
    pub fn end(&mut self, ending: Ending, asked: &str, clusters: &dyn ClusterState) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let probe = self.probe.take();
        let Some(target) = self.target() else {
            return;
        };
        let index = target.upstream;
        if let Some(upstream) = self.table.upstream_of(target) {
            clusters.end(upstream, self.model_name(self.place(), asked).unwrap_or(asked), ending, probe);
        }
        self.log.push((index, ending.outcome, ending.connect));
    }

    /// Cancels the chosen attempt. `asked` is the client's name of the model.
    pub fn abandon(&mut self, asked: &str, clusters: &dyn ClusterState) {
        if std::mem::take(&mut self.open) {
            if let Some(upstream) = self.upstream() {
                clusters.abandon(upstream, self.model_name(self.place(), asked).unwrap_or(asked), self.probe);
            }
        }
    }

    /// Moves on to another target, if the failed attempt may be retried and there is one: of the same model first, then
    /// of its fallbacks; then one that is ejected. The attempt must have [ended](Route::end).
    pub fn advance(&mut self, ending: Ending, subject: &dyn RouteInput, clusters: &dyn ClusterState) -> bool {
        let Some(retry) = self.asked().map(|model| &model.retry) else {
            return false;
        };
        if !retry.on.allows(ending.outcome, ending.status) || self.is_late(clusters) {
            return false;
        }
        let balance = |route: &Route, paid: fn(&BudgetBalance, Duration) -> bool| {
            let balance = route.asked().and_then(|model| model.balance.as_ref());
            balance.is_none_or(|balance| paid(balance, clusters.now()))
        };
        if !balance(self, BudgetBalance::affords) {
            return false;
        }
        self.go_on(subject, clusters) && balance(self, BudgetBalance::withdraw)
    }

    /// Moves on to the next target: of the current model, then of the fallbacks in order. If none is healthy, the one
    /// that returns soonest is tried, whichever model it serves.
    fn go_on(&mut self, subject: &dyn RouteInput, clusters: &dyn ClusterState) -> bool {
        let Some(asked) = self.table.model(self.asked) else {
            return false;
        };
        let mut models = vec![self.model];
        let fallbacks = if self.storing_upstream.is_none() { asked.fallbacks.as_slice() } else { &[] };
        models.extend(fallbacks.iter().filter(|fallback| **fallback != self.model));
        if self.model != self.asked && !self.context_fallback_taken {
            models.push(self.asked);
        }
        let mut soonest: Option<(Soonest, usize)> = None;
        for model in models {
            if !self.may_try(model, subject) {
                continue;
            }
            match self.pick(model, subject, clusters) {
                Picked::Target(target, probe) => {
                    self.turn_to(model);
                    self.enter(target, probe, Why::of(probe), clusters);
                    return true;
                }
                Picked::Out(out) if soonest.is_none_or(|(soonest, _)| before(&out, &soonest)) => {
                    soonest = Some((out, model));
                }
                Picked::Out(_) | Picked::Full | Picked::None => {}
            }
        }
        let nothing_tried = self.log.is_empty();
        let may_try = |out: &Soonest| self.storing_upstream.is_none() && (nothing_tried || !out.by_hand);
        let Some((out, model)) = soonest.filter(|(out, _)| may_try(out)) else {
            return false;
        };
        self.turn_to(model);
        self.enter(out.target, None, Why::AllOut, clusters);
        true
    }

    /// Whether a model may be tried: it is the requested one, or the caller may use it, and it has attempts left.
    fn may_try(&self, model: usize, subject: &dyn RouteInput) -> bool {
        self.table.model(model).is_some_and(|found| {
            let permitted = model == self.model || model == self.asked || subject.may_use(&found.name);
            permitted && self.tried_of(model).len() < found.retry.max_attempts
        })
    }

    /// The tried targets of a model.
    fn tried_of(&self, model: usize) -> TargetSet {
        if model == self.model {
            return self.tried;
        }
        self.left.iter().find(|(left, _)| *left == model).map(|(_, tried)| *tried).unwrap_or_default()
    }

    /// Moves on to the model for requests that are too long for this one, if there is one.
    pub fn advance_for_context(&mut self, subject: &dyn RouteInput, clusters: &dyn ClusterState) -> bool {
        let fallback = self.asked().and_then(|model| model.context_length_fallback);
        let stays = self.context_fallback_taken || self.storing_upstream.is_some();
        let Some(fallback) = fallback.filter(|_| !stays && !self.is_late(clusters)) else {
            return false;
        };
        self.context_fallback_taken = true;
        let permitted = self.table.model(fallback).is_some_and(|model| subject.may_use(&model.name));
        if !permitted {
            return false;
        }
        let (target, probe) = match self.pick(fallback, subject, clusters) {
            Picked::Target(target, probe) => (target, probe),
            Picked::Out(out) if !out.by_hand => (out.target, None),
            Picked::Out(_) | Picked::Full | Picked::None => return false,
        };
        self.turn_to(fallback);
        self.enter(target, probe, Why::ContextLength, clusters);
        true
    }

    /// Whether an answer that blames the request may be retried at another model.
    pub fn has_context_fallback(&self) -> bool {
        !self.context_fallback_taken
            && self.storing_upstream.is_none()
            && self.asked().is_some_and(|model| model.context_length_fallback.is_some())
    }

    /// Why the current target was picked: its model's strategy, or what came before that.
    pub fn picked_by(&self) -> &'static str {
        self.why.label(self.model().map_or("", |model| model.strategy.name()))
    }

    /// The attempts so far, in order: the upstream, the outcome, and why the connection failed if it did.
    pub fn log(&self) -> impl Iterator<Item = (&Upstream, Outcome, Option<ConnectFailure>)> {
        let attempt =
            |(index, outcome, connect): &(usize, _, _)| Some((self.table.upstreams().get(*index)?, *outcome, *connect));
        self.log.iter().filter_map(attempt)
    }

    fn is_late(&self, clusters: &dyn ClusterState) -> bool {
        self.deadline().is_some_and(|deadline| clusters.now() >= deadline)
    }

    /// Starts to try the targets of this model.
    fn turn_to(&mut self, model: usize) {
        if model != self.model {
            let tried = self.tried_of(model);
            self.left.retain(|(left, _)| *left != model);
            self.left.push((self.model, self.tried));
            (self.model, self.tried) = (model, tried);
        }
    }

    fn pick(&self, model: usize, subject: &dyn RouteInput, clusters: &dyn ClusterState) -> Picked {
        let tried = self.tried_of(model);
        let (Some(name), Some(model)) = (self.name_of(model, subject.model()), self.table.model(model)) else {
            return Picked::None;
        };
        let affinity = model.strategy.affinity().map_or(0, |by| subject.affinity(by));
        let speaking = model.serving(self.endpoint);
        let serving = match self.storing_upstream {
            Some(upstream) => speaking.intersection(model.at(upstream)),
            None => speaking.union(model.translating(self.endpoint)),
        };
        Pool { table: &self.table, model, name, serving, speaking, tried, affinity }.pick(clusters)
    }

    fn enter(&mut self, target: usize, probe: Option<Probe>, why: Why, clusters: &dyn ClusterState) {
        self.current = target;
        self.why = why;
        self.tried.insert(target);
        self.probe = probe;
        self.open = true;
        if let Some(upstream) = self.upstream() {
            clusters.enter(upstream);
        }
    }
}

/// Whether one target comes before another; of targets that return at the same time, that of the earlier model.
fn before(one: &Soonest, other: &Soonest) -> bool {
    (one.by_hand, one.at) < (other.by_hand, other.at)
}
