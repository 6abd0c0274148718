//! An exchange's side of the cache.

use std::time::Duration;

use super::Exchange;
use crate::cache::{
    semantic::Comparison, serves, CacheKey, CachePolicy, CacheResult, CanonicalBody, Entry, KeyParts, Scope,
    StreamForm, ANSWER_HEADERS,
};
use crate::endpoint::Endpoint;
use crate::parsed_request::UsageOption;
use crate::wire_names::ANONYMOUS;

/// What the cache did for a request of a model that has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Cached {
    /// The model's configured name.
    pub model: String,
    /// What it did.
    pub result: CacheResult,
    /// A hit's age.
    pub age: Duration,
    /// The tokens of a hit, which no model server had to count again: input and output.
    pub saved: (u64, u64),
    /// How similar a hit's own request is, if it is not the same: at most 1.
    pub similarity: Option<f32>,
    /// The status that the client gets in place of a hit, because a check refuses it.
    pub replaced: Option<u16>,
}

impl Cached {
    /// A request that asks its model's servers.
    pub fn missed(model: &str, result: CacheResult) -> Self {
        Cached { model: model.to_owned(), result, age: Duration::ZERO, saved: (0, 0), similarity: None, replaced: None }
    }

    /// A request that gets this entry.
    pub fn hit(model: &str, entry: &Entry, similarity: Option<f32>, now: Duration) -> Self {
        let (age, saved) = (entry.age(now), (entry.input, entry.output));
        Cached { age, saved, similarity, ..Cached::missed(model, CacheResult::Hit) }
    }
}

impl Exchange {
    /// The request has passed a guard with this configuration.
    pub fn guarded(&mut self, digest: [u8; 16]) {
        self.guard = Some(digest);
    }

    /// The key of the request's answer, if the cache may answer it. `body` is what goes on to the model servers; `headers`
    /// are the values of [`ANSWER_HEADERS`].
    pub fn cache_key(
        &self,
        policy: &CachePolicy,
        body: &[u8],
        headers: [Option<&str>; ANSWER_HEADERS.len()],
    ) -> Option<CacheKey> {
        let parsed = self.parsed().filter(|parsed| !parsed.by_id && parsed.form.is_none())?;
        if !serves(parsed.endpoint) || !parsed.stored.0.is_empty() || !self.flags.is_empty() || self.socket().is_some()
        {
            return None;
        }
        let canonical = CanonicalBody::of(body).ok()?;
        let said = canonical.repeatable;
        // vectors, ranks and judgements are the same each time
        let is_cold = said.cold || policy.always || !parsed.endpoint.answers_in_words();
        // a response that its server keeps can only be continued by its own key
        let is_shared = policy.scope == Scope::All && parsed.endpoint == Endpoint::Responses && !said.unstored;
        if !is_cold || said.kept || is_shared || said.tools && !policy.tools {
            return None;
        }
        Some(self.with_key_parts(policy, headers, |parts| parts.digest(&canonical)))
    }

    /// What the request is compared by with similar requests; `None` without a semantic cache. Call it only if
    /// [`Exchange::cache_key`] gave a key.
    pub fn comparison(
        &self,
        policy: &CachePolicy,
        body: &[u8],
        headers: [Option<&str>; ANSWER_HEADERS.len()],
    ) -> Option<Comparison> {
        let semantic = policy.semantic.as_deref()?;
        let endpoint = self.parsed()?.endpoint;
        let compared = |parts: &KeyParts<'_>| Comparison::of(endpoint, body, parts, semantic.max_text);
        self.with_key_parts(policy, headers, compared).ok()?
    }

    /// Calls `with` with what decides the answer besides the body.
    fn with_key_parts<T>(
        &self,
        policy: &CachePolicy,
        headers: [Option<&str>; ANSWER_HEADERS.len()],
        with: impl FnOnce(&KeyParts<'_>) -> T,
    ) -> T {
        // a token's id may be chosen by its holder, and equal that of a configured key
        let key = self.identity.as_ref().map_or_else(
            || ANONYMOUS.to_owned(),
            |identity| format!("{}:{}", if identity.issued { "token" } else { "key" }, identity.id),
        );
        let parsed = self.parsed();
        with(&KeyParts {
            key: (policy.scope == Scope::Key).then_some(key.as_str()),
            endpoint: parsed.map_or(Endpoint::ChatCompletions, |parsed| parsed.endpoint),
            path: &self.original.path,
            model: parsed.map_or("", |parsed| parsed.model.as_str()),
            config: policy.digest,
            guard: self.guard,
            headers,
        })
    }

    /// How the client wants its stream.
    pub fn stream_form(&self) -> StreamForm {
        let include_usage = self.parsed().is_some_and(|parsed| parsed.layout.usage_option == UsageOption::Asked);
        let query = self.original.path.split_once('?').map_or("", |(_, query)| query);
        StreamForm { include_usage, events: query.split('&').any(|pair| pair == "alt=sse") }
    }

    /// What the cache did for the request.
    pub fn set_cached(&mut self, cached: Cached) {
        self.cached = Some(Box::new(cached));
    }

    /// The same; `None` if the model has no cache.
    pub fn cached(&self) -> Option<&Cached> {
        self.cached.as_deref()
    }

    /// Whether the answer comes from the cache.
    pub fn is_hit(&self) -> bool {
        self.cached.as_ref().is_some_and(|cached| cached.result == CacheResult::Hit)
    }

    pub(super) fn cached_mut(&mut self) -> Option<&mut Cached> {
        self.cached.as_deref_mut()
    }

    /// Whether the answer, which has passed completely, may be kept, as far as its text does not decide: a model server of
    /// the requested model has given it, and no check has found anything.
    pub fn may_keep_answer(&self) -> bool {
        let is_own = self.routed().is_some_and(|route| route.is_at_requested_model());
        let is_whole = self.has_succeeded() && self.answered() == Some(200) && !self.ended_without_marker();
        is_own && is_whole && !self.is_encoded() && self.blocked.is_none() && self.flags.is_empty()
    }
}

/// A similarity as clients and records see it: with three decimal places, rounded down.
///
/// ```
/// use sluice::exchange::written_similarity;
///
/// assert_eq!(written_similarity(0.97999), "0.979");
/// ```
pub fn written_similarity(similarity: f32) -> String {
    format!("{:.3}", (f64::from(similarity) * 1000.0).floor() / 1000.0)
}
