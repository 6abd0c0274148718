//! Which API a request speaks, told from its method and path alone.
//!
//! Sources: the providers' API references (OpenAI, Anthropic Messages, Ollama `docs/api.md`, Gemini
//! `models.generateContent`).

mod further;

use std::borrow::Cow;

use crate::gateway::Command;

pub use further::Further;

/// The family of wire formats a request and its answer are written in. A target serves the dialects its
/// upstream's configuration names; nothing is translated between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's API, and the many servers that copy it (vLLM, Azure OpenAI, ...).
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Ollama's native API.
    Ollama,
    /// Google's Gemini API.
    Gemini,
}

impl Dialect {
    /// Every dialect, in the order of [`Dialect::index`].
    pub const ALL: [Dialect; 4] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama, Dialect::Gemini];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::OpenAi => "openai",
            Dialect::Anthropic => "anthropic",
            Dialect::Ollama => "ollama",
            Dialect::Gemini => "gemini",
        }
    }

    /// A dense number for tables with one entry per dialect.
    pub fn index(self) -> usize {
        match self {
            Dialect::OpenAi => 0,
            Dialect::Anthropic => 1,
            Dialect::Ollama => 2,
            Dialect::Gemini => 3,
        }
    }

    /// What the provider's paths start with; `base_path` in the configuration stands in its place.
    pub fn base_path(self) -> &'static str {
        match self {
            Dialect::OpenAi | Dialect::Anthropic => "/v1",
            Dialect::Ollama => "/api",
            Dialect::Gemini => "/v1beta",
        }
    }

    /// The header the provider expects its key in.
    pub fn credential_header(self) -> &'static str {
        match self {
            Dialect::OpenAi | Dialect::Ollama => "authorization",
            Dialect::Anthropic => "x-api-key",
            Dialect::Gemini => "x-goog-api-key",
        }
    }
}

/// One operation of a dialect that the gateway routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/messages`
    Messages,
    /// `POST /api/chat`
    OllamaChat,
    /// `POST /api/generate`
    OllamaGenerate,
    /// `POST /api/embed`
    OllamaEmbed,
    /// `POST /v1beta/models/{model}:generateContent`
    GenerateContent,
    /// `POST /v1beta/models/{model}:streamGenerateContent`
    StreamGenerateContent,
    /// What is no conversation.
    Further(Further),
}

impl Endpoint {
    /// The dialect the endpoint belongs to.
    pub fn dialect(self) -> Dialect {
        match self {
            Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings | Endpoint::Responses => {
                Dialect::OpenAi
            }
            Endpoint::Messages => Dialect::Anthropic,
            Endpoint::OllamaChat | Endpoint::OllamaGenerate | Endpoint::OllamaEmbed => Dialect::Ollama,
            Endpoint::GenerateContent | Endpoint::StreamGenerateContent => Dialect::Gemini,
            Endpoint::Further(further) => further.dialect(),
        }
    }

    /// Whether the answer is streamed, given the body's `stream` field. Ollama streams unless told not to;
    /// Gemini says so in the path.
    pub fn streams(self, stream_field: Option<bool>) -> bool {
        match self {
            Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Responses | Endpoint::Messages => {
                stream_field.unwrap_or(false)
            }
            Endpoint::OllamaChat | Endpoint::OllamaGenerate => stream_field.unwrap_or(true),
            Endpoint::StreamGenerateContent => true,
            Endpoint::Embeddings | Endpoint::OllamaEmbed | Endpoint::GenerateContent | Endpoint::Further(_) => false,
        }
    }

    /// Whether there is text in its answers; others may be many times as long.
    ///
    /// ```
    /// use sluice::endpoint::Endpoint;
    ///
    /// assert!(Endpoint::Messages.answers_in_words() && !Endpoint::Embeddings.answers_in_words());
    /// ```
    pub fn answers_in_words(self) -> bool {
        !matches!(self, Endpoint::Embeddings | Endpoint::OllamaEmbed | Endpoint::Further(_))
    }

    /// Whether its answers are JSON, or streams of it.
    pub fn answers_in_json(self) -> bool {
        !matches!(self, Endpoint::Further(further) if further.answer_members().is_none())
    }

