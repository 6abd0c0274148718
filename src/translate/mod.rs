//! Translation between dialects: a client's request for another provider, and its answer for the client.
//!
//! The client's bytes are translated directly into the target's dialect: an intermediate form would lose everything
//! that it does not have, even if both dialects have it. There is one folder for each pair, with a file for the
//! request, the answer and the stream. Fields that a target does not have are dropped and [reported](Dropped). If the
//! answer would be different without a field, the request is refused. Nothing is invented.

mod calls;
mod chat;
mod chat_to_converse;
mod chat_to_gemini;
mod chat_to_messages;
mod claude;
mod data_url;
mod dropped;
mod embeddings_to_gemini;
mod failure;
mod ids;
mod messages_to_chat;
mod pair;
pub(crate) mod raw;
mod responses_to_chat;
mod schema;
mod stream;
mod tool_names;
mod via_chat;
pub(crate) mod writer;

use crate::error::ApiError;
use raw::Raw;
use responses_to_chat::ToolNote;

pub use dropped::Dropped;
pub use pair::Pair;
pub use stream::{Stream, MAX_EVENT};

/// The default output limit, for providers that require one.
pub const MAX_OUTPUT_TOKENS: u64 = 4096;

/// The tool whose arguments are the answer, for models without answer schemas.
const JSON_TOOL: &str = "json_answer";

/// Instructs a model to answer in JSON, if there is no other way.
const ONE_JSON_OBJECT: &str = "Respond with a single JSON object and nothing else.";

/// The kind of server, if it is not the dialect's own provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// At a server with the provider's own paths.
    #[default]
    Own,
    /// Google's Vertex AI: the path has the model, and the body has the version.
    Vertex,
}

/// The target's settings for a translation.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The target's name for the model.
    pub model: &'a str,
    /// Whether the answer should be a stream.
    pub stream: bool,
    /// Whether it accepts requests for usage in streams (`stream_options.include_usage`).
    pub include_usage: bool,
    /// The default output limit.
    pub max_output_tokens: u64,
    /// The kind of server.
    pub platform: Platform,
}

/// A translated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The body.
    pub body: Vec<u8>,
    /// The dropped fields.
    pub dropped: Dropped,
    /// The data for the answer's translation.
    pub notes: Notes,
}

/// The data of a request that its answer's translation needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Whether the answer comes as a tool's arguments.
    json_tool: bool,
    /// Names of tools that were too long: the target's, and the client's.
    names: Vec<(String, String)>,
    /// Tools of a Responses request that differ for the target.
    tools: Vec<ToolNote>,
    /// The parts of the request that a response object repeats.
    echo: String,
    /// The target's name for the model, if the answer does not have it.
    model: String,
    /// The number of texts to embed.
    inputs: usize,
    /// Whether the client wants vectors in Base64.
    base64: bool,
}

impl Notes {
    /// Their heap memory in bytes.
    fn reserved(&self) -> usize {
        let names: usize = self.names.iter().map(|(short, long)| short.capacity() + long.capacity()).sum();
        let tools: usize = self.tools.iter().map(|tool| tool.given.capacity() + tool.name.capacity()).sum();
        self.echo.capacity() + self.model.capacity() + names + tools
    }
}

/// The inputs of an answer's translation.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The time of the answer, in seconds since the epoch.
    pub created: u64,
    /// A unique part for its id, if the provider gives it none.
    pub id: u64,
    /// Whether the client wants usage in its stream.
    pub include_usage: bool,
    /// The approximate tokens of the prompt: some streams must report them before the provider does.
    pub prompt_tokens: u64,
    /// From the request's translation.
    pub notes: Notes,
}

/// A translated answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslatedAnswer {
    /// The body.
    pub body: Vec<u8>,
    /// Whether it ended with an unknown finish reason, treated as a normal end.
    pub unknown_reason: bool,
}

/// Writes the `usage` of a chat completion.
pub(crate) fn write_chat_usage(out: &mut writer::Writer, usage: &crate::usage::TokenUsage) {
    chat::write_usage(out, usage);
}

/// An answer that is invalid in its dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// The error for a request that the target cannot answer.
fn invalid(param: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::bad_request("unsupported_value", Some(param), message)
}

/// A request's body.
fn body(bytes: &[u8]) -> Result<Raw<'_>, ApiError> {
    Raw::parse(bytes).ok_or_else(|| invalid("body", "The request body is not valid JSON."))
}

/// The `messages` of OpenAI's chat, or of Anthropic's.
fn messages(value: Option<Raw<'_>>) -> Result<Raw<'_>, ApiError> {
    let array = value.filter(|messages| messages.is_array());
    array.ok_or_else(|| invalid("messages", "`messages` must be an array of messages."))
}

/// Refuses the fields of OpenAI's chat without which the answer would be different: several choices, probabilities,
/// sound.
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
