//! The answer: Converse's as OpenAI's completion.

use super::finish_reason;
use crate::translate::chat::{completion, said, Completion, Head};
use crate::translate::ids::made;
use crate::translate::raw::Raw;
use crate::translate::tool_names::clients_name;
use crate::translate::writer::Writer;
use crate::translate::{Notes, Reply, TranslatedAnswer, Unreadable, JSON_TOOL};
use crate::usage::UsageReading;

/// Translates a complete answer.
pub fn answer(body: &[u8], reply: &Reply) -> Result<TranslatedAnswer, Unreadable> {
    let answer = Raw::parse(body).filter(|answer| answer.is_object()).ok_or(Unreadable)?;
    let [output, stop_reason, usage, tier] = answer.fields(["output", "stopReason", "usage", "serviceTier"]);
    // an unknown operation also has a status of success, but no output
    let message = output.and_then(|output| output.field("message")).ok_or(Unreadable)?;
    let content = message.field("content").filter(|content| content.is_array()).ok_or(Unreadable)?;
    let mut said = Completion::default();
    content.items(|block| add(&mut said, block, &reply.notes));
    let reason = stop_reason.and_then(Raw::string).map(|reason| finish_reason(&reason, reply.notes.json_tool));
    let mut reading = UsageReading::default();
    reading.read(body);
    let tokens = usage.map(|_| reading.tokens());
    let tier = tier.and_then(|tier| tier.text("type"));
    let mut choices = Writer::default();
    said.write_choice(&mut choices, 0, reason.flatten().unwrap_or("stop"));
    let head = Head { id: &made("chatcmpl-", reply.id, 0), model: &reply.notes.model, created: reply.created };
    let body = completion(&head, choices.as_str(), tokens.as_ref(), tier.as_deref());
    Ok(TranslatedAnswer { body, unknown_reason: reason == Some(None) })
}

fn add(completion: &mut Completion, block: Raw<'_>, notes: &Notes) {
    let [text, call, thought, cited] = block.fields(["text", "toolUse", "reasoningContent", "citationsContent"]);
    if let Some(text) = text.and_then(Raw::string) {
        completion.text.push_str(&text);
    } else if let Some(call) = call {
        let [id, name, input, kind] = call.fields(["toolUseId", "name", "input", "type"]);
        let name = name.and_then(Raw::string).unwrap_or_default();
        let input = input.filter(|input| input.is_object()).map_or("{}", Raw::json);
        match (kind, notes.json_tool && name == JSON_TOOL) {
            (Some(_), _) => {} // the provider's own tool has run there
            (None, true) => completion.text.push_str(input),
            (None, false) => {
                let id = id.and_then(Raw::string).unwrap_or_default();
                completion.call(&id, clients_name(&name, notes), input, None);
            }
        }
    } else if let Some(thought) = thought {
        let [told, redacted] = thought.fields(["reasoningText", "redactedContent"]);
        if let Some(told) = told {
            let [text, signature] = told.fields(["text", "signature"]);
            let text = text.and_then(Raw::string).unwrap_or_default();
            completion.reasoning.push_str(&text);
            completion.thoughts.object(|out| {
                out.put_string("type", "thinking");
                out.put_string("thinking", &text);
                out.put_string("signature", &signature.and_then(Raw::string).unwrap_or_default());
            });
        } else if let Some(redacted) = redacted.and_then(Raw::string) {
            completion.thoughts.object(|out| {
                out.put_string("type", "redacted_thinking");
                out.put_string("data", &redacted);
            });
        }
    } else if let Some(cited) = cited {
        completion.text.push_str(&said(cited.field("content")));
    }
}
