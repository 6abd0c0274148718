//! This worker's vectors of the requests whose answers are kept, by model; and vectors that go to a database.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use hashbrown::HashMap;
use sluice::cache::semantic::{Comparison, Group, Index, Semantic, Similar};
use sluice::cache::CacheKey;
use sluice::embeddings::Vector;
use sluice::memory_budget::Purpose;

use super::place::ModelCache;
use super::services::{self, Kind, Write};
use crate::budget;

/// The maximum number of models with vectors: after a change of the configuration, those of other names remain.
const MAX_MODELS: usize = 256;
/// How often a worker has a database remove what has ended.
const CLEANED_EVERY: Duration = Duration::from_secs(10 * 60);

thread_local! {
    static INDEXES: RefCell<HashMap<String, Index>> = RefCell::default();
    static CLEANED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// What a request is compared by, and its vector once that is known.
pub struct Compared {
    pub comparison: Comparison,
    pub vector: Option<Vector>,
}

/// What a request's answer will be found by.
pub struct Known {
    group: Group,
    vector: Vector,
}

impl Compared {
    /// What the answer will be found by, if there is a vector.
    pub fn known(self) -> Option<Known> {
        Some(Known { group: self.comparison.group, vector: self.vector? })
    }
}

/// The most similar request in this worker's memory.
pub fn find(place: &ModelCache, semantic: &Semantic, group: Group, vector: &Vector, now: Duration) -> Option<Similar> {
    let time = place.policy()?.time;
    INDEXES.with_borrow(|indexes| indexes.get(place.name())?.find(group, vector, semantic.threshold, (now, time)))
}

/// Forgets a request whose answer is no longer kept.
pub fn forget(place: &ModelCache, key: &CacheKey) {
    INDEXES.with_borrow_mut(|indexes| {
        if let Some(index) = indexes.get_mut(place.name()) {
            index.forget(key);
        }
    });
}

/// The answer to a request is kept.
pub fn keep(place: &ModelCache, key: &CacheKey, known: Known, now: Duration) {
    let Some((policy, semantic)) = place.policy().and_then(|policy| Some((policy, policy.semantic.as_deref()?))) else {
        return;
    };
    let Known { group, vector } = known;
    if let Some(database) = &semantic.database {
        services::write(write(database.insert(group, key, &vector, now + policy.time)));
        if now.abs_diff(CLEANED.get()) >= CLEANED_EVERY {
            CLEANED.set(now);
            services::write(write(database.clean(now)));
        }
        return;
    }
    if !budget::admits(Purpose::Check, size_of_val(vector.numbers())) {
        return;
    }
    INDEXES.with_borrow_mut(|indexes| {
        if indexes.len() < MAX_MODELS || indexes.contains_key(place.name()) {
            let index = indexes.entry_ref(place.name()).or_default();
            index.insert(group, *key, vector, (now, semantic.max_entries));
        }
    });
}

fn write(callout: sluice::callout::Callout) -> Write {
    Write { kind: Kind::Semantic, callout, flight: None }
}
