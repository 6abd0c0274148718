//! The steps of a request until it has an answer, or goes on to its model servers.
//!
//! | step | then |
//! |---|---|
//! | the store has no answer | with a semantic cache, it asks for its vector, and looks for a similar request |
//! | there is none | it puts down a flight, and goes on |
//! | the same request is under way | it waits until that has landed, or for `wait` |
//! | that has landed | it gets the answer, or goes on alone if there is none |
//!
//! With Redis, a request that has put down its flight asks once more: an earlier flight may have landed since it asked. If
//! Redis is away, the request goes on at once, and waits for no other.

use std::rc::Rc;
use std::time::Duration;

use sluice::cache::semantic::{Comparison, Similar};
use sluice::cache::{
    webdis, CacheControl, CacheKey, CachePolicy, CacheResult, Entry, Found, Placed, Store, ANSWER_HEADERS, MAX_BODY,
    MAX_ENTRY,
};
use sluice::exchange::{Cached, Exchange};
use sluice::routing::Table;

use super::flights::{Flight, Wait};
use super::hit::Answer;
use super::keeping::Keeping;
use super::memory::{self, TakenOff};
use super::place::ModelCache;
use super::services::{self, Heard, Kind};
use super::vectors::Compared;
use crate::chain;
use crate::host::{self, Buffer, Headers};
use crate::metrics::count_cache;
use crate::registry::SharedExchange;

/// The largest value in Redis that is read: an entry, and what is written before it.
const MAX_VALUE: usize = MAX_ENTRY + 256;

/// The result of a look.
pub enum Looked {
    /// The model has no cache.
    Off,
    /// There is an answer.
    Hit(Answer),
    /// There is none; the request goes on, and its answer may have to be kept.
    Miss(Option<Box<Keeping>>),
    /// The request waits.
    Waits(Box<Pending>),
}

/// A request on its way.
pub struct Pending {
    pub(super) place: ModelCache,
    key: CacheKey,
    control: CacheControl,
    pub(super) context: u32,
    step: LookupStep,
    /// What it is compared by, if the model has a semantic cache.
    pub(super) compared: Option<Compared>,
    /// The known entry, which will not do.
    gone: Option<Placed>,
}

/// What it waits for.
pub(super) enum LookupStep {
    /// Nothing yet.
    Begins,
    /// Redis's answer.
    Asking,
    /// Its vector.
    Embedding,
    /// The database's answer about similar requests.
    Searching,
    /// Redis's answer about the entry of a similar request.
    AskingSimilar(Similar),
    /// Redis's second answer, now that the flight is its own.
    AskingAgain(Flight),
    /// The landing of another flight.
    Waiting(Wait),
    /// Redis's answer, after that has landed.
    AskingLast,
}

/// What Redis has told.
enum RedisAnswer {
    /// An entry that will do.
    Entry(Entry),
    /// It has no usable entry.
    Nothing,
    /// It is away.
    Away,
}

impl Drop for Pending {
    fn drop(&mut self) {
        match self.step {
            LookupStep::Begins | LookupStep::Waiting(_) => {}
            LookupStep::Asking
            | LookupStep::Embedding
            | LookupStep::Searching
            | LookupStep::AskingSimilar(_)
            | LookupStep::AskingAgain(_)
            | LookupStep::AskingLast => services::forget(self.context),
        }
    }
}

/// Looks for the answer to a request.
pub fn look(shared: &SharedExchange, table: &Rc<Table>, context: u32) -> Looked {
    let exchange = shared.borrow();
    if !table.has_caches || exchange.is_passed() {
        return Looked::Off;
    }
    let Some(place) = table.find(exchange.model_name()).map(|model| ModelCache { table: table.clone(), model }) else {
        return Looked::Off;
    };
    let Some(policy) = place.policy() else {
        return Looked::Off;
    };
    let control = host::header(Headers::Request, "cache-control").map(|header| CacheControl::read(&header));
    let control = control.unwrap_or_default();
    let key = if control.no_store { None } else { key_of(&exchange, policy) };
    drop(exchange);
    let Some((key, comparison)) = key else {
        note(shared, Cached::missed(place.name(), CacheResult::Skip));
        return Looked::Miss(None);
    };
    let compared = comparison.map(|comparison| Compared { comparison, vector: None });
    let pending = Pending { place, key, control, context, step: LookupStep::Begins, compared, gone: None };
    go_on(Box::new(pending), shared)
}