    /// Whether it uses tokens, reported or not.
    pub fn uses_tokens(self) -> bool {
        !matches!(self, Endpoint::Further(further) if !further.uses_tokens())
    }

    /// The request's field that holds what is said to the model, for errors about it; `None` where there are several.
    pub fn text_param(self) -> Option<&'static str> {
        match self {
            Endpoint::ChatCompletions | Endpoint::Messages | Endpoint::OllamaChat => Some("messages"),
            Endpoint::Completions | Endpoint::OllamaGenerate => Some("prompt"),
            Endpoint::Embeddings | Endpoint::Responses | Endpoint::OllamaEmbed => Some("input"),
            Endpoint::GenerateContent | Endpoint::StreamGenerateContent => Some("contents"),
            Endpoint::Further(further) => further.text_param(),
        }
    }

    /// Whether a stream of this endpoint reports usage only when asked by `stream_options.include_usage`.
    pub fn has_stream_options(self) -> bool {
        matches!(self, Endpoint::ChatCompletions | Endpoint::Completions)
    }
}

/// A request's method and path, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// The body names the model.
    Body(Endpoint),
    /// The path names the model (decoded).
    Path(Endpoint, String),
    /// It is for the gateway itself.
    Gateway(Command),
    /// A known path, but not with this method; the value for `Allow`.
    WrongMethod(&'static str),
    /// No path of the gateway's.
    Unknown,
}

/// Tells which API a request speaks. `path` is the `:path` header, query included; `prefix` is what the gateway's own
/// paths begin with.
///
/// ```
/// use sluice::endpoint::{classify, Call, Endpoint};
///
/// assert_eq!(classify("POST", "/v1/chat/completions", "/gateway"), Call::Body(Endpoint::ChatCompletions));
/// assert_eq!(
///     classify("POST", "/v1beta/models/gemini-2.5-pro:generateContent?alt=json", "/gateway"),
///     Call::Path(Endpoint::GenerateContent, "gemini-2.5-pro".into())
/// );
/// assert_eq!(classify("GET", "/v1/embeddings", "/gateway"), Call::WrongMethod("POST"));
/// assert_eq!(classify("POST", "/v2/x", "/gateway"), Call::Unknown);
/// ```
pub fn classify(method: &str, path: &str, prefix: &str) -> Call {
    let path = without_query(path);
    match by_path(path) {
        Some(call) if method == "POST" => call,
        Some(_) => Call::WrongMethod("POST"),
        None => Command::find(method, path, prefix),
    }
}

/// Whether errors on this path must have Anthropic's shape.
pub fn is_anthropic_path(path: &str) -> bool {
    let path = without_query(path);
    path == "/v1/messages" || path.starts_with("/v1/messages/")
}

/// What a path is for that takes POST.
fn by_path(path: &str) -> Option<Call> {
    Some(Call::Body(match path {
        "/v1/chat/completions" => Endpoint::ChatCompletions,
        "/v1/completions" => Endpoint::Completions,
        "/v1/embeddings" => Endpoint::Embeddings,
        "/v1/responses" => Endpoint::Responses,
        "/v1/messages" => Endpoint::Messages,
        "/api/chat" => Endpoint::OllamaChat,
        "/api/generate" => Endpoint::OllamaGenerate,
        "/api/embed" => Endpoint::OllamaEmbed,
        other => match Further::find(other) {
            Some(further) => Endpoint::Further(further),
            None => return gemini(other),
        },
    }))
}

fn gemini(path: &str) -> Option<Call> {
    let (model, verb) = path.strip_prefix("/v1beta/models/")?.rsplit_once(':')?;
    let endpoint = match verb {
        "generateContent" => Endpoint::GenerateContent,
        "streamGenerateContent" => Endpoint::StreamGenerateContent,
        _ => return None,
    };
    Some(Call::Path(endpoint, percent_decode(model).into_owned()))
}

