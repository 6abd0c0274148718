//! The answer: a chat completion as a response.

use super::item::{Item, ItemKind, MessagePart, ToolCall};
use super::response::{write, Head};
use super::thoughts::Gathered;
use super::Ending;
use crate::translate::chat::{said, MESSAGE_FIELDS};
use crate::translate::ids::made;
use crate::translate::raw::Raw;
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
    let [model, choices] = completion.fields(["model", "choices"]);
    let choice = choices.and_then(Raw::first).ok_or(Unreadable)?;
    let [message, finish_reason] = choice.fields(["message", "finish_reason"]);
    let message = message.filter(|message| message.is_object()).ok_or(Unreadable)?;
    let items = items(message, reply);
    let finish_reason = finish_reason.and_then(Raw::string);
    let known = finish_reason.as_deref().map(Ending::of);
    let ending = known.flatten().unwrap_or(Ending::Completed);
    let head = Head {
        id: &made("resp_", reply.id, 0),
        model: &model.and_then(Raw::string).unwrap_or_default(),
        created: reply.created,
        status: ending.status(),
        incomplete: ending.reason(),
        error: None,
        echo: &reply.notes.echo,
    };
    let usage = reading.is_reported().then(|| reading.tokens());
    let mut out = Writer::with_capacity(body.len() + 1024);
    write(&mut out, &head, items.iter(), usage.as_ref());
    Ok(TranslatedAnswer { body: out.into_bytes(), unknown_reason: known == Some(None) })
}

/// The output: reasoning, messages and calls.
fn items(message: Raw<'_>, reply: &Reply) -> Vec<Item> {
    let [content, reasoning, reasoning_too, thoughts, refusal, calls, function] = message.fields(MESSAGE_FIELDS);
    let mut kinds = Vec::new();
    let text = reasoning.or(reasoning_too).and_then(Raw::string).unwrap_or_default().into_owned();
    let mut gathered = Gathered::default();
    if let Some(thoughts) = thoughts {
        gathered.add(thoughts, "");
    }
    let mut called = Vec::new();
    let mut add = |call: Raw<'_>, function: Raw<'_>| {
        let [id, extra] = call.fields(["id", "extra_content"]);
        let [name, arguments] = function.fields(["name", "arguments"]);
        let id = id.and_then(Raw::string).filter(|id| !id.is_empty());
        let id = id.map_or_else(|| made("call_", reply.id, called.len() + 1), |id| id.into_owned());
        if let Some(signature) = signature_of(extra) {
            gathered.put_signature(&id, &signature);
        }
        let arguments = arguments_of(arguments);
        let arguments = if arguments.is_empty() { "{}".to_owned() } else { arguments };
        let name = name.and_then(Raw::string).unwrap_or_default();
        called.push(ItemKind::Call(ToolCall::new(id, &name, arguments, &reply.notes.tools)));
    };
    match (calls, function) {
        (Some(calls), _) => calls.items(|call| {
            if let Some(function) = call.field("function") {
                add(call, function);
            }
        }),
        (None, Some(function)) => add(function, function),
        (None, None) => {}
    }
    if !text.is_empty() || !gathered.as_str().is_empty() {
        kinds.push(ItemKind::Reasoning { text, thoughts: gathered });
    }
    let parts = [(false, said(content)), (true, said(refusal))];
    let parts: Vec<MessagePart> = parts
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(refusal, text)| MessagePart { refusal, text })
        .collect();
    if !parts.is_empty() {
        kinds.push(ItemKind::Message(parts));
    }
    kinds.extend(called);
    kinds.into_iter().enumerate().map(|(place, kind)| Item::new(kind, reply.id, place)).collect()
}

/// The JSON text of a call's arguments, or a piece of it; some servers write the object itself.
pub fn arguments_of(arguments: Option<Raw<'_>>) -> String {
    match arguments {
        Some(arguments) if arguments.is_object() => arguments.json().to_owned(),
        Some(arguments) => arguments.string().unwrap_or_default().into_owned(),
        None => String::new(),
    }
}

/// Gemini's signature of a call.
pub fn signature_of(extra: Option<Raw<'_>>) -> Option<String> {
    let signature = extra?.field("google")?.text("thought_signature")?;
    Some(signature.into_owned())
}
