//! Translation between dialects: a client's request as another provider takes it, and its answer as the client reads it.
//!
//! From the client's bytes straight to the target's dialect: a form in between would lose what both know and it does
//! not. There is one folder for each pair, with a file for the request, the answer and the stream. What a target has no
//! word for is left out and [named](Dropped); where the answer would be another one without it, the request is refused.
//! Nothing is made up.

mod calls;
mod chat;
mod chat_to_gemini;
mod chat_to_messages;
mod data_url;
mod dropped;
mod failure;
mod ids;
mod messages_to_chat;
mod raw;
mod stream;
mod writer;

use crate::endpoint::{Dialect, Endpoint};
use crate::error::ApiError;
use failure::Failure;
use raw::Raw;

pub use dropped::Dropped;
pub use stream::{Stream, MAX_EVENT};

/// The most tokens of an answer whose client does not say, where a provider insists on a number.
pub const MAX_OUTPUT_TOKENS: u64 = 4096;

/// What a client speaks, and what its request is translated into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    /// OpenAI's chat completions, for a server that speaks Anthropic's Messages.
    ChatToMessages,
    /// Anthropic's Messages, for a server that speaks OpenAI's chat completions.
    MessagesToChat,
    /// OpenAI's chat completions, for a server that speaks Google's Gemini API.
    ChatToGemini,
}

/// Where a dialect is served, if not at its own provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// At a server with the provider's own paths.
    #[default]
    Own,
    /// Google's Vertex AI: the path names the model, and the version stands in the body.
    Vertex,
}

/// What the target of a request wants.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model, as the target calls it.
    pub model: &'a str,
    /// Whether the answer is to be a stream.
    pub stream: bool,
    /// Whether it may be asked for usage in streams (`stream_options.include_usage`).
    pub include_usage: bool,
    /// The most tokens of the answer, if the client does not say.
    pub max_output_tokens: u64,
    /// Where it is served.
    pub platform: Platform,
}

/// A translated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The body.
    pub body: Vec<u8>,
    /// What was left out.
    pub dropped: Dropped,
    /// What must be known to read the answer.
    pub notes: Notes,
}

/// What must be known of a request to translate its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The answer comes as the arguments of a tool.
    json_tool: bool,
    /// Names of tools that were too long: as the target has them, and as the client does.
    names: Vec<(String, String)>,
}

/// What an answer is translated with.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// When it was made, in seconds since the epoch.
    pub created: u64,
    /// What tells it from others, where the provider gives it no id.
    pub id: u64,
    /// Whether the client wants usage in its stream.
    pub include_usage: bool,
    /// About how many tokens the prompt has: some streams must say so before the provider does.
    pub prompt_tokens: u64,
    /// From the request's translation.
    pub notes: Notes,
}

/// A translated answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The body.
    pub body: Vec<u8>,
    /// It ended for a reason that nobody knows, and that was taken for a usual end.
    pub unknown_reason: bool,
}

