//! The steps of a request that looks for a similar one.

use std::time::Duration;

use sluice::cache::semantic::{chroma, Semantic, Similar};
use sluice::cache::Found;
use sluice::embeddings;

use super::lookup::{Looked, LookupStep, Pending};
use super::services::{self, Heard, Kind};
use super::{memory, vectors};
use crate::registry::SharedExchange;

impl Pending {
    fn semantic(&self) -> Option<&Semantic> {
        self.place.policy()?.semantic.as_deref()
    }

    /// Asks for the request's vector, if the model has a semantic cache and nobody has asked before.
    pub(super) fn look_for_similar(self: Box<Self>, now: Duration, shared: &SharedExchange) -> Looked {
        let asked = self.semantic().zip(self.compared.as_ref()).is_some_and(|(semantic, compared)| {
            let callout = || semantic.embedder.callout(&[&compared.comparison.text]);
            compared.vector.is_none() && services::ask(Kind::Semantic, &callout(), embeddings::MAX_ANSWER, self.context)
        });
        match asked {
            true => self.stay(LookupStep::Embedding),
            false => self.take_off(now, shared),
        }
    }

    /// The vector is there, or it cannot be had.
    pub(super) fn embedded(mut self: Box<Self>, now: Duration, shared: &SharedExchange) -> Looked {
        let vector = match services::heard(self.context) {
            None => return self.stay(LookupStep::Embedding),
            Some(Heard::Found(bytes)) => embeddings::read(200, &bytes, 1).map(|mut vectors| vectors.pop()),
            Some(Heard::Nothing | Heard::Away) => Ok(None),
        };
        if let (Err(problem), Some(semantic)) = (&vector, self.semantic()) {
            services::failed(Kind::Semantic, &semantic.embedder.service.cluster, "shape", &problem.to_string());
        }
        let (Some(vector), Some(semantic), Some(compared)) = (
            vector.ok().flatten(),
            self.place.policy().and_then(|policy| policy.semantic.as_deref()),
            &mut self.compared,
        ) else {
            return self.take_off(now, shared);
        };
        let group = compared.comparison.group;
        let (known, is_asked) = match &semantic.database {
            None => (vectors::find(&self.place, semantic, group, &vector, now), false),
            Some(database) => {
                let query = database.query(group, &vector, now);
                (None, services::ask(Kind::Semantic, &query, chroma::MAX_ANSWER, self.context))
            }
        };
        compared.vector = Some(vector);
        match known {
            Some(similar) => self.fetch(similar, now, shared),
            None if is_asked => self.stay(LookupStep::Searching),
            None => self.take_off(now, shared),
        }
    }

    /// Handles the vector database's answer.
    pub(super) fn searched(self: Box<Self>, now: Duration, shared: &SharedExchange) -> Looked {
        let bytes = match services::heard(self.context) {
            None => return self.stay(LookupStep::Searching),
            Some(Heard::Found(bytes)) => bytes,
            Some(Heard::Nothing | Heard::Away) => return self.take_off(now, shared),
        };
        let (Some(semantic), Some(vector)) =
            (self.semantic(), self.compared.as_ref().and_then(|all| all.vector.as_ref()))
        else {
            return self.take_off(now, shared);
        };
        match chroma::read(&bytes, vector, semantic.threshold) {
            Ok(Some(similar)) => self.fetch(similar, now, shared),
            Ok(None) => self.take_off(now, shared),
            Err(_) => {
                if let Some(database) = &semantic.database {
                    let text = "the vector database answered something else than what was asked";
                    services::failed(Kind::Semantic, &database.service.cluster, "shape", text);
                }
                self.take_off(now, shared)
            }
        }
    }

    /// Reads the answer to a similar request.
    fn fetch(self: Box<Self>, similar: Similar, now: Duration, shared: &SharedExchange) -> Looked {
        if self.redis().is_some() {
            return self.ask(LookupStep::AskingSimilar(similar), shared);
        }
        let found = memory::find(&similar.key, self.place.memory(), self.time(), now);
        let entry = match found {
            Found::Placed(placed) => memory::read(&placed, &similar.key, self.place.memory()),
            Found::Flying | Found::Nothing => None,
        };
        if entry.is_none() {
            vectors::forget(&self.place, &similar.key);
        }
        match entry.filter(|entry| self.accepts(entry, now)) {
            Some(entry) => self.hit(entry, Some(similar.similarity), now, shared),
            None => self.take_off(now, shared),
        }
    }
}
