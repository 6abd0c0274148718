//! The routing table: upstreams, models and their targets, fixed once configured.

use std::rc::Rc;
use std::time::Duration;

use hashbrown::HashMap;

use super::options::{AnswerHeaders, ResponseModel, CACHE_MEMORY, HOLD_JSON, STORED_RESPONSES};
use super::paths::Paths;
use super::retry::{BudgetBalance, Retry};
use super::upstream::Upstream;
use super::{Strategy, TargetSet};
use crate::cache::CachePolicy;
use crate::endpoint::{Dialect, Endpoint, Further};
use crate::kinds::Choose;
use crate::limits::Limits;
use crate::order::by_number;
use crate::presets::Presets;
use crate::translate::{Pair, MAX_OUTPUT_TOKENS};
use crate::usage::Price;
use crate::validation::Validate;

/// One target of a model.
#[derive(Clone, Debug)]
pub struct Target {
    /// Index of the upstream in the table.
    pub upstream: usize,
    /// The upstream's name for the model; the client's name if absent.
    pub model: Option<String>,
    /// The price of its tokens, if it differs from the model's.
    pub price: Option<Price>,
}

/// A model and its targets.
#[derive(Debug)]
pub struct Model {
    /// The name; ends in `*` if it stands for every name with that prefix.
    pub name: String,
    /// Other names for it.
    pub aliases: Vec<String>,
    /// Its targets.
    pub targets: Vec<Target>,
    /// How a target is picked.
    pub strategy: Box<dyn Strategy>,
    /// How failed attempts are retried.
    pub retry: Retry,
    /// The balance of its retry budget, if it has one.
    pub balance: Option<BudgetBalance>,
    /// The fallbacks, as indices, in order.
    pub fallbacks: Vec<usize>,
    /// The index of the model that serves requests too long for this model's context.
    pub context_length_fallback: Option<usize>,
    /// The output limit for providers that require one, if the client sets none.
    pub max_output_tokens: u64,
    /// Its limits, for all callers together.
    pub limits: Limits,
    /// The price of its tokens, if it is known.
    pub price: Option<Price>,
    /// Its cache, if it has one.
    pub cache: Option<Box<CachePolicy>>,
    /// Its settings for requests, if it has any.
    pub presets: Option<Box<Presets>>,
    /// How it chooses another model, if it is a virtual one: then it has no targets.
    pub choose: Option<Box<Choose>>,
    /// Whether its requests are checked, if it says so itself.
    pub validate: Option<Validate>,
    speaking: [TargetSet; Dialect::ALL.len()],
    /// Those of them that do not serve an endpoint of [`OPTIONAL`].
    without: [TargetSet; OPTIONAL.len()],
    /// The targets that each pair is used for.
    translating: [TargetSet; Pair::ALL.len()],
}

/// The endpoints that some servers of the dialect do not have.
const OPTIONAL: [Endpoint; 4] = [
    Endpoint::Responses,
    Endpoint::Further(Further::InputTokens),
    Endpoint::Further(Further::Tokenize),
    Endpoint::Further(Further::TokenCount),
];

