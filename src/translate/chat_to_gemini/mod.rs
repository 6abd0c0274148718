//! OpenAI chat completions for a server with Google's Gemini API.

mod answer;
mod contents;
mod request;
mod stream;

pub(super) use answer::answer;
pub(super) use request::request;
pub(super) use stream::Events;

use super::raw::Raw;

/// The finish reason in OpenAI's terms; `None` for an unknown reason.
fn finish_reason(reason: &str, calls: bool) -> Option<&'static str> {
    Some(match reason {
        "STOP" if calls => "tool_calls",
        "STOP" => "stop",
        "MAX_TOKENS" => "length",
        "SAFETY" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "RECITATION" | "IMAGE_SAFETY" => "content_filter",
        _ => return None,
    })
}

/// Whether the prompt was refused: then there are no candidates.
fn is_blocked(answer: Raw<'_>) -> bool {
    answer.field("promptFeedback").and_then(|feedback| feedback.field("blockReason")).is_some()
}
