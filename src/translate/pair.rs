//! Which dialects are translated into which, and what an attempt must know of it.

use super::failure::Failure;
use super::responses_to_chat::Reader;
use super::stream::{Machine, Stream};
use super::via_chat::ViaChat;
use super::{chat_to_converse, chat_to_gemini, chat_to_messages, messages_to_chat, responses_to_chat, via_chat};
use super::{Answer, Reply, Target, Translated, Unreadable};
use crate::endpoint::{Dialect, Endpoint};
use crate::error::ApiError;
use crate::usage::Framing;

/// What a client speaks, and what its request is translated into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    /// OpenAI's chat completions, for a server that speaks Anthropic's Messages.
    ChatToMessages,
    /// Anthropic's Messages, for a server that speaks OpenAI's chat completions.
    MessagesToChat,
    /// OpenAI's chat completions, for a server that speaks Google's Gemini API.
    ChatToGemini,
    /// OpenAI's Responses, for a server that speaks OpenAI's chat completions.
    ResponsesToChat,
    /// OpenAI's Responses, for a server that speaks Anthropic's Messages.
    ResponsesToMessages,
    /// OpenAI's Responses, for a server that speaks Google's Gemini API.
    ResponsesToGemini,
    /// OpenAI's chat completions, for Amazon Bedrock's Converse.
    ChatToConverse,
    /// OpenAI's Responses, for Amazon Bedrock's Converse.
    ResponsesToConverse,
}

impl Pair {
    /// Every pair.
    pub const ALL: [Pair; 8] = [
        Pair::ChatToMessages,
        Pair::MessagesToChat,
        Pair::ChatToGemini,
        Pair::ResponsesToChat,
        Pair::ResponsesToMessages,
        Pair::ResponsesToGemini,
        Pair::ChatToConverse,
        Pair::ResponsesToConverse,
    ];

    /// How a request to `endpoint` reaches a target that speaks `dialect` and does not serve that endpoint; `None` if it
    /// cannot.
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

    /// The endpoint that the client calls.
    pub fn source(self) -> Endpoint {
        match self {
            Pair::ChatToMessages | Pair::ChatToGemini | Pair::ChatToConverse => Endpoint::ChatCompletions,
            Pair::MessagesToChat => Endpoint::Messages,
            Pair::ResponsesToChat | Pair::ResponsesToMessages | Pair::ResponsesToGemini | Pair::ResponsesToConverse => {
                Endpoint::Responses
            }
        }
    }

    /// The endpoint that the target is asked at.
    pub fn target(self, stream: bool) -> Endpoint {
        match self {
            Pair::ChatToMessages | Pair::ResponsesToMessages => Endpoint::Messages,
            Pair::MessagesToChat | Pair::ResponsesToChat => Endpoint::ChatCompletions,
            Pair::ChatToGemini | Pair::ResponsesToGemini if stream => Endpoint::StreamGenerateContent,
            Pair::ChatToGemini | Pair::ResponsesToGemini => Endpoint::GenerateContent,
            Pair::ChatToConverse | Pair::ResponsesToConverse if stream => Endpoint::ConverseStream,
            Pair::ChatToConverse | Pair::ResponsesToConverse => Endpoint::Converse,
        }
    }