impl Model {
    /// All its names: its own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.aliases).map(String::as_str)
    }

    /// A model with `targets`, which refer to `upstreams` by index.
    pub fn new(
        name: String,
        aliases: Vec<String>,
        targets: Vec<Target>,
        strategy: Box<dyn Strategy>,
        retry: Retry,
        upstreams: &[Upstream],
    ) -> Self {
        let speaking = Dialect::ALL.map(|dialect| {
            let mut speaking = TargetSet::default();
            for (index, target) in targets.iter().enumerate() {
                if upstreams.get(target.upstream).is_some_and(|upstream| upstream.dialects.contains(&dialect)) {
                    speaking.insert(index);
                }
            }
            speaking
        });
        let without = OPTIONAL.map(|endpoint| {
            let is_without =
                |target: &Target| upstreams.get(target.upstream).is_some_and(|upstream| !upstream.serves(endpoint));
            targets.iter().enumerate().filter(|(_, target)| is_without(target)).map(|(index, _)| index).collect()
        });
        let translating = Pair::ALL.map(|pair| {
            let is_used = |target: &Target| {
                upstreams.get(target.upstream).is_some_and(|upstream| upstream.pair(pair.source()) == Some(pair))
            };
            targets.iter().enumerate().filter(|(_, target)| is_used(target)).map(|(index, _)| index).collect()
        });
        let balance = retry.budget.map(BudgetBalance::new);
        Model {
            name,
            aliases,
            targets,
            strategy,
            retry,
            balance,
            fallbacks: Vec::new(),
            context_length_fallback: None,
            max_output_tokens: MAX_OUTPUT_TOKENS,
            limits: Limits::default(),
            price: None,
            cache: None,
            presets: None,
            choose: None,
            validate: None,
            speaking,
            without,
            translating,
        }
    }

    /// The targets with a dialect.
    pub fn speaking(&self, dialect: Dialect) -> TargetSet {
        self.speaking.get(dialect.index()).copied().unwrap_or_default()
    }

    /// Whether any target has a dialect.
    pub fn speaks(&self, dialect: Dialect) -> bool {
        !self.speaking(dialect).is_empty()
    }

    /// The targets that serve an endpoint without translation.
    pub fn serving(&self, endpoint: Endpoint) -> TargetSet {
        let speaking = self.speaking(endpoint.dialect());
        let place = OPTIONAL.iter().position(|optional| *optional == endpoint);
        match place.and_then(|place| self.without.get(place)) {
            Some(without) => speaking.without(*without),
            None => speaking,
        }
    }

    /// The targets at one upstream.
    pub fn at(&self, upstream: usize) -> TargetSet {
        let is_there = |(_, target): &(usize, &Target)| target.upstream == upstream;
        self.targets.iter().enumerate().filter(is_there).map(|(index, _)| index).collect()
    }

    /// The targets that a request to an endpoint can be translated for.
    pub fn translating(&self, endpoint: Endpoint) -> TargetSet {
        let pairs = Pair::ALL.iter().zip(&self.translating);
        pairs
            .filter(|(pair, _)| pair.source() == endpoint)
            .fold(TargetSet::default(), |all, (_, some)| all.union(*some))
    }

    /// Its name at targets without their own. `is_asked`: it is what the client has asked for, by the name `asked`, and does
    /// not stand in for another model.
    pub fn name_for<'a>(&'a self, is_asked: bool, asked: &'a str) -> &'a str {
        if is_asked || self.name.ends_with('*') {
            asked
        } else {
            &self.name
        }
    }

    /// The dialects in which the model can be requested.
    pub fn dialects(&self) -> impl Iterator<Item = Dialect> + '_ {
        Dialect::ALL.into_iter().filter(|dialect| self.speaks(*dialect))
    }
}

/// All models and upstreams.
#[derive(Debug)]
pub struct Table {
    upstreams: Vec<Upstream>,
    /// The models, then the further paths.
    models: Vec<Model>,
    /// The number of models.
    named: usize,
    paths: Rc<Paths>,
    by_name: HashMap<String, usize>,
    /// Prefixes and their models, longest first.
    prefixes: Vec<(String, usize)>,
    /// The largest percentage of a model's targets that may be ejected.
    pub max_ejected_percent: u32,
    /// The longest JSON answer that is held until it is complete, in bytes; 0: none.
    pub hold_json: usize,
    /// When answers name their cluster and the outcomes of attempts.
    pub answer_headers: AnswerHeaders,
    /// The model's name in answers.
    pub response_model: ResponseModel,
    /// How long the gateway remembers which upstream stores a response; `None`: not at all.
    pub stored_responses: Option<Duration>,
    /// How long a stalled answer is held after it has begun; `None`: until its timeout.
    pub hold: Option<Duration>,
    /// The memory of all kept answers in this Envoy, in bytes.
    pub cache_memory: usize,
    /// Whether any model has a cache.
    pub has_caches: bool,
    /// The model of requests that name none.
    pub default_model: Option<String>,
    /// Whether requests are checked, by default.
    pub validate: Validate,
    /// Whether any model has settings for requests, or has them checked.
    prepares_some: bool,
    /// Whether any model is virtual.
    pub has_kinds: bool,
}

impl Table {
    /// A table without models.
    pub fn new(upstreams: Vec<Upstream>) -> Self {
        Table {
            upstreams,
            models: Vec::new(),
            named: 0,
            paths: Rc::default(),
            by_name: HashMap::new(),
            prefixes: Vec::new(),
            max_ejected_percent: 100,
            hold_json: HOLD_JSON,
            answer_headers: AnswerHeaders::default(),
            response_model: ResponseModel::default(),
            stored_responses: Some(STORED_RESPONSES),
            hold: None,
            cache_memory: CACHE_MEMORY,
            has_caches: false,
            default_model: None,
            validate: Validate::Off,
            prepares_some: false,
            has_kinds: false,
        }
    }

