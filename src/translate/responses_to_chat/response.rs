//! The response object, complete or partial.

use super::item::Item;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::usage::TokenUsage;

/// The longest repeated value of the request, since a stream repeats it three times.
const MAX_ECHO: usize = 2048;

/// The request's fields that a response repeats, and their defaults.
const ECHOED: [(&str, &str); 11] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("reasoning", "null"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_p", "null"),
    ("user", "null"),
];

/// The repeated fields of the request, separated by commas.
pub fn echo(request: Raw<'_>) -> String {
    let mut out = Writer::default();
    let found = request.fields(ECHOED.map(|(name, _)| name));
    for ((name, otherwise), value) in ECHOED.into_iter().zip(found) {
        let value = value.map(Raw::json).filter(|value| value.len() <= MAX_ECHO);
        out.put(name, value.unwrap_or(otherwise));
    }
    out.into_string()
}

/// A response's metadata.
pub struct Head<'a> {
    pub id: &'a str,
    pub model: &'a str,
    pub created: u64,
    pub status: &'a str,
    /// Why it is incomplete.
    pub incomplete: Option<&'a str>,
    /// The code of an error, and its message.
    pub error: Option<(&'a str, &'a str)>,
    pub echo: &'a str,
}

/// Writes a response. Its last item has the response's status, if items have that status.
pub fn write<'a>(out: &mut Writer, head: &Head<'_>, items: impl Iterator<Item = &'a Item>, usage: Option<&TokenUsage>) {
    out.object(|out| {
        out.put_string("id", head.id);
        out.put_string("object", "response");
        out.put_number("created_at", head.created);
        out.put_string("status", head.status);
        out.put("background", "false");
        out.key("error");
        match head.error {
            Some((code, message)) => out.object(|out| {
                out.put_string("code", code);
                out.put_string("message", message);
            }),
            None => out.raw("null"),
        }
        out.key("incomplete_details");
        match head.incomplete {
            Some(reason) => out.object(|out| out.put_string("reason", reason)),
            None => out.raw("null"),
        }
        out.put_string("model", head.model);
        out.put_array("output", |out| {
            let mut items = items.peekable();
            while let Some(item) = items.next() {
                let whole = items.peek().is_some() || head.status == "completed";
                item.write(out, if whole { "completed" } else { "incomplete" });
            }
        });
        out.put("previous_response_id", "null");
        out.put("store", "false");
        out.put_string("truncation", "disabled");
        out.raw(head.echo);
        out.key("usage");
        match usage {
            Some(usage) => write_usage(out, usage),
            None => out.raw("null"),
        }
    });
}

/// Usage in Responses' fields: cached tokens are part of the input, reasoning is part of the output.
fn write_usage(out: &mut Writer, usage: &TokenUsage) {
    out.object(|out| {
        out.put_number("input_tokens", usage.input);
        out.put_object("input_tokens_details", |out| {
            out.put_number("cached_tokens", usage.cached_input);
            out.put_number("cache_write_tokens", usage.cache_write_input);
        });
        out.put_number("output_tokens", usage.output);
        out.put_object("output_tokens_details", |out| out.put_number("reasoning_tokens", usage.reasoning_output));
        out.put_number("total_tokens", usage.total());
    });
}
