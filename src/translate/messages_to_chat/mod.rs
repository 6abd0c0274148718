//! Anthropic's Messages for a server with OpenAI's chat completions: Claude Code with any model.

mod answer;
mod blocks;
mod content;
mod messages;
mod request;
mod stream;
mod tools;

pub(super) use answer::answer;
pub(super) use request::request;
pub(super) use stream::Events;

use crate::translate::writer::Writer;
use crate::usage::TokenUsage;

/// The stop reason in Anthropic's terms; `None` for an unknown reason. Some servers say `stop` although tools are
/// called.
fn stop_reason(finish_reason: &str, calls: bool) -> Option<&'static str> {
    Some(match finish_reason {
        "stop" | "eos" | "end_turn" if calls => "tool_use",
        "stop" | "eos" | "end_turn" => "end_turn",
        "length" => "max_tokens",
        "tool_calls" | "function_call" => "tool_use",
        "content_filter" => "refusal",
        _ => return None,
    })
}

/// The replacement for an unknown reason.
fn usual_reason(calls: bool) -> &'static str {
    if calls {
        "tool_use"
    } else {
        "end_turn"
    }
}

/// Usage in Anthropic's fields: cached tokens are separate from the input.
fn write_usage(out: &mut Writer, usage: &TokenUsage) {
    out.object(|out| {
        let cached = usage.cached_input.saturating_add(usage.cache_write_input);
        out.put_number("input_tokens", usage.input.saturating_sub(cached));
        out.put_number("cache_creation_input_tokens", usage.cache_write_input);
        out.put_number("cache_read_input_tokens", usage.cached_input);
        out.put_number("output_tokens", usage.output);
    });
}
