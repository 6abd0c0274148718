//! Counters and histograms with labels. A label set is defined at Envoy once, and then used through its handle.
//!
//! Counts are stored here until the next tick, so that many requests cost as many calls to Envoy as one. (A VM that
//! crashes loses unpublished counts.) Histogram values cannot be added up, so each is a call.

use std::cell::RefCell;
use std::time::Duration;

use hashbrown::hash_map::EntryRef;
use hashbrown::HashMap;
use sluice::cache::CacheResult;
use sluice::exchange::{Cached, Exchange};
use sluice::guard::checks::CheckPhase;
use sluice::kinds::Found;
use sluice::outcome::Outcome;
use sluice::usage::{TokenUsage, UsageSource};
use sluice::wire_names::{stats, MAX_HISTOGRAM_SETS, MAX_LABEL_SETS, MAX_LABEL_SETS_OF_KEY, OTHER};

use crate::host;

/// The labels of a request.
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

impl From<&Labels<'_>> for OwnedLabels {
    fn from(labels: &Labels<'_>) -> Self {
        let [key, model, cluster] = [labels.key, labels.model, labels.cluster].map(str::to_owned);
        OwnedLabels { key, model, cluster }
    }
}

impl hashbrown::Equivalent<OwnedLabels> for Labels<'_> {
    fn equivalent(&self, owned: &OwnedLabels) -> bool {
        self.key == owned.key && self.model == owned.model && self.cluster == owned.cluster
    }
}

/// The model and the cluster of histograms.
#[derive(PartialEq, Eq, Hash)]
struct OwnedHistogramLabels(String, String);

#[derive(PartialEq, Eq, Hash)]
struct HistogramLabels<'a>(&'a str, &'a str);

impl hashbrown::Equivalent<OwnedHistogramLabels> for HistogramLabels<'_> {
    fn equivalent(&self, owned: &OwnedHistogramLabels) -> bool {
        self.0 == owned.0 && self.1 == owned.1
    }
}

/// The counters of one label set, defined when they are first used.
#[derive(Default)]
struct Counters {
    requests: Vec<(u16, u32)>,
    tokens: [Option<u32>; 9],
    cost: Option<u32>,
}

/// The histograms of one model and cluster, defined when they are first used.
#[derive(Default)]
struct Histograms {
    time_to_first_token: Option<u32>,
    duration: Option<u32>,
    output_speed: Option<u32>,
}

/// One request's counts.
#[derive(Clone, Copy)]
pub struct Counted {
    /// The status the client got.
    pub status: u16,
    /// The tokens; `None` if no upstream answered.
    pub usage: Option<(TokenUsage, UsageSource)>,
    /// Their cost, in millionths of a dollar.
    pub cost: u64,
    /// Whether a token names the key: the number of such keys is unlimited.
    pub issued: bool,
}

/// Unpublished counts, by handle.
#[derive(Default)]
struct Pending(Vec<(u32, i64)>);

