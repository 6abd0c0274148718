//! The steps of a request until it has an answer, or goes on to its model servers.
//!
//! | step | then |
//! |---|---|
//! | the store has no answer | it puts down a flight, and goes on |
//! | the same request is under way | it waits until that has landed, or for `wait` |
//! | that has landed | it gets the answer, or goes on alone if there is none |
//!
//! With Redis, a request that has put down its flight asks once more: an earlier flight may have landed since it asked. If
//! Redis is away, the request goes on at once, and waits for no other.

use std::rc::Rc;
use std::time::Duration;

use sluice::cache::{
    as_stream, content_type, CacheControl, CacheKey, CachePolicy, CacheResult, Entry, Found, Placed, Store,
    ANSWER_HEADERS, MAX_BODY,
};
use sluice::exchange::{Cached, Exchange};
use sluice::routing::Table;
use sluice::wire_names::CACHE_HEADER;

use super::flights::{Flight, Wait};
use super::keeping::Keeping;
use super::memory::{self, TakenOff};
use super::place::Place;
use super::redis::{self, Heard};
use crate::chain;
use crate::host::{self, Buffer, Headers};
use crate::metrics::count_cache;
use crate::registry::SharedExchange;
use crate::types::Action;

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
    place: Place,
    key: CacheKey,
    control: CacheControl,
    context: u32,
    step: Step,
}

/// What it waits for.
enum Step {
    /// Nothing yet.
    Begins,
    /// Redis's answer.
    Asking,
    /// Redis's second answer, now that the flight is its own.
    AskingAgain(Flight),
    /// The landing of another flight.
    Waiting(Wait),
    /// Redis's answer, after that has landed.
    AskingLast,
}

/// What Redis has told.
enum Told {
    /// An entry that will do.
    Entry(Entry),
    /// It has none.
    Nothing,
    /// It is away.
    Away,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Step::Asking | Step::AskingAgain(_) | Step::AskingLast = self.step {
            redis::forget(self.context);
        }
    }
}

