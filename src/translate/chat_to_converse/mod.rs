//! OpenAI chat completions for Amazon Bedrock's Converse API.

mod answer;
mod content;
mod messages;
mod model;
mod request;
mod stream;
mod tools;

pub(super) use answer::answer;
pub(super) use request::request;
pub(super) use stream::Events;

/// The finish reason in OpenAI's terms; `None` for an unknown reason.
fn finish_reason(stop_reason: &str, json_tool: bool) -> Option<&'static str> {
    Some(match stop_reason {
        "end_turn" | "stop_sequence" => "stop",
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" if json_tool => "stop",
        "tool_use" => "tool_calls",
        "content_filtered" | "guardrail_intervened" => "content_filter",
        _ => return None,
    })
}
