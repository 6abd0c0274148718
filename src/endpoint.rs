//! Determines a request's API from its method and path.
//!
//! Sources: the providers' API references (OpenAI, Anthropic Messages, Ollama `docs/api.md`, Gemini
//! `models.generateContent`).

mod further;
mod socket;
mod stored;

use crate::gateway::{Command, NoCommand};
use crate::uri::{percent_decode, without_query};

pub use further::Further;
pub use socket::{keys_in_protocols, realtime_model, Socket, PROTOCOL_HEADER, REALTIME};

/// The family of wire formats of a request and its answer. A target serves the dialects in its upstream's
/// configuration; requests in other dialects are translated if possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's API, and the many compatible servers (vLLM, Azure OpenAI, ...).
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Ollama's native API.
    Ollama,
    /// Google's Gemini API.
    Gemini,
    /// Amazon Bedrock's Converse API. Clients do not use it here: requests are translated into it.
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

    /// The prefix of the provider's paths, which `base_path` in the configuration replaces.
    pub fn base_path(self) -> &'static str {
        match self {
            Dialect::OpenAi | Dialect::Anthropic => "/v1",
            Dialect::Ollama => "/api",
            Dialect::Gemini => "/v1beta",
            Dialect::Converse => "/model",
        }
    }

    /// The header in which the provider expects its key.
    pub fn credential_header(self) -> &'static str {
        match self {
            Dialect::OpenAi | Dialect::Ollama | Dialect::Converse => "authorization",
            Dialect::Anthropic => "x-api-key",
            Dialect::Gemini => "x-goog-api-key",
        }
    }
}

/// One operation of a dialect.
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
    /// Operations other than conversations.
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

    /// Whether the answer is streamed, given the body's `stream` field. Ollama streams by default; Gemini's path
    /// decides.
    pub fn streams(self, stream_field: Option<bool>) -> bool {
        match self {
            Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Responses | Endpoint::Messages => {
                stream_field.unwrap_or(false)
            }
            Endpoint::OllamaChat | Endpoint::OllamaGenerate => stream_field.unwrap_or(true),
            Endpoint::StreamGenerateContent | Endpoint::ConverseStream => true,
            Endpoint::Embeddings | Endpoint::OllamaEmbed | Endpoint::GenerateContent | Endpoint::Converse => false,
            Endpoint::Further(further) => further.streams() && stream_field.unwrap_or(false),
        }
    }

    /// Whether its answers contain text; other answers may be many times as long.
    ///
    /// ```
    /// use sluice::endpoint::Endpoint;
    ///
    /// assert!(Endpoint::Messages.answers_in_words() && !Endpoint::Embeddings.answers_in_words());
    /// ```
    pub fn answers_in_words(self) -> bool {
        match self {
            Endpoint::Embeddings | Endpoint::OllamaEmbed => false,
            Endpoint::Further(further) => further.transcribes(),
            _ => true,
        }
    }

    /// Whether its answers have texts: the model's, such as the prompt that it has revised for an image, or the client's
    /// once more, such as the documents that were ranked.
    ///
    /// ```
    /// use sluice::endpoint::{Endpoint, Further};
    ///
    /// assert!(Endpoint::Further(Further::Rerank).answers_with_texts() && !Endpoint::Embeddings.answers_with_texts());
    /// ```
    pub fn answers_with_texts(self) -> bool {
        self.answers_in_words()
            || matches!(self, Endpoint::Further(further) if further == Further::Rerank || further.makes_images())
    }

    /// Whether one JSON text of its answers is often too large to hold: it has images, or is a whole stream.
    ///
    /// ```
    /// use sluice::endpoint::{Endpoint, Further};
    ///
    /// assert!(Endpoint::Further(Further::Images).answers_at_length() && !Endpoint::Messages.answers_at_length());
    /// ```
    pub fn answers_at_length(self) -> bool {
        match self {
            Endpoint::Further(further) => further.makes_images(),
            _ => self == Endpoint::StreamGenerateContent,
        }
    }

    /// Whether its answers are JSON, or streams of JSON.
    pub fn answers_in_json(self) -> bool {
        !matches!(self, Endpoint::Further(further) if further.answer_members().is_none())
    }

    /// Whether its body is a form.
    pub fn takes_form(self) -> bool {
        matches!(self, Endpoint::Further(further) if further.takes_form())
    }

    /// Whether its answer is the text of speech: JSON, plain text or subtitles, as the client asks.
    pub fn transcribes(self) -> bool {
        matches!(self, Endpoint::Further(further) if further.transcribes())
    }

    /// Whether its answer has images.
    pub fn makes_images(self) -> bool {
        matches!(self, Endpoint::Further(further) if further.makes_images())
    }

    /// Whether it uses tokens, reported or not.
    pub fn uses_tokens(self) -> bool {
        !matches!(self, Endpoint::Further(further) if !further.uses_tokens())
    }

    /// The request's field with the prompt, for errors about it; `None` if there are several.
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

    /// Whether a stream of this endpoint only reports usage if `stream_options.include_usage` requests it.
    pub fn has_stream_options(self) -> bool {
        matches!(self, Endpoint::ChatCompletions | Endpoint::Completions)
    }
}

