//! The answer: OpenAI's completion as Anthropic's message.

use super::{stop_reason, usual_reason, write_usage};
use crate::translate::chat::{said, MESSAGE_FIELDS};
use crate::translate::ids::made;
use crate::translate::raw::{arguments, Raw};
use crate::translate::tool_names::clients_name;
use crate::translate::writer::Writer;
use crate::translate::{Reply, TranslatedAnswer, Unreadable};
use crate::usage::{EventKind, UsageReading};

/// Translates a complete answer.
pub fn answer(body: &[u8], reply: &Reply) -> Result<TranslatedAnswer, Unreadable> {
    let completion = Raw::parse(body).filter(|completion| completion.is_object()).ok_or(Unreadable)?;
    let mut reading = UsageReading::default();
    if matches!(reading.read(body), EventKind::Error | EventKind::Garbage) {
        return Err(Unreadable);
    }
    let [id, model, choices] = completion.fields(["id", "model", "choices"]);
    let choice = choices.and_then(Raw::first).ok_or(Unreadable)?;
    let [message, finish_reason] = choice.fields(["message", "finish_reason"]);
    let message = message.filter(|message| message.is_object()).ok_or(Unreadable)?;
    let mut content = Writer::default();
    let calls = blocks(&mut content, message, reply);
    let finish_reason = finish_reason.and_then(Raw::string);
    let reason = finish_reason.as_deref().map(|reason| stop_reason(reason, calls));
    let mut out = Writer::with_capacity(body.len() + 256);
    out.object(|out| {
        match id.and_then(Raw::string).filter(|id| !id.is_empty()) {
            Some(id) => out.put_string("id", &id),
            None => out.put_string("id", &made("msg_", reply.id, 0)),
        }
        out.put_string("type", "message");
        out.put_string("role", "assistant");
        out.put_string("model", &model.and_then(Raw::string).unwrap_or_default());
        out.put_array("content", |out| out.raw(content.as_str()));
        out.put_string("stop_reason", reason.flatten().unwrap_or(usual_reason(calls)));
        out.put("stop_sequence", "null");
        out.key("usage");
        write_usage(out, &reading.tokens());
    });
    Ok(TranslatedAnswer { body: out.into_bytes(), unknown_reason: reason == Some(None) })
}

/// Writes the blocks of a message. Returns whether it calls tools.
fn blocks(out: &mut Writer, message: Raw<'_>, reply: &Reply) -> bool {
    let [content, reasoning, reasoning_too, thoughts, refusal, calls, function] = message.fields(MESSAGE_FIELDS);
    if let Some(thoughts) = thoughts.filter(|thoughts| thoughts.is_array()) {
        thoughts.items(|thought| out.raw(thought.json()));
    } else {
        let reasoning = reasoning.or(reasoning_too).and_then(Raw::string).filter(|text| !text.is_empty());
        if let Some(reasoning) = reasoning {
            out.object(|out| {
                out.put_string("type", "thinking");
                out.put_string("thinking", &reasoning);
                out.put_string("signature", "");
            });
        }
    }
    for text in [said(content), said(refusal)] {
        if !text.is_empty() {
            out.object(|out| {
                out.put_string("type", "text");
                out.put_string("text", &text);
            });
        }
    }
    let mut count = 0;
    let mut call = |id: Option<Raw<'_>>, function: Raw<'_>| {
        count += 1;
        let [name, input] = function.fields(["name", "arguments"]);
        let id = id.and_then(Raw::string).filter(|id| !id.is_empty());
        let name = name.and_then(Raw::string).unwrap_or_default();
        out.object(|out| {
            out.put_string("type", "tool_use");
            out.put_string("id", &id.unwrap_or_else(|| made("toolu_", reply.id, count).into()));
            out.put_string("name", clients_name(&name, &reply.notes));
            out.put("input", &arguments(input));
        });
    };
    match (calls, function) {
        (Some(calls), _) => calls.items(|each| {
            if let Some(function) = each.field("function") {
                call(each.field("id"), function);
            }
        }),
        (None, Some(function)) => call(None, function),
        (None, None) => {}
    }
    count > 0
}