/// Looks for the answer to a request.
pub fn look(shared: &SharedExchange, table: &Rc<Table>, context: u32) -> Looked {
    let exchange = shared.borrow();
    if !table.has_caches || exchange.is_passed() {
        return Looked::Off;
    }
    let Some(place) = table.find(exchange.model_name()).map(|model| Place { table: table.clone(), model }) else {
        return Looked::Off;
    };
    let Some(policy) = place.policy() else {
        return Looked::Off;
    };
    let control = host::header(Headers::Request, "cache-control").map(|header| CacheControl::read(&header));
    let control = control.unwrap_or_default();
    let key = if control.no_store { None } else { key_of(&exchange, policy) };
    drop(exchange);
    let Some(key) = key else {
        note(shared, Cached::missed(place.name(), CacheResult::Skip));
        return Looked::Miss(None);
    };
    go_on(Box::new(Pending { place, key, control, context, step: Step::Begins }), shared)
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

fn key_of(exchange: &Exchange, policy: &CachePolicy) -> Option<CacheKey> {
    let [version, beta] = ANSWER_HEADERS.map(|name| host::header(Headers::Request, name));
    let headers = [version.as_deref(), beta.as_deref()];
    match exchange.whole_body() {
        Some(body) => exchange.cache_key(policy, body, headers),
        None => {
            let size = exchange.parsed()?.layout.length;
            if size > MAX_BODY {
                return None;
            }
            let body = host::bytes(Buffer::RequestBody, size).filter(|body| body.len() == size)?;
            exchange.cache_key(policy, &body, headers)
        }
    }
}

/// Goes on with a request, after what it has waited for.
pub fn go_on(mut pending: Box<Pending>, shared: &SharedExchange) -> Looked {
    let now = host::now();
    let step = std::mem::replace(&mut pending.step, Step::Begins);
    match step {
        Step::Begins if pending.control.no_cache => pending.miss(None, shared),
        Step::Begins => match pending.redis() {
            None => pending.look_in_memory(now, shared),
            Some(_) => pending.ask(Step::Asking, shared),
        },
        Step::Asking => match pending.heard(now) {
            None => pending.stay(Step::Asking),
            Some(Told::Entry(entry)) => pending.hit(entry, now, shared),
            Some(Told::Nothing) => pending.take_off(None, now, shared),
            Some(Told::Away) => pending.miss(None, shared),
        },
        Step::AskingAgain(flight) => match pending.heard(now) {
            None => pending.stay(Step::AskingAgain(flight)),
            Some(Told::Entry(entry)) => pending.hit(entry, now, shared),
            Some(Told::Nothing | Told::Away) => pending.miss(Some(flight), shared),
        },
        Step::AskingLast => match pending.heard(now) {
            None => pending.stay(Step::AskingLast),
            Some(Told::Entry(entry)) => pending.hit(entry, now, shared),
            Some(Told::Nothing | Told::Away) => pending.miss(None, shared),
        },
        Step::Waiting(wait) => pending.waited(&wait, now, shared),
    }
}

impl Pending {
    /// Where Redis is, if it is the store.
    fn redis(&self) -> Option<(&str, Duration)> {
        match &self.place.policy()?.store {
            Store::Memory => None,
            Store::Redis { cluster, timeout } => Some((cluster, *timeout)),
        }
    }

    fn time(&self) -> Duration {
        self.place.policy().map_or(Duration::ZERO, |policy| policy.time)
    }

    fn stay(mut self: Box<Self>, step: Step) -> Looked {
        self.step = step;
        chain::wait_for_wake();
        Looked::Waits(self)
    }

    /// Asks Redis. If it is known to be away, the request goes on: nobody can hand it an answer.
    fn ask(self: Box<Self>, step: Step, shared: &SharedExchange) -> Looked {
        let asked =
            self.redis().is_some_and(|(cluster, timeout)| redis::ask(cluster, &self.key, timeout, self.context));
        match (asked, step) {
            (true, step) => self.stay(step),
            (false, Step::AskingAgain(flight)) => self.miss(Some(flight), shared),
            (false, Step::Begins | Step::Asking | Step::Waiting(_) | Step::AskingLast) => self.miss(None, shared),
        }
    }

    /// Redis's answer; `None` if there is none yet.
    fn heard(&self, now: Duration) -> Option<Told> {
        Some(match redis::heard(self.context)? {
            Heard::Found(bytes) => {
                let entry = Entry::decode(&bytes, &self.key).filter(|entry| self.accepts(entry, now));
                entry.map_or(Told::Nothing, Told::Entry)
            }
            Heard::Nothing => Told::Nothing,
            Heard::Away => Told::Away,
        })
    }

    fn accepts(&self, entry: &Entry, now: Duration) -> bool {
        let age = entry.age(now);
        age <= self.time() && self.control.accepts(age)
    }

    fn look_in_memory(self: Box<Self>, now: Duration, shared: &SharedExchange) -> Looked {
        match memory::find(&self.key, self.place.memory(), self.time(), now) {
            Found::Placed(placed) => self.read(placed, now, shared),
            Found::Flying => self.wait(now, shared),
            Found::Nothing => self.take_off(None, now, shared),
        }
    }

    fn read(self: Box<Self>, placed: Placed, now: Duration, shared: &SharedExchange) -> Looked {
        let entry = memory::read(&placed, &self.key, self.place.memory());
        match entry.filter(|entry| self.accepts(entry, now)) {
            Some(entry) => self.hit(entry, now, shared),
            None => self.take_off(Some(placed), now, shared),
        }
    }

    /// Puts down a flight, and goes on with it. `gone`: the known entry, which will not do.
    fn take_off(self: Box<Self>, gone: Option<Placed>, now: Duration, shared: &SharedExchange) -> Looked {
        let (memory, owner) = (self.place.memory(), shared.borrow().id());
        if self.place.policy().is_none_or(|policy| policy.wait.is_zero()) {
            return self.miss(None, shared);
        }
        match memory::take_off(&self.key, memory, (owner, self.time(), now), gone.as_ref()) {
            TakenOff::Own => {
                let flight = Flight::new(owner, &self.key, memory);
                match self.redis() {
                    None => self.miss(Some(flight), shared),
                    Some(_) => self.ask(Step::AskingAgain(flight), shared),
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
            Some(wait) => self.stay(Step::Waiting(wait)),
            None => self.miss(None, shared),
        }
    }

    /// The other flight has landed, or the wait is over.
    fn waited(self: Box<Self>, wait: &Wait, now: Duration, shared: &SharedExchange) -> Looked {
        if self.redis().is_some() {
            return match wait.is_over(now) {
                true => self.miss(None, shared),
                false => self.ask(Step::AskingLast, shared),
            };
        }
        let found = memory::find(&self.key, self.place.memory(), self.time(), now);
        let entry = match found {
            Found::Placed(placed) => memory::read(&placed, &self.key, self.place.memory()),
            Found::Flying | Found::Nothing => None,
        };
        match entry.filter(|entry| self.accepts(entry, now)) {
            Some(entry) => self.hit(entry, now, shared),
            None => self.miss(None, shared),
        }
    }

    /// Answers with an entry. One that cannot be the client's stream is none.
    fn hit(&self, entry: Entry, now: Duration, shared: &SharedExchange) -> Looked {
        let answer = Answer::of(&shared.borrow(), &entry, now);
        match answer {
            Some(answer) => {
                note(shared, Cached::hit(self.place.name(), &entry, now));
                Looked::Hit(answer)
            }
            None => self.miss(None, shared),
        }
    }

    fn miss(&self, flight: Option<Flight>, shared: &SharedExchange) -> Looked {
        note(shared, Cached::missed(self.place.name(), CacheResult::Miss));
        Looked::Miss(Some(Box::new(Keeping::new(self.place.clone(), self.key, flight))))
    }
}

fn note(shared: &SharedExchange, cached: Cached) {
    count_cache(&cached.model, cached.result, cached.saved);
    shared.borrow_mut().set_cached(cached);
}

/// A client's answer.
pub struct Answer {
    content_type: &'static str,
    age: u64,
    body: Vec<u8>,
}

impl Answer {
    fn of(exchange: &Exchange, entry: &Entry, now: Duration) -> Option<Self> {
        let (parsed, form) = (exchange.parsed()?, exchange.stream_form());
        let body = match parsed.stream {
            true => as_stream(parsed.endpoint, &entry.body, form)?,
            false => entry.body.clone(),
        };
        let content_type = content_type(parsed.endpoint, parsed.stream, form);
        Some(Answer { content_type, age: entry.age(now).as_secs(), body })
    }

    /// Sends it. It passes the other filters, as the answer of a model server does.
    pub fn reply(&self) -> Action {
        let age = self.age.to_string();
        let headers = [("content-type", self.content_type), (CACHE_HEADER, CacheResult::Hit.name()), ("age", &age)];
        host::reply(200, "sluice:cache", &headers, &self.body);
        Action::Pause
    }
}
