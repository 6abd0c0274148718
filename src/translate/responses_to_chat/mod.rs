//! OpenAI's Responses in front of a server that speaks chat completions: Codex on any model. Servers of other dialects
//! are reached by way of a chat completion, which is made for them.
//!
//! Nothing is stored: what refers to an earlier response is refused.
//!
//! Sources: OpenAI's API reference (responses/create, responses-streaming, "Migrate to the Responses API"), and what
//! Codex sends and reads.

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

/// Who reads the chat completion that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A server that speaks it.
    Server,
    /// The translation for Anthropic's Messages, which reads signed thoughts, and images in the results of tools.
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
    /// By a completion's `finish_reason`; `None` for a reason that is not known.
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

    /// Why it is not complete.
    fn reason(self) -> Option<&'static str> {
        match self {
            Ending::Completed => None,
            Ending::Incomplete(reason) => Some(reason),
        }
    }
}
