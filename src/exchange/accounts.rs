//! A request's usage: the estimate for limits, and the actual usage for billing.

use std::time::Duration;

use super::{Exchange, MAX_WARNINGS};
use crate::endpoint::Dialect;
use crate::limits::{prompt_tokens, ActualUsage, Quota, RateHeaders, Subject, UsageEstimate, Warning};
use crate::parsed_request::ParsedRequest;
use crate::rewrite::injects_usage;
use crate::routing::{Model, Route, RouteInput, Table};
use crate::usage::{complete, Counter, EstimateInput, Format, Framing, Meter, Price, TokenUsage, UsageSource};

impl Exchange {
    /// What the request asks of limits, before anything is known of its answer.
    pub fn usage_estimate(&self, microusd: u64, vm: u64) -> UsageEstimate {
        let parsed = self.parsed().filter(|parsed| parsed.uses_tokens());
        let prompt = parsed.map_or(0, |parsed| prompt_tokens(parsed.text_length));
        let output = parsed.and_then(|parsed| parsed.output_limit).unwrap_or(0);
        UsageEstimate { prompt, output, microusd, vm }
    }

    /// The field with which the request limits its output, if it does.
    pub fn output_field(&self) -> Option<&'static str> {
        self.parsed()?.output_field
    }

    /// The request's maximum cost, in millionths of a dollar: its prompt and its maximum output (by default the
    /// model's), at the most expensive possible target.
    pub fn cost_estimate(&self, table: &Table, model: usize) -> u64 {
        let Some(parsed) = self.parsed().filter(|parsed| parsed.uses_tokens()) else {
            return 0;
        };
        let generates = parsed.endpoint.answers_in_words();
        let input = prompt_tokens(parsed.text_length);
        let cost = |model: &Model, price: Price| {
            let output = parsed.output_limit.unwrap_or(model.max_output_tokens.saturating_mul(parsed.choices));
            let tokens = TokenUsage { input, output: if generates { output } else { 0 }, ..TokenUsage::default() };
            price.cost(&tokens).saturating_add(self.images().saturating_mul(price.image))
        };
        table.highest_cost(model, &parsed.model, |name| self.caller().may_use(name), cost)
    }

    /// Adds another filter's view of the client's limits: the tightest are reported.
    pub fn tell_rates(&mut self, rates: RateHeaders) {
        let tighter = |known: Option<Quota>, new: Option<Quota>| match (known, new) {
            (Some(known), Some(new)) if new.remaining >= known.remaining => Some(known),
            (known, None) => known,
            (_, new) => new,
        };
        self.rates.requests = tighter(self.rates.requests, rates.requests);
        self.rates.tokens = tighter(self.rates.tokens, rates.tokens);
    }

    /// Adds limits that have reached their `warn_at`. Of one limit, the later warning counts.
    pub fn warn_of_limits(&mut self, warnings: Vec<(Subject, Warning)>) {
        for (subject, warning) in warnings {
            let has_room = self.warnings.len() < MAX_WARNINGS;
            let same = |(known, of): &&mut (Subject, Warning)| *known == subject && of.what == warning.what;
            match self.warnings.iter_mut().find(same) {
                Some((_, known)) => *known = warning,
                None if has_room => self.warnings.push((subject, warning)),
                None => {}
            }
        }
    }

    /// The limits that have reached their `warn_at`.
    pub fn limit_warnings(&self) -> &[(Subject, Warning)] {
        &self.warnings
    }

    /// What the request has used in the end. Where nothing is known of an answer, the prompt counts in any case; a client
    /// cannot save tokens by leaving early. Of an answer that could not be read to its end, the estimate counts if it is more.
    pub fn actual_usage(&self) -> ActualUsage {
        // the responses of a WebSocket have been charged when they ended, and what the cache answers costs nothing
        if self.socket().is_some() || self.is_hit() {
            return ActualUsage::Nothing;
        }
        let under_way = self.has_begun() && self.phase.journey().is_some_and(|journey| journey.exhausted.is_none());
        match (self.usage, self.answered()) {
            (Some((tokens, UsageSource::Partial)), _) if self.answer_state().is_some_and(|answer| answer.unread) => {
                self.at_least(tokens)
            }
            (
                Some((
                    tokens,
                    UsageSource::Reported | UsageSource::Partial | UsageSource::Counted | UsageSource::Estimated,
                )),
                _,
            ) => ActualUsage::Reported { tokens: tokens.total(), microusd: self.cost(&tokens) },
            (Some((tokens, UsageSource::Missing)), _) => self.at_least(tokens),
            (None, Some(200..=299)) => self.at_least(TokenUsage::default()),
            (None, Some(_)) => ActualUsage::Nothing,
            // the client has left, and the model server may go on
            (None, None) if under_way => self.at_least(TokenUsage::default()),
            (None, None) => ActualUsage::Nothing,
        }
    }

    fn at_least(&self, known: TokenUsage) -> ActualUsage {
        let parsed = self.parsed().filter(|parsed| parsed.uses_tokens());
        let prompt = parsed.map_or(0, |parsed| prompt_tokens(parsed.text_length));
        let input = if known.input == 0 { prompt } else { known.input };
        let tokens = TokenUsage { input, ..known };
        ActualUsage::AtLeast { tokens: tokens.total(), microusd: self.cost(&tokens) }
    }

    /// The cost of these tokens, in millionths of a dollar, by the price of the target that served; 0 if it has none.
    /// Requested images may have a separate price.
    pub fn cost(&self, tokens: &TokenUsage) -> u64 {
        if let Some(known) = self.socket_cost() {
            return known;
        }
        self.price().map_or(0, |price| price.cost(tokens).saturating_add(self.images().saturating_mul(price.image)))
    }

    /// The price at the target of the current attempt, if it is known.
    pub(super) fn price(&self) -> Option<Price> {
        self.routed()?.price(&self.parsed()?.model)
    }

    /// The number of requested images.
    fn images(&self) -> u64 {
        let asks = |parsed: &&ParsedRequest| parsed.endpoint.makes_images();
        self.parsed().filter(asks).map_or(0, |parsed| parsed.choices)
    }

    /// The usage fields of the current target.
    pub fn format(&self) -> Format {
        self.routed().and_then(Route::upstream).map_or(Format::Auto, |upstream| upstream.usage.format)
    }

    /// The answer's usage, from its meter's result and the unreported tokens that the meter saw: an estimate, if the
    /// server has not reported everything. `None` for a command to the gateway itself.
    pub fn completed(
        &self,
        metered: (TokenUsage, UsageSource),
        unreported: Option<u64>,
    ) -> Option<(TokenUsage, UsageSource)> {
        if self.command().is_some() {
            return None;
        }
        if let Some(parsed) = self.parsed().filter(|parsed| !parsed.uses_tokens()) {
            return match (parsed.is_passed(), metered) {
                (false, _) => Some((TokenUsage::default(), UsageSource::Reported)),
                // what an unknown answer does not report is not known
                (true, (tokens, UsageSource::Reported | UsageSource::Partial)) if tokens.total() > 0 => Some(metered),
                (true, _) => None,
            };
        }
        let prompt = self.parsed().map(|parsed| parsed.layout.text);
        Some(complete(metered, EstimateInput { prompt, unreported, encoded: self.is_encoded() }))
    }

    /// The tokens that a failed attempt has generated, from the received part of its answer: the gateway pays for them,
    /// but the client gets nothing. With their cost, in millionths of a dollar; `None` if no output was received.
    pub fn failed_usage(&self, answer: &[u8]) -> Option<(TokenUsage, u64)> {
        let parsed = self.parsed().filter(|_| !self.is_encoded())?;
        let route = self.routed()?;
        let endpoint = match route.pair_at(route.place()) {
            Some(pair) => pair.target(parsed.stream),
            None => parsed.endpoint,
        };
        let framing = Framing::of_answer(endpoint.dialect(), parsed.stream, answer);
        let mut meter = Meter::new(framing, false).with_format(self.format());
        meter.chunk(answer, false); // complete or not, there is nothing more to read
        let (metered, unreported) = (meter.finish(), meter.unreported());
        let reported = metered.1 == UsageSource::Reported && metered.0.output > 0;
        if !reported && unreported.unwrap_or(0) == 0 {
            return None;
        }
        let known = EstimateInput { prompt: Some(parsed.layout.text), unreported, encoded: false };
        let (tokens, _) = complete(metered, known);
        Some((tokens, self.cost(&tokens)))
    }

    pub(super) fn counter(&self) -> Option<&Counter> {
        self.routed()?.upstream()?.usage.count.as_ref()
    }

    /// Whether the server that answered should count the prompt's tokens: it can count, and has not reported them.
    pub fn counts_prompt(&self) -> bool {
        matches!(self.usage, Some((_, UsageSource::Estimated))) && self.counter().is_some()
    }

    /// The call to count them; `None` if this prompt cannot be counted.
    pub fn count_call(&self) -> Option<CountCall<'_>> {
        let counter = self.counter().filter(|_| self.counts_prompt())?;
        let (route, parsed) = (self.routed()?, self.parsed()?);
        let (upstream, model) = (route.upstream()?, route.model_name(route.place(), &parsed.model)?);
        let body = counter.request(parsed.endpoint, model, self.kept_body(parsed.layout.length)?)?;
        let mut headers = vec![
            (":method", "POST"),
            (":path", counter.path.as_str()),
            (":authority", upstream.authority()),
            ("content-type", "application/json"),
        ];
        // in any dialect, the servers that count have OpenAI-compatible APIs
        headers.extend(upstream.credential(Dialect::OpenAi));
        headers.extend(upstream.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Some(CountCall { cluster: &upstream.cluster, headers, body, timeout: counter.timeout })
    }

    /// Stores the server's count; without a count the estimate stays.
    pub fn counted(&mut self, count: Option<u64>) {
        if let (Some((tokens, UsageSource::Estimated)), Some(input)) = (self.usage, count) {
            self.usage = Some((TokenUsage { input, ..tokens }, UsageSource::Counted));
        }
    }

    /// Whether the gateway requests usage from the current target for the client, and removes it again.
    pub fn injects_usage(&self) -> bool {
        let upstream = self.routed().and_then(Route::upstream);
        let wanted = self.parsed().is_some_and(injects_usage);
        wanted && upstream.is_some_and(|upstream| upstream.include_usage)
    }
}

/// A call to count tokens: to the cluster that answered, with its credential.
pub struct CountCall<'a> {
    /// The cluster.
    pub cluster: &'a str,
    /// Its headers, including the upstream's key.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Its body.
    pub body: Vec<u8>,
    /// Its timeout.
    pub timeout: Duration,
}
