//! The answer: Gemini's as OpenAI's completion.

use super::{finish_reason, is_blocked};
use crate::translate::chat::{completion, Completion, Head};
use crate::translate::ids::made;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::translate::{Reply, TranslatedAnswer, Unreadable};
use crate::usage::{EventKind, UsageReading};

/// Translates a complete answer.
pub fn answer(body: &[u8], reply: &Reply) -> Result<TranslatedAnswer, Unreadable> {
    let answer = Raw::parse(body).filter(|answer| answer.is_object()).ok_or(Unreadable)?;
    let mut reading = UsageReading::default();
    if matches!(reading.read(body), EventKind::Error | EventKind::Garbage) {
        return Err(Unreadable);
    }
    let [id, model, candidates] = answer.fields(["responseId", "modelVersion", "candidates"]);
    let candidate = candidates.and_then(Raw::first);
    let mut said = Completion::default();
    let mut calls = 0;
    let mut reason = Some("content_filter");
    let mut is_known = true;
    match candidate {
        Some(candidate) => {
            let [content, told] = candidate.fields(["content", "finishReason"]);
            if let Some(parts) = content.and_then(|content| content.field("parts")) {
                parts.items(|part| add(&mut said, part, &mut calls, reply));
            }
            let told = told.and_then(Raw::string);
            reason = told.as_deref().and_then(|told| finish_reason(told, calls > 0));
            is_known = told.is_none() || reason.is_some();
        }
        None if is_blocked(answer) => {}
        None => return Err(Unreadable),
    }
    let id = id.and_then(Raw::string).unwrap_or_else(|| made("chatcmpl-", reply.id, 0).into());
    let model = model.and_then(Raw::string).unwrap_or_default();
    let mut choices = Writer::default();
    said.write_choice(&mut choices, 0, reason.unwrap_or(if calls > 0 { "tool_calls" } else { "stop" }));
    let head = Head { id: &id, model: &model, created: reply.created };
    let tokens = reading.is_reported().then(|| reading.tokens());
    let body = completion(&head, choices.as_str(), tokens.as_ref(), None);
    Ok(TranslatedAnswer { body, unknown_reason: !is_known })
}

fn add(said: &mut Completion, part: Raw<'_>, calls: &mut usize, reply: &Reply) {
    let [text, thought, call, signature] = part.fields(["text", "thought", "functionCall", "thoughtSignature"]);
    if let Some(call) = call {
        *calls += 1;
        let [id, name, args] = call.fields(["id", "name", "args"]);
        let id = id.and_then(Raw::string).unwrap_or_else(|| made("call_", reply.id, *calls).into());
        let args = args.filter(|args| args.is_object()).map_or("{}", Raw::json);
        let signature = signature.and_then(Raw::string);
        said.call(&id, &name.and_then(Raw::string).unwrap_or_default(), args, signature.as_deref());
    } else if let Some(text) = text.and_then(Raw::string) {
        match thought.is_some_and(Raw::is_true) {
            true => said.reasoning.push_str(&text),
            false => said.text.push_str(&text),
        }
    }
}
