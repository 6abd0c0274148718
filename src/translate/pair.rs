//! The supported pairs of dialects, and their properties.

use super::failure::ProviderError;
use super::responses_to_chat::Reader;
use super::stream::{Machine, Stream};
use super::via_chat::ViaChat;
use super::{chat_to_converse, chat_to_gemini, chat_to_messages, embeddings_to_gemini, messages_to_chat};
use super::{responses_to_chat, via_chat};
use super::{Reply, Target, Translated, TranslatedAnswer, Unreadable};
use crate::endpoint::{Dialect, Endpoint};
use crate::error::ApiError;
use crate::usage::Framing;

/// The client's dialect, and the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    /// OpenAI's chat completions, for a server with Anthropic's Messages.
    ChatToMessages,
    /// Anthropic's Messages, for a server with OpenAI's chat completions.
    MessagesToChat,
    /// OpenAI's chat completions, for a server with Google's Gemini API.
    ChatToGemini,
    /// OpenAI's Responses, for a server with OpenAI's chat completions.
    ResponsesToChat,
    /// OpenAI's Responses, for a server with Anthropic's Messages.
    ResponsesToMessages,
    /// OpenAI's Responses, for a server with Google's Gemini API.
    ResponsesToGemini,
    /// OpenAI's chat completions, for Amazon Bedrock's Converse.
    ChatToConverse,
    /// OpenAI's Responses, for Amazon Bedrock's Converse.
    ResponsesToConverse,
    /// OpenAI's embeddings, for a server with Google's Gemini API.
    EmbeddingsToGemini,
}

impl Pair {
    /// All pairs.
    pub const ALL: [Pair; 9] = [
        Pair::ChatToMessages,
        Pair::MessagesToChat,
        Pair::ChatToGemini,
        Pair::ResponsesToChat,
        Pair::ResponsesToMessages,
        Pair::ResponsesToGemini,
        Pair::ChatToConverse,
        Pair::ResponsesToConverse,
        Pair::EmbeddingsToGemini,
    ];

    /// The translation of a request to `endpoint` for a target with `dialect` that does not serve that endpoint; `None`
    /// if there is none.
    ///
    /// ```
    /// use sluice::endpoint::{Dialect, Endpoint};
    /// use sluice::translate::Pair;
    ///
    /// assert_eq!(Pair::of(Endpoint::ChatCompletions, Dialect::Anthropic), Some(Pair::ChatToMessages));
    /// assert_eq!(Pair::of(Endpoint::Responses, Dialect::OpenAi), Some(Pair::ResponsesToChat));
    /// assert_eq!(Pair::of(Endpoint::Completions, Dialect::Anthropic), None, "no way");
    /// ```
    pub fn of(endpoint: Endpoint, dialect: Dialect) -> Option<Pair> {
        Pair::ALL.into_iter().find(|pair| pair.source() == endpoint && pair.target(false).dialect() == dialect)
    }

    /// The client's endpoint.
    pub fn source(self) -> Endpoint {
        match self {
            Pair::ChatToMessages | Pair::ChatToGemini | Pair::ChatToConverse => Endpoint::ChatCompletions,
            Pair::MessagesToChat => Endpoint::Messages,
            Pair::ResponsesToChat | Pair::ResponsesToMessages | Pair::ResponsesToGemini | Pair::ResponsesToConverse => {
                Endpoint::Responses
            }
            Pair::EmbeddingsToGemini => Endpoint::Embeddings,
        }
    }

    /// The target's endpoint.
    pub fn target(self, stream: bool) -> Endpoint {
        match self {
            Pair::ChatToMessages | Pair::ResponsesToMessages => Endpoint::Messages,
            Pair::MessagesToChat | Pair::ResponsesToChat => Endpoint::ChatCompletions,
            Pair::ChatToGemini | Pair::ResponsesToGemini if stream => Endpoint::StreamGenerateContent,
            // the same kind of path, and the same fields for usage
            Pair::ChatToGemini | Pair::ResponsesToGemini | Pair::EmbeddingsToGemini => Endpoint::GenerateContent,
            Pair::ChatToConverse | Pair::ResponsesToConverse if stream => Endpoint::ConverseStream,
            Pair::ChatToConverse | Pair::ResponsesToConverse => Endpoint::Converse,
        }
    }