    /// The path of that endpoint, as a client of the target's dialect would call it.
    pub fn path(self, stream: bool) -> &'static str {
        match self {
            Pair::ChatToMessages | Pair::ResponsesToMessages => "/v1/messages",
            Pair::MessagesToChat | Pair::ResponsesToChat => "/v1/chat/completions",
            // the model's name is put in where the path is written for an upstream
            Pair::ChatToGemini | Pair::ResponsesToGemini if stream => {
                "/v1beta/models/model:streamGenerateContent?alt=sse"
            }
            Pair::ChatToGemini | Pair::ResponsesToGemini => "/v1beta/models/model:generateContent",
            Pair::ChatToConverse | Pair::ResponsesToConverse if stream => "/model/model/converse-stream",
            Pair::ChatToConverse | Pair::ResponsesToConverse => "/model/model/converse",
        }
    }

    /// Headers that the target's dialect needs, and those of the client's that it must not see.
    pub fn headers(self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            Pair::ChatToMessages | Pair::ResponsesToMessages => {
                &[("anthropic-version", Some("2023-06-01")), ("openai-beta", None)]
            }
            Pair::ChatToGemini
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

    /// Translates a request, whose body has been found to be a JSON object.
    ///
    /// # Errors
    /// 400 that names the field: the target could not answer what is asked.
    pub fn request(self, body: &[u8], target: &Target<'_>) -> Result<Translated, ApiError> {
        match self {
            Pair::ChatToMessages => chat_to_messages::request(body, target),
            Pair::MessagesToChat => messages_to_chat::request(body, target),
            Pair::ChatToGemini => chat_to_gemini::request(body, target),
            Pair::ChatToConverse => chat_to_converse::request(body, target),
            Pair::ResponsesToChat => responses_to_chat::request(body, target, Reader::Server),
            Pair::ResponsesToMessages => via_chat::request(body, target, Reader::Messages, chat_to_messages::request),
            Pair::ResponsesToGemini => via_chat::request(body, target, Reader::Gemini, chat_to_gemini::request),
            // the model's thoughts and the results of its tools are those of Messages, in other words
            Pair::ResponsesToConverse => via_chat::request(body, target, Reader::Messages, chat_to_converse::request),
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
            Pair::ChatToConverse => chat_to_converse::answer(body, reply),
            Pair::ResponsesToChat => responses_to_chat::answer(body, reply),
            Pair::ResponsesToMessages => via_chat::answer(body, reply, chat_to_messages::answer),
            Pair::ResponsesToGemini => via_chat::answer(body, reply, chat_to_gemini::answer),
            Pair::ResponsesToConverse => via_chat::answer(body, reply, chat_to_converse::answer),
        }
    }

    /// How the events of the target's stream are told apart.
    pub fn framing(self) -> Framing {
        match self.target(true).dialect() {
            Dialect::Converse => Framing::EventStream,
            Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini => Framing::Sse,
            Dialect::Ollama => Framing::Ndjson,
        }
    }

    /// Translates an answer that is a stream.
    pub fn stream(self, reply: &Reply) -> Stream {
        let machine: Box<dyn Machine> = match self {
            Pair::ChatToMessages => Box::new(chat_to_messages::Events::new(reply)),
            Pair::MessagesToChat => Box::new(messages_to_chat::Events::new(reply)),
            Pair::ChatToGemini => Box::new(chat_to_gemini::Events::new(reply)),
            Pair::ChatToConverse => Box::new(chat_to_converse::Events::new(reply)),
            Pair::ResponsesToChat => Box::new(responses_to_chat::Events::new(reply)),
            Pair::ResponsesToMessages => Box::new(ViaChat::new(reply, chat_to_messages::Events::new)),
            Pair::ResponsesToGemini => Box::new(ViaChat::new(reply, chat_to_gemini::Events::new)),
            Pair::ResponsesToConverse => Box::new(ViaChat::new(reply, chat_to_converse::Events::new)),
        };
        Stream::new(machine, self.framing())
    }

    /// Translates the body of an answer with a status of an error.
    pub fn error(self, status: u16, body: &[u8]) -> Vec<u8> {
        let failure = Failure::of_answer(status, body);
        match self.source() {
            Endpoint::Messages => failure.messages_body(),
            _ => failure.chat_body(),
        }
    }

    /// The status of an error as the client knows it: 529 is Anthropic's own, and Bedrock's 424 a
    /// failure of the model.
    pub fn status(self, status: u16) -> u16 {
        match (self.target(false), status) {
            (Endpoint::Messages, 529) => 503,
            (Endpoint::Converse, 424) => 502,
            (_, status) => status,
        }
    }
}