    /// Adds a model.
    ///
    /// # Errors
    /// The name or alias that is already taken.
    pub fn add(&mut self, model: Model) -> Result<(), String> {
        let index = self.models.len();
        for name in std::iter::once(&model.name).chain(&model.aliases) {
            let taken = match name.strip_suffix('*') {
                Some(prefix) => {
                    let taken = self.prefixes.iter().any(|(other, _)| other == prefix);
                    self.prefixes.push((prefix.to_owned(), index));
                    taken
                }
                None => self.by_name.insert(name.clone(), index).is_some(),
            };
            if taken {
                return Err(name.clone());
            }
        }
        by_number(&mut self.prefixes, |(prefix, _)| usize::MAX - prefix.len());
        if model.strategy.counts_in_flight() {
            for target in &model.targets {
                if let Some(upstream) = self.upstreams.get_mut(target.upstream) {
                    upstream.counts_in_flight = true;
                }
            }
        }
        self.has_caches |= model.cache.is_some();
        self.has_kinds |= model.choose.is_some();
        self.prepares_some |= model.presets.is_some() || model.validate.is_some_and(|mode| mode != Validate::Off);
        self.models.push(model);
        self.named = self.models.len();
        Ok(())
    }

    /// Adds a further path, as a model with one target. All models must be there already.
    pub fn add_path(&mut self, model: Model) {
        self.models.push(model);
    }

    /// Sets the further paths, which were added in the same order.
    pub fn set_paths(&mut self, paths: Paths) {
        self.paths = Rc::new(paths);
    }

    /// The further paths.
    pub fn paths(&self) -> &Rc<Paths> {
        &self.paths
    }

    /// The place of the further path that a request's path belongs to, among the models.
    pub fn find_path(&self, path: &str) -> Option<usize> {
        self.paths.find(path).map(|(index, _)| self.named + index)
    }

    /// Sets a model's fallbacks.
    pub fn set_fallbacks(&mut self, model: usize, fallbacks: Vec<usize>, context_length: Option<usize>) {
        if let Some(model) = self.models.get_mut(model) {
            model.fallbacks = fallbacks;
            model.context_length_fallback = context_length;
        }
    }

    /// The model for a client's name: an exact name or alias first, then the longest prefix.
    pub fn find(&self, name: &str) -> Option<usize> {
        let exact = self.by_name.get(name).copied();
        exact.or_else(|| self.prefixes.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, index)| *index))
    }

    /// The models, in configured order.
    pub fn models(&self) -> &[Model] {
        self.models.get(..self.named).unwrap_or_default()
    }

    /// A model, or a further path, by its index.
    pub fn model(&self, index: usize) -> Option<&Model> {
        self.models.get(index)
    }

    /// The upstreams, by name.
    pub fn upstreams(&self) -> &[Upstream] {
        &self.upstreams
    }

    /// The price of a model's tokens at one of its targets: the target's, the model's, or the one in its upstream's list.
    /// `asked` is the name for it at targets without their own.
    pub fn price_at(&self, model: &Model, target: &Target, asked: &str) -> Option<Price> {
        let listed = || {
            let prices = &self.upstream_of(target)?.prices;
            prices.get(target.model.as_deref().unwrap_or(asked)).copied()
        };
        target.price.or(model.price).or_else(listed)
    }

    /// A model's maximum cost, with `cost` computing it from each price: the maximum of its targets, and of the
    /// fallbacks that `may_use` permits. `asked` is the client's name for the model.
    pub fn highest_cost(
        &self,
        model: usize,
        asked: &str,
        may_use: impl Fn(&str) -> bool,
        cost: impl Fn(&Model, Price) -> u64,
    ) -> u64 {
        let Some(first) = self.models.get(model) else {
            return 0;
        };
        let others = first.fallbacks.iter().chain(&first.context_length_fallback);
        let others = others.filter_map(|index| self.models.get(*index)).filter(|model| may_use(&model.name));
        let costs = std::iter::once(first).chain(others).flat_map(|model| {
            let name = model.name_for(std::ptr::eq(model, first), asked);
            let prices = model.targets.iter().filter_map(move |target| self.price_at(model, target, name));
            prices.map(move |price| (model, price))
        });
        costs.map(|(model, price)| cost(model, price)).max().unwrap_or(0)
    }

    /// Whether some requests are read as their models want it.
    pub fn prepares_requests(&self) -> bool {
        self.prepares_some || self.default_model.is_some() || self.validate != Validate::Off
    }

    /// How long the gateway remembers which upstream stores a response, and for which key.
    pub fn remembers_responses(&self) -> Option<Duration> {
        self.stored_responses
    }

    /// The upstream a target refers to.
    pub fn upstream_of(&self, target: &Target) -> Option<&Upstream> {
        self.upstreams.get(target.upstream)
    }
}