/// A request's method and path, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestTarget {
    /// The body names the model.
    Body(Endpoint),
    /// The path names the model (decoded).
    Path(Endpoint, String),
    /// It concerns a response that an upstream stores under this id.
    Stored(String),
    /// It is a request to the gateway itself.
    Gateway(Command),
    /// A known path, but not with this method; the value for `Allow`.
    WrongMethod(&'static str),
    /// Not a path of the gateway.
    Unknown,
}

/// Determines a request's API. `path` is the `:path` header with its query; `prefix` is the prefix of the gateway's own
/// paths.
///
/// ```
/// use sluice::endpoint::{classify, RequestTarget, Endpoint};
///
/// assert_eq!(classify("POST", "/v1/chat/completions", "/gateway"), RequestTarget::Body(Endpoint::ChatCompletions));
/// assert_eq!(
///     classify("POST", "/v1beta/models/gemini-2.5-pro:generateContent?alt=json", "/gateway"),
///     RequestTarget::Path(Endpoint::GenerateContent, "gemini-2.5-pro".into())
/// );
/// assert_eq!(classify("GET", "/v1/embeddings", "/gateway"), RequestTarget::WrongMethod("POST"));
/// assert_eq!(classify("POST", "/v2/x", "/gateway"), RequestTarget::Unknown);
/// ```
pub fn classify(method: &str, path: &str, prefix: &str) -> RequestTarget {
    let path = without_query(path);
    match by_path(path) {
        Some(call) if method == "POST" => call,
        Some(_) => RequestTarget::WrongMethod("POST"),
        None => stored::find(method, path).unwrap_or_else(|| match Command::find(method, path, prefix) {
            Ok(command) => RequestTarget::Gateway(command),
            Err(NoCommand::WrongMethod(allowed)) => RequestTarget::WrongMethod(allowed),
            Err(NoCommand::Unknown) => RequestTarget::Unknown,
        }),
    }
}

/// Whether errors on this path have Anthropic's shape.
pub fn is_anthropic_path(path: &str) -> bool {
    let path = without_query(path);
    path == "/v1/messages" || path.starts_with("/v1/messages/")
}

/// The meaning of a path with the method POST.
fn by_path(path: &str) -> Option<RequestTarget> {
    Some(RequestTarget::Body(match path {
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

fn gemini(path: &str) -> Option<RequestTarget> {
    let (model, verb) = path.strip_prefix("/v1beta/models/")?.rsplit_once(':')?;
    let endpoint = match verb {
        "generateContent" => Endpoint::GenerateContent,
        "streamGenerateContent" => Endpoint::StreamGenerateContent,
        _ => return None,
    };
    Some(RequestTarget::Path(endpoint, percent_decode(model).into_owned()))
}
