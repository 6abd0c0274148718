//! An answer on its way to the client, which is kept once everything is known about it.

use sluice::cache::{collect, storable, webdis, CacheKey, Entry, Store};
use sluice::exchange::Exchange;
use sluice::memory_budget::Purpose;

use super::flights::Flight;
use super::memory;
use super::place::ModelCache;
use super::services::{self, Kind, Write};
use super::vectors::{self, Known};
use crate::budget;
use crate::host::{self, Buffer};

/// How many times as long as its text a stream may be: each token is an event.
const STREAMED: usize = 16;

/// An answer to keep. Its flight ends with it.
pub struct Keeping {
    place: ModelCache,
    key: CacheKey,
    flight: Option<Flight>,
    /// What similar requests will find it by.
    known: Option<Known>,
    bytes: Vec<u8>,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    /// More may follow.
    Arriving,
    /// It is there.
    Complete,
    /// It is too long, or there is no memory for it.
    GivenUp,
}

impl Keeping {
    /// The answer to a request that has missed.
    pub fn new(place: ModelCache, key: CacheKey, flight: Option<Flight>, known: Option<Known>) -> Self {
        Keeping { place, key, flight, known, bytes: Vec::new(), state: State::Arriving }
    }

    /// A piece of the answer is passing, or its end.
    pub fn chunk(&mut self, size: usize, end: bool, exchange: &Exchange) {
        if self.state != State::Arriving {
            return;
        }
        if size > 0 || end {
            let most = self.place.policy().map_or(0, |policy| policy.max_entry);
            let most = if exchange.streams() { most.saturating_mul(STREAMED) } else { most };
            // all of it: the previous filter may have replaced what has just arrived
            match budget::receive(Purpose::Answer, Buffer::ResponseBody, 0, usize::MAX) {
                Ok(bytes) if self.bytes.len() + bytes.len() <= most && budget::room(Purpose::Answer) > 0 => {
                    self.bytes.extend_from_slice(&bytes);
                }
                Ok(_) | Err(_) => {
                    self.state = State::GivenUp;
                    self.bytes = Vec::new();
                }
            }
        }
        if end && self.state == State::Arriving {
            self.state = State::Complete;
        }
    }

    /// The request has ended: keeps the answer, if it can be given again.
    pub fn end(mut self, exchange: &Exchange) {
        let Some(entry) = self.entry(exchange) else {
            return;
        };
        let Some(policy) = self.place.policy() else {
            return;
        };
        let flight = self.flight.take();
        if let Some(known) = self.known.take() {
            vectors::keep(&self.place, &entry.key, known, entry.created);
        }
        match &policy.store {
            Store::Memory => {
                let memory = self.place.memory();
                match flight {
                    Some(flight) => flight.end_with(|owner| memory::put(&entry, memory, Some(owner))),
                    None => memory::put(&entry, memory, None),
                }
            }
            Store::Redis { cluster, .. } => {
                let callout = webdis::set(cluster, &entry, policy.time);
                services::write(Write { kind: Kind::Store, callout, flight });
            }
        }
    }

    fn entry(&mut self, exchange: &Exchange) -> Option<Entry> {
        if self.state != State::Complete || !exchange.may_keep_answer() {
            return None;
        }
        let (policy, endpoint) = (self.place.policy()?, exchange.parsed()?.endpoint);
        let usage = exchange.usage().map(|(tokens, _)| tokens);
        let body = collect(endpoint, std::mem::take(&mut self.bytes), usage.as_ref()).ok()?;
        if body.len() > policy.max_entry || storable(endpoint, &body, policy.tools).is_err() {
            return None;
        }
        let (input, output) = usage.map_or((0, 0), |tokens| (tokens.input, tokens.output));
        Some(Entry { key: self.key, created: host::now(), input, output, body })
    }
}