impl Pending {
    fn add(&mut self, metric: u32, by: i64) {
        match self.0.iter_mut().find(|(known, _)| *known == metric) {
            Some((_, count)) => *count = count.saturating_add(by),
            None => self.0.push((metric, by)),
        }
        if self.0.len() > MAX_PENDING {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for (metric, count) in self.0.drain(..) {
            host::increment(metric, count);
        }
    }
}

#[derive(Default)]
struct Metrics {
    pending: Pending,
    by_labels: HashMap<OwnedLabels, Counters>,
    /// The number of label sets of each key.
    sets: HashMap<String, usize>,
    by_place: HashMap<OwnedHistogramLabels, Histograms>,
    sources: Vec<(UsageSource, u32)>,
    attempts: HashMap<String, Vec<(Outcome, u32)>>,
    checks: HashMap<String, CheckMetrics>,
    caches: HashMap<String, Vec<(&'static str, u32)>>,
    kinds: HashMap<String, KindCounters>,
}

/// The counters of a virtual model's kinds, by how they were found.
type KindCounters = Vec<((String, Found), u32)>;

/// One check's counters.
#[derive(Default)]
struct CheckMetrics {
    verdicts: Vec<((CheckPhase, &'static str), u32)>,
    duration: Option<u32>,
}

/// The maximum number of unpublished counters, because they are searched linearly.
const MAX_PENDING: usize = 32;

thread_local! {
    static METRICS: RefCell<Metrics> = RefCell::default();
}

/// Counts a request, its tokens and their cost.
pub fn count_request(labels: Labels<'_>, request: Counted) {
    METRICS.with_borrow_mut(|metrics| {
        let labels = metrics.bounded(labels, request.issued);
        let counters = match metrics.by_labels.entry_ref(&labels) {
            EntryRef::Occupied(known) => known.into_mut(),
            EntryRef::Vacant(new) => {
                *metrics.sets.entry_ref(labels.key).or_default() += 1;
                new.insert_with_key(OwnedLabels::from(&labels), Counters::default())
            }
        };
        counters.count(&mut metrics.pending, labels, request);
        if let Some((_, source)) = request.usage {
            let define = || host::define_counter(&stats::usage_source(source.label()));
            if let Some(counter) = find_or_define(&mut metrics.sources, source, define) {
                metrics.pending.add(counter, 1);
            }
        }
    });
}

/// Counts the tokens of a failed attempt, and their cost: the gateway pays for them. This is rare, so the counters are
/// not kept.
#[cold]
pub fn count_failed_usage(labels: Labels<'_>, issued: bool, tokens: &TokenUsage, cost: u64) {
    METRICS.with_borrow_mut(|metrics| {
        let Labels { key, model, cluster } = metrics.bounded(labels, issued);
        let counted =
            tokens.labelled().into_iter().map(|(kind, count)| (stats::tokens(key, model, cluster, kind), count));
        for (name, count) in counted.chain([(stats::cost(key, model, cluster), cost)]) {
            let counter = if count > 0 { host::define_counter(&stats::failed(&name)) } else { None };
            if let Some(counter) = counter {
                metrics.pending.add(counter, i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    });
}

/// Records a request that an upstream answered in the histograms; `streamed`: the tokens of a stream's answer.
pub fn measure_request(exchange: &Exchange, streamed: Option<u64>) {
    let ((_, model, cluster), timing) = (exchange.labels(), exchange.timing());
    METRICS.with_borrow_mut(|metrics| {
        let full = exchange.chosen_name().is_some() && metrics.by_place.len() >= MAX_HISTOGRAM_SETS;
        let model =
            if full && !metrics.by_place.contains_key(&HistogramLabels(model, cluster)) { OTHER } else { model };
        let histograms = match metrics.by_place.entry_ref(&HistogramLabels(model, cluster)) {
            EntryRef::Occupied(known) => known.into_mut(),
            EntryRef::Vacant(new) => {
                new.insert_with_key(OwnedHistogramLabels(model.to_owned(), cluster.to_owned()), Histograms::default())
            }
        };
        let measured = [
            (&mut histograms.duration, stats::REQUEST_DURATION, timing.whole()),
            (
                &mut histograms.time_to_first_token,
                stats::TIME_TO_FIRST_TOKEN,
                streamed.and_then(|_| timing.to_first_token()),
            ),
            (
                &mut histograms.output_speed,
                stats::OUTPUT_SPEED,
                streamed.and_then(|tokens| timing.tokens_per_second(tokens)),
            ),
        ];
        for (histogram, name, value) in measured {
            let Some(value) = value else {
                continue;
            };
            if histogram.is_none() {
                *histogram = host::define_histogram(&stats::histogram(name, model, cluster));
            }
            if let Some(histogram) = histogram {
                host::record(*histogram, value);
            }
        }
    });
}

/// The number of finished attempts at a cluster, in all workers.
pub fn ended_attempts(cluster: &str) -> u64 {
    flush();
    let counters = Outcome::ALL.map(|outcome| host::define_counter(&stats::attempts(cluster, outcome.label())));
    counters.into_iter().flatten().map(host::metric).sum()
}

/// Counts a check's verdict and its duration.
pub fn count_check(check: &str, phase: CheckPhase, verdict: &'static str, took: Duration) {
    METRICS.with_borrow_mut(|metrics| {
        let known = metrics.checks.entry_ref(check).or_default();
        let define = || host::define_counter(&stats::guard(check, phase.name(), verdict));
        if let Some(counter) = find_or_define(&mut known.verdicts, (phase, verdict), define) {
            metrics.pending.add(counter, 1);
        }
        known.duration = known.duration.or_else(|| host::define_histogram(&stats::guard_duration(check)));
        if let Some(histogram) = known.duration {
            host::record(histogram, u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        }
    });
}

/// The counter of hits of similar requests.
const SIMILAR: &str = "similar";

/// Counts what the cache did for a request, and the tokens of a hit.
pub fn count_cache(cached: &Cached) {
    let (model, result, (input, output)) = (cached.model.as_str(), cached.result, cached.saved);
    METRICS.with_borrow_mut(|metrics| {
        let known = metrics.caches.entry_ref(model).or_default();
        let saved = [("input", input), ("output", output), (SIMILAR, u64::from(cached.similarity.is_some()))];
        let saved = saved.into_iter().filter(|_| result == CacheResult::Hit);
        for (name, count) in std::iter::once((result.name(), 1)).chain(saved).filter(|(_, count)| *count > 0) {
            let define = || {
                host::define_counter(&match name {
                    "input" | "output" => stats::cache_saved(model, name),
                    SIMILAR => stats::cache_similar(model),
                    result => stats::cache(model, result),
                })
            };
            if let Some(counter) = find_or_define(known, name, define) {
                metrics.pending.add(counter, i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    });
}

/// Counts a request to a virtual model (with its configured name).
pub fn count_kind(model: &str, kind: &str, found: Found) {
    METRICS.with_borrow_mut(|metrics| {
        let known = metrics.kinds.entry_ref(model).or_default();
        let place = known.iter().position(|((of, how), _)| of == kind && *how == found);
        let counter = match place.and_then(|place| known.get(place)) {
            Some((_, counter)) => Some(*counter),
            None => find_or_define(known, (kind.to_owned(), found), || {
                host::define_counter(&stats::kinds(model, kind, found.name()))
            }),
        };
        if let Some(counter) = counter {
            metrics.pending.add(counter, 1);
        }
    });
}

/// Counts a request to a model (with its configured name) that is not what its API takes. This is rare, so the counter is
/// not kept.
#[cold]
pub fn count_invalid(model: &str, field: &str) {
    METRICS.with_borrow_mut(|metrics| {
        if let Some(counter) = host::define_counter(&stats::invalid_requests(model, field)) {
            metrics.pending.add(counter, 1);
        }
    });
}

/// Publishes all counts.
pub fn flush() {
    METRICS.with_borrow_mut(|metrics| metrics.pending.flush());
}

/// Counts an attempt.
pub fn count_attempt(cluster: &str, outcome: Outcome) {
    METRICS.with_borrow_mut(|metrics| {
        let define = || host::define_counter(&stats::attempts(cluster, outcome.label()));
        let known = metrics.attempts.entry_ref(cluster).or_default();
        if let Some(counter) = find_or_define(known, outcome, define) {
            metrics.pending.add(counter, 1);
        }
    });
}

impl Metrics {
    /// The labels themselves, or the combined ones if a key has too many label sets, or all together. A configured key
    /// keeps its name.
    fn bounded<'a>(&self, labels: Labels<'a>, issued: bool) -> Labels<'a> {
        if self.by_labels.contains_key(&labels) {
            return labels;
        }
        let sets = self.sets.get(labels.key).copied().unwrap_or(0);
        match (self.by_labels.len() >= MAX_LABEL_SETS, sets >= MAX_LABEL_SETS_OF_KEY) {
            (false, false) => labels,
            (true, _) if issued => Labels { key: OTHER, model: OTHER, ..labels },
            (true, _) | (false, true) => Labels { model: OTHER, ..labels },
        }
    }
}

impl Counters {
    fn count(&mut self, pending: &mut Pending, labels: Labels<'_>, request: Counted) {
        let Labels { key, model, cluster } = labels;
        let Counted { status, usage, cost, issued: _ } = request;
        let define = || host::define_counter(&stats::requests(key, model, cluster, status));
        if let Some(counter) = find_or_define(&mut self.requests, status, define) {
            pending.add(counter, 1);
        }
        if cost > 0 {
            self.cost = self.cost.or_else(|| host::define_counter(&stats::cost(key, model, cluster)));
            if let Some(counter) = self.cost {
                pending.add(counter, i64::try_from(cost).unwrap_or(i64::MAX));
            }
        }
        let Some((tokens, _)) = usage else {
            return;
        };
        for ((kind, count), counter) in tokens.labelled().into_iter().zip(&mut self.tokens) {
            if count > 0 {
                if counter.is_none() {
                    *counter = host::define_counter(&stats::tokens(key, model, cluster, kind));
                }
                if let Some(counter) = counter {
                    pending.add(*counter, i64::try_from(count).unwrap_or(i64::MAX));
                }
            }
        }
    }
}

/// The counter for `key`; it is defined at its first use.
pub fn find_or_define<K: PartialEq>(
    known: &mut Vec<(K, u32)>,
    key: K,
    define: impl FnOnce() -> Option<u32>,
) -> Option<u32> {
    if let Some((_, counter)) = known.iter().find(|(known, _)| *known == key) {
        return Some(*counter);
    }
    let counter = define()?;
    known.push((key, counter));
    Some(counter)
}