/// An answer that is not what its dialect's should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Pair {
    /// Every pair.
    pub const ALL: [Pair; 3] = [Pair::ChatToMessages, Pair::MessagesToChat, Pair::ChatToGemini];

    /// How a request to `endpoint` reaches a target that speaks `dialect`; `None` if it cannot, or need not be translated.
    ///
    /// ```
    /// use sluice::endpoint::{Dialect, Endpoint};
    /// use sluice::translate::Pair;
    ///
    /// assert_eq!(Pair::of(Endpoint::ChatCompletions, Dialect::Anthropic), Some(Pair::ChatToMessages));
    /// assert_eq!(Pair::of(Endpoint::ChatCompletions, Dialect::OpenAi), None, "no need");
    /// assert_eq!(Pair::of(Endpoint::Completions, Dialect::Anthropic), None, "no way");
    /// ```
    pub fn of(endpoint: Endpoint, dialect: Dialect) -> Option<Pair> {
        Pair::ALL.into_iter().find(|pair| pair.source() == endpoint && pair.target(false).dialect() == dialect)
    }

    /// The endpoint that the client calls.
    pub fn source(self) -> Endpoint {
        match self {
            Pair::ChatToMessages | Pair::ChatToGemini => Endpoint::ChatCompletions,
            Pair::MessagesToChat => Endpoint::Messages,
        }
    }

    /// The endpoint that the target is asked at.
    pub fn target(self, stream: bool) -> Endpoint {
        match self {
            Pair::ChatToMessages => Endpoint::Messages,
            Pair::MessagesToChat => Endpoint::ChatCompletions,
            Pair::ChatToGemini if stream => Endpoint::StreamGenerateContent,
            Pair::ChatToGemini => Endpoint::GenerateContent,
        }
    }

    /// The path of that endpoint, as a client of the target's dialect would call it.
    pub fn path(self, stream: bool) -> &'static str {
        match self {
            Pair::ChatToMessages => "/v1/messages",
            Pair::MessagesToChat => "/v1/chat/completions",
            // the model's name is put in where the path is written for an upstream
            Pair::ChatToGemini if stream => "/v1beta/models/model:streamGenerateContent?alt=sse",
            Pair::ChatToGemini => "/v1beta/models/model:generateContent",
        }
    }

    /// Headers that the target's dialect needs, and those of the client's that it must not see.
    pub fn headers(self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            Pair::ChatToMessages => &[("anthropic-version", Some("2023-06-01")), ("openai-beta", None)],
            Pair::ChatToGemini => &[("openai-beta", None)],
            Pair::MessagesToChat => &[
                ("anthropic-version", None),
                ("anthropic-beta", None),
                ("anthropic-dangerous-direct-browser-access", None),
            ],
        }
    }

    /// Translates a request, whose body has been found to be a JSON object.
    ///
    /// # Errors
    /// 400 that names the field: the target could not answer what is asked.
    pub fn request(self, body: &[u8], target: &Target<'_>) -> Result<Translated, ApiError> {
        match self {
            Pair::ChatToMessages => chat_to_messages::request(body, target),
            Pair::MessagesToChat => messages_to_chat::request(body, target),
            Pair::ChatToGemini => chat_to_gemini::request(body, target),
        }
    }

    /// Translates a whole answer with a status of success.
    ///
    /// # Errors
    /// It is not what the target's dialect promises: the attempt has failed.
    pub fn answer(self, body: &[u8], reply: &Reply) -> Result<Answer, Unreadable> {
        match self {
            Pair::ChatToMessages => chat_to_messages::answer(body, reply),
            Pair::MessagesToChat => messages_to_chat::answer(body, reply),
            Pair::ChatToGemini => chat_to_gemini::answer(body, reply),
        }
    }

    /// Translates an answer that is a stream.
    pub fn stream(self, reply: &Reply) -> Stream {
        Stream::new(match self {
            Pair::ChatToMessages => Box::new(chat_to_messages::Events::new(reply)),
            Pair::MessagesToChat => Box::new(messages_to_chat::Events::new(reply)),
            Pair::ChatToGemini => Box::new(chat_to_gemini::Events::new(reply)),
        })
    }

    /// Translates the body of an answer with a status of an error.
    pub fn error(self, status: u16, body: &[u8]) -> Vec<u8> {
        let failure = Failure::of_answer(status, body);
        match self {
            Pair::ChatToMessages | Pair::ChatToGemini => failure.chat_body(),
            Pair::MessagesToChat => failure.messages_body(),
        }
    }

    /// The status of an error as the client knows it: 529 is Anthropic's own.
    pub fn status(self, status: u16) -> u16 {
        match (self, status) {
            (Pair::ChatToMessages, 529) => 503,
            (Pair::ChatToMessages | Pair::MessagesToChat | Pair::ChatToGemini, status) => status,
        }
    }
}

/// A request that the target could not answer.
fn invalid(param: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::bad_request("unsupported_value", Some(param), message)
}

/// Refuses what of OpenAI's chat would be another answer if it were left out: several choices, probabilities, sound.
fn refuse_other_answers(
    n: Option<Raw<'_>>,
    logprobs: Option<Raw<'_>>,
    audio: Option<Raw<'_>>,
    modalities: Option<Raw<'_>>,
) -> Result<(), ApiError> {
    let refuse = |param, what: &str| Err(invalid(param, format!("`{param}`: this model's provider has no {what}.")));
    if n.and_then(Raw::count).is_some_and(|choices| choices > 1) {
        return refuse("n", "answers with several choices");
    }
    if logprobs.is_some_and(Raw::is_true) {
        return refuse("logprobs", "log probabilities");
    }
    if audio.is_some() {
        return refuse("audio", "spoken answers");
    }
    let mut others = false;
    if let Some(modalities) = modalities {
        modalities.items(|modality| others |= modality.json() != r#""text""#);
    }
    match others {
        true => refuse("modalities", "answers but text"),
        false => Ok(()),
    }
}
