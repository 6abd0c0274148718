//! Which API a request speaks, told from its method and path alone.
//!
//! Sources: the providers' API references (OpenAI, Anthropic Messages, Ollama `docs/api.md`, Gemini
//! `models.generateContent`).

mod further;
mod stored;

use crate::gateway::{Command, NoCommand};
use crate::uri::{percent_decode, without_query};

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
    /// Amazon Bedrock's Converse API. Clients do not speak it here: requests are translated into it.
    Converse,
}

impl Dialect {
    /// Every dialect, in the order of [`Dialect::index`].
    pub const ALL: [Dialect; 5] =
        [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama, Dialect::Gemini, Dialect::Converse];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::OpenAi => "openai",
            Dialect::Anthropic => "anthropic",
            Dialect::Ollama => "ollama",
            Dialect::Gemini => "gemini",
            Dialect::Converse => "converse",
        }
    }

    /// A dense number for tables with one entry per dialect.
    pub fn index(self) -> usize {
        match self {
            Dialect::OpenAi => 0,
            Dialect::Anthropic => 1,
            Dialect::Ollama => 2,
            Dialect::Gemini => 3,
            Dialect::Converse => 4,
        }
    }

    /// What the provider's paths start with; `base_path` in the configuration stands in its place.
    pub fn base_path(self) -> &'static str {
        match self {
            Dialect::OpenAi | Dialect::Anthropic => "/v1",
            Dialect::Ollama => "/api",
            Dialect::Gemini => "/v1beta",
            Dialect::Converse => "/model",
        }
    }

    /// The header the provider expects its key in.
    pub fn credential_header(self) -> &'static str {
        match self {
            Dialect::OpenAi | Dialect::Ollama | Dialect::Converse => "authorization",
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
    /// `POST /model/{model}/converse`; only at targets.
    Converse,
    /// `POST /model/{model}/converse-stream`; only at targets.
    ConverseStream,
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
            Endpoint::Converse | Endpoint::ConverseStream => Dialect::Converse,
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
            Endpoint::StreamGenerateContent | Endpoint::ConverseStream => true,
            Endpoint::Embeddings
            | Endpoint::OllamaEmbed
            | Endpoint::GenerateContent
            | Endpoint::Converse
            | Endpoint::Further(_) => false,
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
            Endpoint::ChatCompletions
            | Endpoint::Messages
            | Endpoint::OllamaChat
            | Endpoint::Converse
            | Endpoint::ConverseStream => Some("messages"),
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
    /// It is for a response that an upstream has stored under this id.
    Stored(String),
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
        None => stored::find(method, path).unwrap_or_else(|| match Command::find(method, path, prefix) {
            Ok(command) => Call::Gateway(command),
            Err(NoCommand::WrongMethod(allowed)) => Call::WrongMethod(allowed),
            Err(NoCommand::Unknown) => Call::Unknown,
        }),
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