/// The path without its query.
pub fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// The path without the query parameters that may carry a key (Gemini's clients may send theirs as `?key=`), however
/// they are spelt: what stands in a path reaches access logs and providers.
///
/// ```
/// use sluice::endpoint::without_keys;
///
/// assert_eq!(without_keys("/p?alt=sse&%6BEY=secret&api_key=secret"), "/p?alt=sse");
/// ```
pub fn without_keys(path: &str) -> Cow<'_, str> {
    let Some((bare, query)) = path.split_once('?') else {
        return Cow::Borrowed(path);
    };
    let carries_key = |parameter: &str| KEYS.iter().any(|key| is_named(parameter, key));
    match without(query, carries_key) {
        None => Cow::Borrowed(path),
        Some(kept) if kept.is_empty() => Cow::Owned(bare.to_owned()),
        Some(kept) => Cow::Owned(format!("{bare}?{kept}")),
    }
}

/// The key in a query, as Gemini's clients send it (`?key=`).
///
/// ```
/// use sluice::endpoint::query_key;
///
/// assert_eq!(query_key("/v1beta/models/m:generateContent?alt=sse&key=a%2Bb").as_deref(), Some("a+b"));
/// assert_eq!(query_key("/v1beta/models/m:generateContent?monkey=x"), None);
/// ```
pub fn query_key(path: &str) -> Option<Cow<'_, str>> {
    let (_, query) = path.split_once('?')?;
    query.split('&').find_map(|parameter| parameter.strip_prefix("key=")).map(percent_decode)
}

/// Names of query parameters that carry a key or token, without `-` and `_`.
const KEYS: [&str; 8] =
    ["key", "apikey", "xapikey", "xgoogapikey", "accesstoken", "oauthtoken", "authorization", "subscriptionkey"];

/// Whether a query parameter has this name, `-` and `_` aside: escaped or not, in capitals or not.
fn is_named(parameter: &str, name: &str) -> bool {
    let found = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    let found = percent_decode(found);
    let letters = found.bytes().filter(|byte| !matches!(byte, b'-' | b'_' | b'+' | b' '));
    letters.map(|byte| byte.to_ascii_lowercase()).eq(name.bytes())
}

/// A query without the parameters that `is_out` finds; `None` if there are none.
fn without(query: &str, is_out: impl Fn(&str) -> bool) -> Option<String> {
    query.split('&').any(&is_out).then(|| query.split('&').filter(|part| !is_out(part)).collect::<Vec<_>>().join("&"))
}

/// A query that has the operator's parameters first, and of the client's only those of other names.
///
/// ```
/// use sluice::endpoint::join_queries;
///
/// assert_eq!(join_queries("api-version=1", "a=b&API-Version=9"), "api-version=1&a=b");
/// ```
pub fn join_queries(operators: &str, clients: &str) -> String {
    let name = |part: &str| percent_decode(part.split_once('=').map_or(part, |(name, _)| name)).to_ascii_lowercase();
    let own: Vec<String> = operators.split('&').map(name).collect();
    let kept = clients.split('&').filter(|part| !part.is_empty() && !own.contains(&name(part)));
    Some(operators).into_iter().filter(|own| !own.is_empty()).chain(kept).collect::<Vec<_>>().join("&")
}

/// Whether a model's name would lead out of the path that it is put into, by servers that decode what is escaped in it.
///
/// ```
/// use sluice::endpoint::climbs;
///
/// assert!(climbs("..") && climbs("m/../../admin") && climbs(r"m\..\x") && climbs("."));
/// assert!(!climbs("./llama.gguf") && !climbs("org/model..v2"));
/// ```
pub fn climbs(model: &str) -> bool {
    model == "." || model.split(['/', '\\']).any(|segment| segment == "..")
}

/// Decodes `%XX`; what is no valid escape stays as it is.
pub fn percent_decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let escape = tail.split_first_chunk::<2>().filter(|_| byte == b'%');
        let decoded = escape.and_then(|(digits, after)| {
            let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
            Some((u8::try_from(high? * 16 + low?).ok()?, after))
        });
        match decoded {
            Some((value, after)) => {
                bytes.push(value);
                rest = after;
            }
            None => bytes.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// Escapes a model name for one path segment (RFC 3986: unreserved characters stay).
pub fn percent_encode(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(byte as char);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}