/// Whether the request's body is needed, and only Envoy has it.
pub fn needs_body(exchange: &Exchange, table: &Table) -> bool {
    if !table.has_caches || exchange.is_passed() || exchange.whole_body().is_some() {
        return false;
    }
    let is_short = exchange.parsed().is_some_and(|parsed| (1..=MAX_BODY).contains(&parsed.layout.length));
    let model = table.find(exchange.model_name()).and_then(|model| table.models().get(model));
    is_short && model.is_some_and(|model| model.cache.is_some())
}

fn key_of(exchange: &Exchange, policy: &CachePolicy) -> Option<(CacheKey, Option<Comparison>)> {
    let [version, beta] = ANSWER_HEADERS.map(|name| host::header(Headers::Request, name));
    let headers = [version.as_deref(), beta.as_deref()];
    let of = |body: &[u8]| {
        let key = exchange.cache_key(policy, body, headers)?;
        Some((key, exchange.comparison(policy, body, headers)))
    };
    match exchange.whole_body() {
        Some(body) => of(body),
        None => {
            let size = exchange.parsed()?.layout.length;
            if size > MAX_BODY {
                return None;
            }
            let body = host::bytes(Buffer::RequestBody, size).filter(|body| body.len() == size)?;
            of(&body)
        }
    }
}

/// Goes on with a request, after what it has waited for.
pub fn go_on(mut pending: Box<Pending>, shared: &SharedExchange) -> Looked {
    let now = host::now();
    let step = std::mem::replace(&mut pending.step, LookupStep::Begins);
    match step {
        LookupStep::Begins if pending.control.no_cache => pending.miss(None, shared),
        LookupStep::Begins => match pending.redis() {
            None => pending.look_in_memory(now, shared),
            Some(_) => pending.ask(LookupStep::Asking, shared),
        },
        LookupStep::Embedding => pending.embedded(now, shared),
        LookupStep::Searching => pending.searched(now, shared),
        LookupStep::AskingSimilar(similar) => match pending.heard(&similar.key, now) {
            None => pending.stay(LookupStep::AskingSimilar(similar)),
            Some(RedisAnswer::Entry(entry)) => pending.hit(entry, Some(similar.similarity), now, shared),
            Some(RedisAnswer::Nothing | RedisAnswer::Away) => pending.take_off(now, shared),
        },
        LookupStep::Asking => match pending.heard(&pending.key, now) {
            None => pending.stay(LookupStep::Asking),
            Some(RedisAnswer::Entry(entry)) => pending.hit(entry, None, now, shared),
            Some(RedisAnswer::Nothing) => pending.look_for_similar(now, shared),
            Some(RedisAnswer::Away) => pending.miss(None, shared),
        },
        LookupStep::AskingAgain(flight) => match pending.heard(&pending.key, now) {
            None => pending.stay(LookupStep::AskingAgain(flight)),
            Some(RedisAnswer::Entry(entry)) => pending.hit(entry, None, now, shared),
            Some(RedisAnswer::Nothing | RedisAnswer::Away) => pending.miss(Some(flight), shared),
        },
        LookupStep::AskingLast => match pending.heard(&pending.key, now) {
            None => pending.stay(LookupStep::AskingLast),
            Some(RedisAnswer::Entry(entry)) => pending.hit(entry, None, now, shared),
            Some(RedisAnswer::Nothing | RedisAnswer::Away) => pending.miss(None, shared),
        },
        LookupStep::Waiting(wait) => pending.waited(&wait, now, shared),
    }
}

impl Pending {
    /// Where Redis is, if it is the store.
    pub(super) fn redis(&self) -> Option<(&str, Duration)> {
        match &self.place.policy()?.store {
            Store::Memory => None,
            Store::Redis { cluster, timeout } => Some((cluster, *timeout)),
        }
    }

    pub(super) fn time(&self) -> Duration {
        self.place.policy().map_or(Duration::ZERO, |policy| policy.time)
    }

    pub(super) fn stay(mut self: Box<Self>, step: LookupStep) -> Looked {
        self.step = step;
        chain::wait_for_wake();
        Looked::Waits(self)
    }

    /// Asks Redis. If it is known to be away, the request goes on: nobody can hand it an answer.
    pub(super) fn ask(self: Box<Self>, step: LookupStep, shared: &SharedExchange) -> Looked {
        let key = if let LookupStep::AskingSimilar(similar) = &step { &similar.key } else { &self.key };
        let asked = self.redis().is_some_and(|(cluster, timeout)| {
            services::ask(Kind::Store, &webdis::get(cluster, key, timeout), MAX_VALUE, self.context)
        });
        match (asked, step) {
            (true, step) => self.stay(step),
            (false, LookupStep::AskingAgain(flight)) => self.miss(Some(flight), shared),
            (false, _) => self.miss(None, shared),
        }
    }

