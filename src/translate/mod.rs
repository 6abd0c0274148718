//! Translation between dialects: a client's request as another provider takes it, and its answer as the client reads it.
//!
//! From the client's bytes straight to the target's dialect: a form in between would lose what both know and it does
//! not. There is one folder for each pair, with a file for the request, the answer and the stream. What a target has no
//! word for is left out and [named](Dropped); where the answer would be another one without it, the request is refused.
//! Nothing is made up.

mod calls;
mod chat;
mod chat_to_converse;
mod chat_to_gemini;
mod chat_to_messages;
mod claude;
mod data_url;
mod dropped;
mod failure;
mod ids;
mod messages_to_chat;
mod pair;
mod raw;
mod responses_to_chat;
mod schema;
mod stream;
mod tool_names;
mod via_chat;
mod writer;

use crate::error::ApiError;
use raw::Raw;
use responses_to_chat::ToolNote;

pub use dropped::Dropped;
pub use pair::Pair;
pub use stream::{Stream, MAX_EVENT};

/// The most tokens of an answer whose client does not say, where a provider insists on a number.
pub const MAX_OUTPUT_TOKENS: u64 = 4096;

/// The tool whose arguments are the answer, for models that take no schema for it.
const JSON_TOOL: &str = "json_answer";

/// Tells a model that it must answer in JSON, where nothing but words does.
const ONE_JSON_OBJECT: &str = "Respond with a single JSON object and nothing else.";

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
    /// Tools of a response that the target knows otherwise.
    tools: Vec<ToolNote>,
    /// What a response repeats of its request.
    echo: String,
    /// The model, by the name the target knows it by, where the answer does not say.
    model: String,
}

impl Notes {
    /// How much memory they take besides themselves.
    fn reserved(&self) -> usize {
        let names: usize = self.names.iter().map(|(short, long)| short.capacity() + long.capacity()).sum();
        let tools: usize = self.tools.iter().map(|tool| tool.given.capacity() + tool.name.capacity()).sum();
        self.echo.capacity() + self.model.capacity() + names + tools
    }
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

/// A request that the target could not answer.
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
