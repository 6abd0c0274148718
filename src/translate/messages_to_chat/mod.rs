//! Anthropic's Messages in front of a server that speaks OpenAI's chat completions: Claude Code on any model.

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

/// Why an answer ended, in Anthropic's words; `None` for a reason that is not known. Some servers say `stop` where
/// tools are called.
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

/// The reason that stands for one that is not known.
fn usual_reason(calls: bool) -> &'static str {
    if calls {
        "tool_use"
    } else {
        "end_turn"
    }
}

/// Usage in Anthropic's words: what was cached stands beside the rest of the input.
fn write_usage(out: &mut Writer, usage: &TokenUsage) {
    out.object(|out| {
        let cached = usage.cached_input.saturating_add(usage.cache_write_input);
        out.put_number("input_tokens", usage.input.saturating_sub(cached));
        out.put_number("cache_creation_input_tokens", usage.cache_write_input);
        out.put_number("cache_read_input_tokens", usage.cached_input);
        out.put_number("output_tokens", usage.output);
    });
}
