//! Providers and model servers.

use std::borrow::Cow;
use std::fmt;

use hashbrown::HashMap;

use crate::endpoint::{Dialect, Endpoint, Further};
use crate::forwarding::Forwarded;
use crate::health::Policy;
use crate::translate::Pair;
use crate::uri::{join_queries, percent_encode, with_value, without_query};
use crate::usage::{Counter, Metering, Price};

/// A value that must never be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the value.
    pub fn new(value: String) -> Self {
        Secret(value)
    }

    /// The value, only for the code that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A provider's key, and the header it goes into.
#[derive(Clone, Debug)]
pub struct Credential {
    header: Option<&'static str>,
    secret: Secret,
    bearer: Secret,
}

impl Credential {
    /// The key `secret` for `header`, or for the dialect's usual one.
    pub fn new(header: Option<&'static str>, secret: &str) -> Self {
        Credential { header, secret: Secret::new(secret.to_owned()), bearer: Secret::new(format!("Bearer {secret}")) }
    }
}

/// One provider or model server, behind an Envoy cluster.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its name in targets.
    pub name: String,
    /// Envoy's cluster.
    pub cluster: String,
    /// Its dialects.
    pub dialects: Vec<Dialect>,
    /// The `:authority` it expects; its cluster's name if absent.
    pub host: Option<String>,
    /// Replaces the dialect's base path; `{model}` in it is replaced by the target's model.
    pub base_path: Option<String>,
    /// Query parameters to add, replacing the client's with the same names.
    pub query: Option<String>,
    /// Its key.
    pub credential: Option<Credential>,
    /// Further headers to set.
    pub headers: Vec<(String, String)>,
    /// Further client headers that it gets.
    pub forwarded: Forwarded,
    /// Whether it accepts requests for usage in streams (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Whether it may get translated requests of other dialects.
    pub translate: bool,
    /// Whether it serves OpenAI's Responses; many compatible servers only have chat completions.
    pub responses_api: bool,
    /// Whether a stream without a last event counts as cut; `None`: if its server has sent one before.
    pub strict_end: Option<bool>,
    /// The prices of its models by their names there, for targets and models without a price.
    pub prices: HashMap<String, Price>,
    /// How its answers are metered.
    pub usage: Metering,
    /// When it leaves the pool.
    pub ejection: Policy,
    /// Whether a strategy uses its running attempts, so their number must always be exact.
    pub counts_in_flight: bool,
}

impl Upstream {
    /// Its `:authority`.
    pub fn authority(&self) -> &str {
        self.host.as_deref().unwrap_or(&self.cluster)
    }

    /// The `:path` this upstream expects for a request that came in with `path`.
    ///
    /// The rest of the path stays unchanged, and so does the client's query, after the operator's. In a Gemini or
    /// Converse path, `model` replaces the client's.
    pub fn path<'a>(&self, endpoint: Endpoint, path: &'a str, model: &str) -> Cow<'a, str> {
        if let (Endpoint::Further(Further::Tokenize | Further::TokenCount), Some(counter)) =
            (endpoint, &self.usage.count)
        {
            return Cow::Owned(counter.path.clone());
        }
        let names_model = matches!(
            endpoint,
            Endpoint::GenerateContent | Endpoint::StreamGenerateContent | Endpoint::Converse | Endpoint::ConverseStream
        );
        let in_query = endpoint == Endpoint::Further(Further::Realtime);
        if self.base_path.is_none() && self.query.is_none() && !names_model && !in_query {
            return Cow::Borrowed(path);
        }
        let dialect = endpoint.dialect();
        let bare = without_query(path);
        let query = path.get(bare.len() + 1..).unwrap_or_default();
        // Cohere's version 2 has its own
        let base_path = if bare.starts_with("/v2/") { "/v2" } else { dialect.base_path() };
        let rest = bare.strip_prefix(base_path).unwrap_or(bare);
        let mut out = match &self.base_path {
            Some(base) => base.replace("{model}", &percent_encode(model)),
            None => base_path.to_owned(),
        };
        if names_model && dialect == Dialect::Converse {
            let verb = rest.rsplit_once('/').map_or("", |(_, verb)| verb);
            out.push_str(&format!("/{}/{verb}", percent_encode(model)));
        } else if names_model {
            let verb = rest.rsplit_once(':').map_or("", |(_, verb)| verb);
            out.push_str("/models/");
            out.push_str(&percent_encode(model));
            out.push(':');
            out.push_str(verb);
        } else {
            out.push_str(rest);
        }
        let mut query = join_queries(self.query.as_deref().unwrap_or_default(), query);
        if in_query {
            query = with_value(&query, "model", model);
        }
        if !query.is_empty() {
            out.push('?');
            out.push_str(&query);
        }
        Cow::Owned(out)
    }

    /// Whether it serves an endpoint without translation.
    pub fn serves(&self, endpoint: Endpoint) -> bool {
        self.dialects.contains(&endpoint.dialect())
            && match endpoint {
                Endpoint::Responses | Endpoint::Further(Further::InputTokens) => self.responses_api,
                Endpoint::Further(Further::Tokenize) => {
                    self.usage.count.as_ref().is_some_and(|count| !count.is_extras())
                }
                Endpoint::Further(Further::TokenCount) => self.usage.count.as_ref().is_some_and(Counter::is_extras),
                _ => true,
            }
    }

    /// The translation for it; `None` if it serves the endpoint itself, or if there is no translation.
    pub fn pair(&self, endpoint: Endpoint) -> Option<Pair> {
        if !self.translate || self.serves(endpoint) {
            return None;
        }
        self.dialects.iter().find_map(|dialect| Pair::of(endpoint, *dialect))
    }

    /// The header and value that carry this upstream's key in a dialect.
    pub fn credential(&self, dialect: Dialect) -> Option<(&'static str, &str)> {
        let credential = self.credential.as_ref()?;
        let header = credential.header.unwrap_or(dialect.credential_header());
        let value = if header == "authorization" { &credential.bearer } else { &credential.secret };
        Some((header, value.expose()))
    }
}
