//! The response object, whole or as far as a stream has come.

use super::item::Item;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::usage::TokenUsage;

/// The longest value of the request that is repeated in its response: a stream does so three times.
const MAX_ECHO: usize = 2048;

/// What of the request a response repeats, and what stands there otherwise.
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

/// What a response repeats of its request, as fields with commas between them.
pub fn echo(request: Raw<'_>) -> String {
    let mut out = Writer::default();
    let found = request.fields(ECHOED.map(|(name, _)| name));
    for ((name, otherwise), value) in ECHOED.into_iter().zip(found) {
        let value = value.map(Raw::json).filter(|value| value.len() <= MAX_ECHO);
        out.put(name, value.unwrap_or(otherwise));
    }
    out.into_string()
}

/// What a response says of itself.
pub struct Head<'a> {
    pub id: &'a str,
    pub model: &'a str,
    pub created: u64,
    pub status: &'a str,
    /// Why it is not complete.
    pub incomplete: Option<&'a str>,
    /// The code of an error, and its message.
    pub error: Option<(&'a str, &'a str)>,
    pub echo: &'a str,
}

/// Writes a response. Its last item has the response's status, if that is one of items.
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

/// Usage in the words of responses: what was cached is part of the input, what was thought of the output.
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
