//! Providers and model servers, as requests reach them.

use std::borrow::Cow;
use std::fmt;

use crate::endpoint::{Dialect, Endpoint, Further};
use crate::forwarding::Forwarded;
use crate::health::Policy;
use crate::translate::Pair;
use crate::uri::{join_queries, percent_encode, without_query};
use crate::usage::Metering;

/// A value that must never be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the value in.
    pub fn new(value: String) -> Self {
        Secret(value)
    }

    /// The value, for the one place that sends it.
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
    /// The key `secret` for `header`, or for the dialect's own.
    pub fn new(header: Option<&'static str>, secret: &str) -> Self {
        Credential { header, secret: Secret::new(secret.to_owned()), bearer: Secret::new(format!("Bearer {secret}")) }
    }
}

/// One provider or model server, as Envoy's cluster of that name reaches it.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The name targets refer to.
    pub name: String,
    /// Envoy's cluster.
    pub cluster: String,
    /// The dialects it speaks.
    pub dialects: Vec<Dialect>,
    /// The `:authority` it expects; its cluster's name if absent.
    pub host: Option<String>,
    /// What stands in place of the dialect's base path; `{model}` in it gives way to the target's model.
    pub base_path: Option<String>,
    /// Query parameters to add, in place of the client's of the same names.
    pub query: Option<String>,
    /// Its key.
    pub credential: Option<Credential>,
    /// Further headers to set.
    pub headers: Vec<(String, String)>,
    /// Headers of clients that it gets besides those that every upstream gets.
    pub forwarded: Forwarded,
    /// Whether it may be asked for usage in streams (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Whether it may get requests of other dialects, translated.
    pub translate: bool,
    /// Whether it serves OpenAI's Responses; many that copy OpenAI's API have chat completions alone.
    pub responses_api: bool,
    /// Whether a stream is cut if nothing in it says that it is complete; `None`: as far as the server has ever said so.
    pub strict_end: Option<bool>,
    /// How its answers are metered.
    pub usage: Metering,
    /// When it leaves the pool.
    pub ejection: Policy,
    /// Whether a strategy goes by its attempts under way, so that their number must be exact at any time.
    pub counts_in_flight: bool,
}

impl Upstream {
    /// The `:authority` it is asked by.
    pub fn authority(&self) -> &str {
        self.host.as_deref().unwrap_or(&self.cluster)
    }

    /// The `:path` this upstream expects for a request that came in with `path`.
    ///
    /// The rest of the path stays as it is, and so does the client's query, after the operator's; a path of Gemini's or of
    /// Bedrock's Converse gets `model` in place of the client's.
    pub fn path<'a>(&self, endpoint: Endpoint, path: &'a str, model: &str) -> Cow<'a, str> {
        let names_model = matches!(
            endpoint,
            Endpoint::GenerateContent | Endpoint::StreamGenerateContent | Endpoint::Converse | Endpoint::ConverseStream
        );
        if self.base_path.is_none() && self.query.is_none() && !names_model {
            return Cow::Borrowed(path);
        }
        let dialect = endpoint.dialect();
        let bare = without_query(path);
        let query = path.get(bare.len() + 1..).unwrap_or_default();
        // Cohere's second version has its own
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
        let query = join_queries(self.query.as_deref().unwrap_or_default(), query);
        if !query.is_empty() {
            out.push('?');
            out.push_str(&query);
        }
        Cow::Owned(out)
    }

    /// Whether it serves an endpoint as it is.
    pub fn serves(&self, endpoint: Endpoint) -> bool {
        let of_responses = matches!(endpoint, Endpoint::Responses | Endpoint::Further(Further::InputTokens));
        self.dialects.contains(&endpoint.dialect()) && (self.responses_api || !of_responses)
    }

    /// How a request is translated for it; `None` if it serves the endpoint itself, or there is no way.
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