    /// The path of that endpoint, in the target's dialect.
    pub fn path(self, stream: bool) -> &'static str {
        match self {
            Pair::ChatToMessages | Pair::ResponsesToMessages => "/v1/messages",
            Pair::MessagesToChat | Pair::ResponsesToChat => "/v1/chat/completions",
            // the upstream's path gets the model's name later
            Pair::ChatToGemini | Pair::ResponsesToGemini if stream => {
                "/v1beta/models/model:streamGenerateContent?alt=sse"
            }
            Pair::ChatToGemini | Pair::ResponsesToGemini => "/v1beta/models/model:generateContent",
            Pair::EmbeddingsToGemini => "/v1beta/models/model:batchEmbedContents",
            Pair::ChatToConverse | Pair::ResponsesToConverse if stream => "/model/model/converse-stream",
            Pair::ChatToConverse | Pair::ResponsesToConverse => "/model/model/converse",
        }
    }

    /// Headers that the target's dialect requires, and client headers that it must not see.
    pub fn headers(self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            Pair::ChatToMessages | Pair::ResponsesToMessages => {
                &[("anthropic-version", Some("2023-06-01")), ("openai-beta", None)]
            }
            Pair::ChatToGemini
            | Pair::EmbeddingsToGemini
            | Pair::ChatToConverse
            | Pair::ResponsesToGemini
            | Pair::ResponsesToConverse
            | Pair::ResponsesToChat => &[("openai-beta", None)],
            Pair::MessagesToChat => &[
                ("anthropic-version", None),
                ("anthropic-beta", None),
                ("anthropic-dangerous-direct-browser-access", None),
            ],
        }
    }

    /// Translates a request whose body is known to be a JSON object.
    ///
    /// # Errors
    /// 400 that names the field: the target cannot answer the request.
    pub fn request(self, body: &[u8], target: &Target<'_>) -> Result<Translated, ApiError> {
        match self {
            Pair::ChatToMessages => chat_to_messages::request(body, target),
            Pair::MessagesToChat => messages_to_chat::request(body, target),
            Pair::ChatToGemini => chat_to_gemini::request(body, target),
            Pair::EmbeddingsToGemini => embeddings_to_gemini::request(body, target),
            Pair::ChatToConverse => chat_to_converse::request(body, target),
            Pair::ResponsesToChat => responses_to_chat::request(body, target, Reader::Server),
            Pair::ResponsesToMessages => via_chat::request(body, target, Reader::Messages, chat_to_messages::request),
            Pair::ResponsesToGemini => via_chat::request(body, target, Reader::Gemini, chat_to_gemini::request),
            // reasoning and tool results have the same form as in Messages
            Pair::ResponsesToConverse => via_chat::request(body, target, Reader::Messages, chat_to_converse::request),
        }
    }

    /// Translates a complete answer with a status of success.
    ///
    /// # Errors
    /// It is invalid in the target's dialect: the attempt has failed.
    pub fn answer(self, body: &[u8], reply: &Reply) -> Result<TranslatedAnswer, Unreadable> {
        match self {
            Pair::ChatToMessages => chat_to_messages::answer(body, reply),
            Pair::MessagesToChat => messages_to_chat::answer(body, reply),
            Pair::ChatToGemini => chat_to_gemini::answer(body, reply),
            Pair::EmbeddingsToGemini => embeddings_to_gemini::answer(body, reply),
            Pair::ChatToConverse => chat_to_converse::answer(body, reply),
            Pair::ResponsesToChat => responses_to_chat::answer(body, reply),
            Pair::ResponsesToMessages => via_chat::answer(body, reply, chat_to_messages::answer),
            Pair::ResponsesToGemini => via_chat::answer(body, reply, chat_to_gemini::answer),
            Pair::ResponsesToConverse => via_chat::answer(body, reply, chat_to_converse::answer),
        }
    }

    /// The framing of the target's stream.
    pub fn framing(self) -> Framing {
        match self.target(true).dialect() {
            Dialect::Converse => Framing::EventStream,
            Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini => Framing::Sse,
            Dialect::Ollama => Framing::Ndjson,
        }
    }

    /// Translates a streamed answer.
    pub fn stream(self, reply: &Reply) -> Stream {
        let machine: Box<dyn Machine> = match self {
            Pair::ChatToMessages => Box::new(chat_to_messages::Events::new(reply)),
            Pair::MessagesToChat => Box::new(messages_to_chat::Events::new(reply)),
            // embeddings are not streamed
            Pair::ChatToGemini | Pair::EmbeddingsToGemini => Box::new(chat_to_gemini::Events::new(reply)),
            Pair::ChatToConverse => Box::new(chat_to_converse::Events::new(reply)),
            Pair::ResponsesToChat => Box::new(responses_to_chat::Events::new(reply)),
            Pair::ResponsesToMessages => Box::new(ViaChat::new(reply, chat_to_messages::Events::new)),
            Pair::ResponsesToGemini => Box::new(ViaChat::new(reply, chat_to_gemini::Events::new)),
            Pair::ResponsesToConverse => Box::new(ViaChat::new(reply, chat_to_converse::Events::new)),
        };
        Stream::new(machine, self.framing())
    }

    /// Translates an answer's body with an error status.
    pub fn error(self, status: u16, body: &[u8]) -> Vec<u8> {
        let failure = ProviderError::of_answer(status, body);
        match self.source() {
            Endpoint::Messages => failure.messages_body(),
            _ => failure.chat_body(),
        }
    }

    /// An error's status for the client: 529 is Anthropic's own, and Bedrock's 424 is a failure of the model.
    pub fn status(self, status: u16) -> u16 {
        match (self.target(false), status) {
            (Endpoint::Messages, 529) => 503,
            (Endpoint::Converse, 424) => 502,
            (_, status) => status,
        }
    }
}
