//! Anthropic's messages.

use super::merge::{Indexed, Merged};
use super::sse::{self, on_one_line};
use super::{ended, Unstorable};
use crate::translate::raw::{arguments, Raw};
use crate::translate::writer::Writer;

/// Strings that are not appended.
const SET: [&str; 2] = ["type", "stop_reason"];

/// The message of a stream of events.
pub fn collect(stream: &[u8]) -> Option<Writer> {
    let (mut message, mut blocks, mut done) = (Merged::default(), Indexed::default(), false);
    sse::events(stream, |event| {
        let event = event?;
        let index = || event.field("index").and_then(Raw::count);
        match event.text("type").as_deref() {
            Some("message_start") => message.add(event.field("message")?, &SET),
            Some("content_block_start") => blocks.at(index()?)?.add(event.field("content_block")?, &SET),
            Some("content_block_delta") => add_delta(blocks.at(index()?)?, event.field("delta")?),
            Some("message_delta") => {
                event.field("delta")?.members(|name, value| message.replace(name, value.json()));
                if let Some(usage) = event.field("usage") {
                    let mut whole = Merged::default();
                    if let Some(begun) = message.take("usage") {
                        Raw::parse(begun.as_bytes())?.members(|name, value| whole.replace(name, value.json()));
                    }
                    usage.members(|name, value| {
                        if !value.is_null() {
                            whole.replace(name, value.json());
                        }
                    });
                    let mut out = Writer::default();
                    out.object(|out| whole.write_members(out));
                    message.replace("usage", out.as_str());
                }
                Some(())
            }
            Some("message_stop") => {
                done = true;
                Some(())
            }
            Some("content_block_stop" | "ping") => Some(()),
            _ => None,
        }
    })?;
    message.take("content")?;
    if !done {
        return None;
    }
    let mut out = Writer::default();
    out.object(|out| {
        message.write_members(out);
        out.put_array("content", |out| {
            for (_, mut block) in blocks.sorted() {
                // the arguments of a call arrive as a text
                if let Some(written) = block.take("partial_json") {
                    let text = Raw::parse(written.as_bytes()).map(|text| arguments(Some(text)).into_owned());
                    block.replace("input", text.as_deref().unwrap_or("{}"));
                }
                out.object(|out| block.write_members(out));
            }
        });
    });
    Some(out)
}

fn add_delta(block: &mut Merged, delta: Raw<'_>) -> Option<()> {
    match delta.text("type").as_deref()? {
        "text_delta" => block.member("text", delta.field("text")?, &[]),
        "input_json_delta" => block.member("partial_json", delta.field("partial_json")?, &[]),
        "thinking_delta" => block.member("thinking", delta.field("thinking")?, &[]),
        "signature_delta" => block.member("signature", delta.field("signature")?, &[]),
        "citations_delta" => {
            let one = format!("[{}]", delta.field("citation")?.json());
            block.member("citations", Raw::parse(one.as_bytes())?, &[])
        }
        _ => None,
    }
}

/// Whether a message may be kept.
pub fn end(answer: Raw<'_>) -> Result<(), Unstorable> {
    let [reason, content] = answer.fields(["stop_reason", "content"]);
    let content = content.filter(|content| content.is_array()).ok_or(Unstorable::Unknown)?;
    let reason = reason.and_then(Raw::string);
    ended(
        reason.as_deref(),
        &["end_turn", "stop_sequence"],
        &["max_tokens", "model_context_window_exceeded", "pause_turn"],
        &["tool_use"],
    )?;
    content.each(|_, block| match block.text("type").as_deref() {
        Some("text" | "thinking" | "redacted_thinking") => Ok(()),
        _ => Err(Unstorable::Tools),
    })
}

/// The events of a message.
pub fn stream(answer: Raw<'_>, out: &mut Writer) {
    out.event(Some("message_start"), |out| {
        out.put_string("type", "message_start");
        out.put_object("message", |out| {
            answer.members(|name, value| match name {
                "content" => out.put(name, "[]"),
                "stop_reason" | "stop_sequence" => out.put(name, "null"),
                _ => out.put(name, &on_one_line(value)),
            });
        });
    });
    if let Some(content) = answer.field("content") {
        let _ = content.each(|index, block| {
            write_block(index as u64, block, out);
            Ok::<(), ()>(())
        });
    }
    out.event(Some("message_delta"), |out| {
        out.put_string("type", "message_delta");
        out.put_object("delta", |out| {
            for name in ["stop_reason", "stop_sequence"] {
                out.put(name, answer.field(name).map_or("null", Raw::json));
            }
        });
        if let Some(usage) = answer.field("usage") {
            out.put("usage", &on_one_line(usage));
        }
    });
    out.event(Some("message_stop"), |out| out.put_string("type", "message_stop"));
}

/// The field of a block that arrives in pieces, the kind of a piece, and its field.
const PIECES: [(&str, &str, &str); 4] = [
    ("text", "text_delta", "text"),
    ("thinking", "thinking_delta", "thinking"),
    ("signature", "signature_delta", "signature"),
    ("input", "input_json_delta", "partial_json"),
];

fn write_block(index: u64, block: Raw<'_>, out: &mut Writer) {
    let kind = block.text("type").unwrap_or_default();
    let in_pieces = matches!(&*kind, "text" | "thinking" | "tool_use" | "server_tool_use");
    out.event(Some("content_block_start"), |out| {
        out.put_string("type", "content_block_start");
        out.put_number("index", index);
        out.put_object("content_block", |out| {
            block.members(|name, value| match name {
                "input" if in_pieces => out.put(name, "{}"),
                "text" | "thinking" | "signature" if in_pieces => out.put_string(name, ""),
                _ => out.put(name, &on_one_line(value)),
            });
        });
    });
    for (name, delta, field) in PIECES {
        let Some(value) = block.field(name).filter(|_| in_pieces) else {
            continue;
        };
        out.event(Some("content_block_delta"), |out| {
            out.put_string("type", "content_block_delta");
            out.put_number("index", index);
            out.put_object("delta", |out| {
                out.put_string("type", delta);
                match value.is_string() {
                    true => out.put(field, value.json()),
                    false => out.put_string(field, value.json()),
                }
            });
        });
    }
    out.event(Some("content_block_stop"), |out| {
        out.put_string("type", "content_block_stop");
        out.put_number("index", index);
    });
}