    /// Redis's answer; `None` if there is none yet.
    fn heard(&self, key: &CacheKey, now: Duration) -> Option<RedisAnswer> {
        Some(match services::heard(self.context)? {
            Heard::Found(bytes) => {
                let entry = Entry::decode(&bytes, key).filter(|entry| self.accepts(entry, now));
                entry.map_or(RedisAnswer::Nothing, RedisAnswer::Entry)
            }
            Heard::Nothing => RedisAnswer::Nothing,
            Heard::Away => RedisAnswer::Away,
        })
    }

    pub(super) fn accepts(&self, entry: &Entry, now: Duration) -> bool {
        let age = entry.age(now);
        age <= self.time() && self.control.accepts(age)
    }

    fn look_in_memory(self: Box<Self>, now: Duration, shared: &SharedExchange) -> Looked {
        match memory::find(&self.key, self.place.memory(), self.time(), now) {
            Found::Placed(placed) => self.read(placed, now, shared),
            Found::Flying => self.wait(now, shared),
            Found::Nothing => self.look_for_similar(now, shared),
        }
    }

    fn read(mut self: Box<Self>, placed: Placed, now: Duration, shared: &SharedExchange) -> Looked {
        let entry = memory::read(&placed, &self.key, self.place.memory());
        match entry.filter(|entry| self.accepts(entry, now)) {
            Some(entry) => self.hit(entry, None, now, shared),
            None => {
                self.gone = Some(placed);
                self.look_for_similar(now, shared)
            }
        }
    }

    /// Puts down a flight, and goes on with it.
    pub(super) fn take_off(mut self: Box<Self>, now: Duration, shared: &SharedExchange) -> Looked {
        let (memory, owner) = (self.place.memory(), shared.borrow().id());
        if self.place.policy().is_none_or(|policy| policy.wait.is_zero()) {
            return self.miss(None, shared);
        }
        let gone = self.gone.take();
        match memory::take_off(&self.key, memory, (owner, self.time(), now), gone.as_ref()) {
            TakenOff::Own => {
                let flight = Flight::new(owner, &self.key, memory);
                match self.redis() {
                    None => self.miss(Some(flight), shared),
                    Some(_) => self.ask(LookupStep::AskingAgain(flight), shared),
                }
            }
            TakenOff::Flying => self.wait(now, shared),
            TakenOff::Placed(placed) if gone.is_none() => self.read(placed, now, shared),
            TakenOff::Placed(_) | TakenOff::NoRoom => self.miss(None, shared),
        }
    }

    fn wait(self: Box<Self>, now: Duration, shared: &SharedExchange) -> Looked {
        let patience = self.place.policy().map_or(Duration::ZERO, |policy| policy.wait);
        match Wait::new(self.context, &self.key, self.place.memory(), now + patience) {
            Some(wait) => self.stay(LookupStep::Waiting(wait)),
            None => self.miss(None, shared),
        }
    }

    /// The other flight has landed, or the wait is over.
    fn waited(self: Box<Self>, wait: &Wait, now: Duration, shared: &SharedExchange) -> Looked {
        if self.redis().is_some() {
            return match wait.is_over(now) {
                true => self.miss(None, shared),
                false => self.ask(LookupStep::AskingLast, shared),
            };
        }
        let found = memory::find(&self.key, self.place.memory(), self.time(), now);
        let entry = match found {
            Found::Placed(placed) => memory::read(&placed, &self.key, self.place.memory()),
            Found::Flying | Found::Nothing => None,
        };
        match entry.filter(|entry| self.accepts(entry, now)) {
            Some(entry) => self.hit(entry, None, now, shared),
            None => self.miss(None, shared),
        }
    }

    /// Answers with an entry. One that cannot be the client's stream is none.
    pub(super) fn hit(
        self: Box<Self>,
        entry: Entry,
        similarity: Option<f32>,
        now: Duration,
        shared: &SharedExchange,
    ) -> Looked {
        let answer = Answer::of(&shared.borrow(), &entry, similarity, now);
        match answer {
            Some(answer) => {
                note(shared, Cached::hit(self.place.name(), &entry, similarity, now));
                Looked::Hit(answer)
            }
            None => self.miss(None, shared),
        }
    }

    fn miss(mut self: Box<Self>, flight: Option<Flight>, shared: &SharedExchange) -> Looked {
        note(shared, Cached::missed(self.place.name(), CacheResult::Miss));
        let known = self.compared.take().and_then(Compared::known);
        Looked::Miss(Some(Box::new(Keeping::new(self.place.clone(), self.key, flight, known))))
    }
}

fn note(shared: &SharedExchange, cached: Cached) {
    count_cache(&cached);
    shared.borrow_mut().set_cached(cached);
}
