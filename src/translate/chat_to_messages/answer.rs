//! The answer: Anthropic's message as OpenAI's completion.

use super::finish_reason;
use crate::translate::chat::{completion, Completion, Head};
use crate::translate::ids::made;
use crate::translate::raw::Raw;
use crate::translate::{Reply, TranslatedAnswer, Unreadable, JSON_TOOL};
use crate::usage::UsageReading;

/// Translates a complete answer.
pub fn answer(body: &[u8], reply: &Reply) -> Result<TranslatedAnswer, Unreadable> {
    let message = Raw::parse(body).filter(|message| message.is_object()).ok_or(Unreadable)?;
    let [id, model, content, stop_reason, details, usage] =
        message.fields(["id", "model", "content", "stop_reason", "stop_details", "usage"]);
    let content = content.filter(|content| content.is_array()).ok_or(Unreadable)?;
    let mut said = Completion::default();
    content.items(|block| add(&mut said, block, reply.notes.json_tool));
    let stop_reason = stop_reason.and_then(Raw::string);
    let reason = stop_reason.as_deref().map(|reason| finish_reason(reason, reply.notes.json_tool));
    if reason == Some(Some("content_filter")) {
        said.refusal = details.and_then(|details| details.text("explanation")).map(|text| text.into_owned());
    }
    let mut reading = UsageReading::default();
    reading.read(body);
    let tokens = usage.map(|_| reading.tokens());
    let tier = usage.and_then(|usage| usage.text("service_tier"));
    let id = id.and_then(Raw::string).unwrap_or_else(|| made("chatcmpl-", reply.id, 0).into());
    let model = model.and_then(Raw::string).unwrap_or_default();
    let mut choices = crate::translate::writer::Writer::default();
    said.write_choice(&mut choices, 0, reason.flatten().unwrap_or("stop"));
    let head = Head { id: &id, model: &model, created: reply.created };
    let body = completion(&head, choices.as_str(), tokens.as_ref(), tier.as_deref());
    Ok(TranslatedAnswer { body, unknown_reason: reason == Some(None) })
}

fn add(said: &mut Completion, block: Raw<'_>, json_tool: bool) {
    let [kind, text, thinking, signature, data, id, name, input] =
        block.fields(["type", "text", "thinking", "signature", "data", "id", "name", "input"]);
    match kind.and_then(Raw::string).as_deref() {
        // there may be several, because citations split them
        Some("text") => said.text.push_str(&text.and_then(Raw::string).unwrap_or_default()),
        Some("thinking") => {
            let thinking = thinking.and_then(Raw::string).unwrap_or_default();
            said.reasoning.push_str(&thinking);
            said.thoughts.object(|out| {
                out.put_string("type", "thinking");
                out.put_string("thinking", &thinking);
                out.put_string("signature", &signature.and_then(Raw::string).unwrap_or_default());
            });
        }
        Some("redacted_thinking") => said.thoughts.object(|out| {
            out.put_string("type", "redacted_thinking");
            out.put_string("data", &data.and_then(Raw::string).unwrap_or_default());
        }),
        Some("tool_use") => {
            let name = name.and_then(Raw::string).unwrap_or_default();
            let input = input.filter(|input| input.is_object()).map_or("{}", Raw::json);
            match json_tool && name == JSON_TOOL {
                true => said.text.push_str(input),
                false => said.call(&id.and_then(Raw::string).unwrap_or_default(), &name, input, None),
            }
        }
        // calls of the provider's own tools, which have already run
        Some(_) | None => {}
    }
}
