//! The members of an answer: of a complete one, or of one event of a stream.

use super::content::member;
use super::context::TextContext;
use super::fields::field;
use super::how::{How, Shape};
use super::PassageKind;
use crate::guard::Speaker;

/// The parts of the request that OpenAI Responses' answers repeat.
const GIVEN: &[&str] = &[
    "instructions",
    "metadata",
    "prompt",
    "promptcachekey",
    "reasoning",
    "safetyidentifier",
    "text",
    "toolchoice",
    "tools",
    "user",
];

/// How one member of an answer or an event is read. `labelled` is the part of the answer that an event carries, `delta`
/// the meaning of its `delta` if that is a string.
pub(super) fn member_of_answer(
    name: &str,
    first: Option<u8>,
    labelled: TextContext,
    delta: Option<PassageKind>,
) -> (How, TextContext) {
    let model = TextContext::of(Speaker::Assistant);
    match name {
        "choices" | "candidates" => (How::Choices, model),
        // Ollama's, and what Anthropic's `message_start` begins with
        "message" => (How::Content, model),
        "thinking" => (How::Content, model.kind(PassageKind::Reasoning)),
        "response" if first == Some(b'"') => (How::Text, model),
        "response" => (How::Response, model.whole()),
        "output" | "content" => (How::Items, model.whole()),
        "delta" => match (first, delta) {
            (Some(b'"'), Some(kind)) => (How::Text, labelled.kind(kind)),
            (Some(b'"'), None) => (How::Skipped, labelled),
            (_, _) => (How::Content, labelled),
        },
        "contentblock" => (How::Content, labelled),
        "item" | "part" | "transcript" | "input" | "code" => (How::Content, labelled.whole()),
        "refusal" => (How::Content, labelled.kind(PassageKind::Refusal).whole()),
        "arguments" => (How::Content, labelled.kind(PassageKind::Arguments).whole()),
        name => own(name, first, labelled),
    }
}

/// How one member of OpenAI Responses' complete answer is read.
pub(super) fn member_of_response(name: &str, first: Option<u8>, context: TextContext) -> (How, TextContext) {
    match name {
        "output" => (How::Items, context),
        name => own(name, first, context),
    }
}

/// How one member of a choice is read.
pub(super) fn member_of_choice(name: &str, first: Option<u8>, context: TextContext) -> (How, TextContext) {
    match name {
        "delta" | "message" | "text" | "content" => (How::Content, context),
        name if field(name).is_none() => unknown(context.whole()),
        name => member(name, first, context.whole()),
    }
}

/// A field of the answer itself, or of an event. Fields outside the conversation are complete.
fn own(name: &str, first: Option<u8>, context: TextContext) -> (How, TextContext) {
    match (name, first) {
        ("text", Some(b'"')) => (How::Content, context.whole()),
        _ if GIVEN.contains(&name) => member(name, first, context.kind(PassageKind::Given).whole()),
        _ if field(name).is_none() => unknown(context.whole()),
        _ => member(name, first, context.whole()),
    }
}

/// An unknown field: a word that each event repeats is not the model's.
fn unknown(context: TextContext) -> (How, TextContext) {
    (How::Unless(Shape::PlainName), context)
}
