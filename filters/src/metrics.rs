//! Counters with labels. A set of labels is defined at Envoy once and then counted by its handle.
//!
//! Counts are gathered here and reach Envoy at once while there is little to do, and at the next tick (see
//! [`TICK`]) under load: a call to Envoy costs more than all the arithmetic around it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use hashbrown::HashMap;
use sluice::contract::{stats, MAX_LABEL_SETS, OTHER};
use sluice::outcome::Outcome;
use sluice::usage::{Source, TokenUsage};

use crate::host;

/// How long a count may wait at most.
pub const TICK: Duration = Duration::from_millis(50);

/// Who asked for what, and where it was served.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Labels<'a> {
    /// The key's id.
    pub key: &'a str,
    /// The model.
    pub model: &'a str,
    /// The cluster.
    pub cluster: &'a str,
}

#[derive(PartialEq, Eq, Hash)]
struct OwnedLabels {
    key: String,
    model: String,
    cluster: String,
}

impl hashbrown::Equivalent<OwnedLabels> for Labels<'_> {
    fn equivalent(&self, owned: &OwnedLabels) -> bool {
        self.key == owned.key && self.model == owned.model && self.cluster == owned.cluster
    }
}

/// A counter at Envoy, and what it has not been told yet.
struct Counter {
    id: u32,
    pending: u64,
}

/// The counters of this VM.
#[derive(Default)]
struct Counters(Vec<Counter>);

/// A counter's place in [`Counters`].
#[derive(Clone, Copy)]
struct Handle(usize);

impl Counters {
    fn define(&mut self, name: &str) -> Option<Handle> {
        let id = host::define_counter(name)?;
        self.0.push(Counter { id, pending: 0 });
        Some(Handle(self.0.len() - 1))
    }

    fn add(&mut self, handle: Option<Handle>, count: u64) {
        if let Some(counter) = handle.and_then(|Handle(index)| self.0.get_mut(index)) {
            counter.pending = counter.pending.saturating_add(count);
        }
    }

    fn flush(&mut self) {
        for counter in &mut self.0 {
            host::increment(counter.id, std::mem::take(&mut counter.pending));
        }
    }
}

/// The counters of one set of labels, defined as they are needed.
#[derive(Default)]
struct LabelSet {
    requests: Vec<(u16, Handle)>,
    tokens: [Option<Handle>; 7],
}

#[derive(Default)]
struct Metrics {
    counters: Counters,
    by_labels: HashMap<OwnedLabels, LabelSet>,
    sources: Vec<(Source, Handle)>,
    attempts: HashMap<String, Vec<(Outcome, Handle)>>,
}

thread_local! {
    static METRICS: RefCell<Metrics> = RefCell::default();
    /// A tick has passed since the last counts went to Envoy.
    static DUE: Cell<bool> = const { Cell::new(true) };
}

/// Sends to Envoy what is pending. Called at every tick, of whichever filter.
pub fn tick() {
    METRICS.with_borrow_mut(|metrics| metrics.counters.flush());
    DUE.set(true);
}

/// Counts a request and its tokens. `usage` is `None` for a request that no upstream answered.
pub fn count_request(labels: Labels<'_>, status: u16, usage: Option<(TokenUsage, Source)>) {
    METRICS.with_borrow_mut(|metrics| metrics.count_request(labels, status, usage));
    if DUE.replace(false) {
        METRICS.with_borrow_mut(|metrics| metrics.counters.flush());
    }
}

/// Counts an attempt.
pub fn count_attempt(cluster: &str, outcome: Outcome) {
    METRICS.with_borrow_mut(|metrics| metrics.count_attempt(cluster, outcome));
}

impl Metrics {
    fn count_request(&mut self, labels: Labels<'_>, status: u16, usage: Option<(TokenUsage, Source)>) {
        let full = self.by_labels.len() >= MAX_LABEL_SETS && !self.by_labels.contains_key(&labels);
        let labels = if full { Labels { model: OTHER, key: OTHER, ..labels } } else { labels };
        if !self.by_labels.contains_key(&labels) {
            let owned = OwnedLabels {
                key: labels.key.to_owned(),
                model: labels.model.to_owned(),
                cluster: labels.cluster.to_owned(),
            };
            self.by_labels.insert(owned, LabelSet::default());
        }
        if let Some(set) = self.by_labels.get_mut(&labels) {
            set.count(&mut self.counters, labels, status, usage.map(|(tokens, _)| tokens));
        }
        if let Some((_, source)) = usage {
            let counters = &mut self.counters;
            let name = || stats::usage_source(source.label());
            let handle = find_or_define(&mut self.sources, source, counters, name);
            counters.add(handle, 1);
        }
    }

    fn count_attempt(&mut self, cluster: &str, outcome: Outcome) {
        if !self.attempts.contains_key(cluster) {
            self.attempts.insert(cluster.to_owned(), Vec::new());
        }
        if let Some(known) = self.attempts.get_mut(cluster) {
            let name = || stats::attempts(cluster, outcome.label());
            let handle = find_or_define(known, outcome, &mut self.counters, name);
            self.counters.add(handle, 1);
        }
    }
}

impl LabelSet {
    fn count(&mut self, counters: &mut Counters, labels: Labels<'_>, status: u16, tokens: Option<TokenUsage>) {
        let Labels { key, model, cluster } = labels;
        let name = || stats::requests(key, model, cluster, status);
        let handle = find_or_define(&mut self.requests, status, counters, name);
        counters.add(handle, 1);
        let Some(tokens) = tokens else {
            return;
        };
        for ((kind, count), handle) in tokens.labelled().into_iter().zip(&mut self.tokens) {
            if count > 0 {
                if handle.is_none() {
                    *handle = counters.define(&stats::tokens(key, model, cluster, kind));
                }
                counters.add(*handle, count);
            }
        }
    }
}

fn find_or_define<K: PartialEq>(
    known: &mut Vec<(K, Handle)>,
    key: K,
    counters: &mut Counters,
    name: impl FnOnce() -> String,
) -> Option<Handle> {
    if let Some((_, handle)) = known.iter().find(|(known, _)| *known == key) {
        return Some(*handle);
    }
    let handle = counters.define(&name())?;
    known.push((key, handle));
    Some(handle)
}
