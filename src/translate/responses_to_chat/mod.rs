//! OpenAI's Responses for a server with chat completions: Codex with any model. For servers of other dialects, the
//! request is first translated into a chat completion.
//!
//! Nothing is stored: references to an earlier response are refused.
//!
//! Sources: OpenAI's API reference (responses/create, responses-streaming, "Migrate to the Responses API"), and Codex's
//! requests and answers.

mod answer;
mod input;
mod item;
mod request;
mod response;
mod sender;
mod stream;
mod thoughts;
mod tool_note;
mod tools;

pub(super) use answer::answer;
pub(super) use request::request;
pub(super) use stream::Events;
pub(super) use tool_note::ToolNote;

/// The reader of the translated chat completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A server with chat completions.
    Server,
    /// The translation for Anthropic's Messages, which reads signed reasoning, and images in tool results.
    Messages,
    /// The translation for Gemini.
    Gemini,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Completed,
    /// It stopped for this reason.
    Incomplete(&'static str),
}

impl Ending {
    /// From a completion's `finish_reason`; `None` for an unknown reason.
    fn of(finish_reason: &str) -> Option<Self> {
        Some(match finish_reason {
            "stop" | "tool_calls" | "function_call" | "eos" | "end_turn" => Ending::Completed,
            "length" => Ending::Incomplete("max_output_tokens"),
            "content_filter" => Ending::Incomplete("content_filter"),
            _ => return None,
        })
    }

    /// The status of a response, and of its last item.
    fn status(self) -> &'static str {
        match self {
            Ending::Completed => "completed",
            Ending::Incomplete(_) => "incomplete",
        }
    }

    /// Why it is incomplete.
    fn reason(self) -> Option<&'static str> {
        match self {
            Ending::Completed => None,
            Ending::Incomplete(reason) => Some(reason),
        }
    }
}
