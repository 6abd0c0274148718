//! An answer as JSON, from a stream or from itself, and a stream from JSON: one entry serves both.
//!
//! What cannot be put together without doubt is not kept: an event of an unknown kind, or a field of an unknown type.

mod chat;
mod completions;
mod gemini;
mod merge;
mod messages;
mod ollama;
mod responses;
mod sse;

use crate::endpoint::{Endpoint, Further};
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::usage::TokenUsage;

/// How a client wants its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamForm {
    /// It has asked for usage at the end (OpenAI's `stream_options`).
    pub include_usage: bool,
    /// It has asked for events (Gemini's `alt=sse`), not for an array.
    pub events: bool,
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unstorable {
    /// It is not what the operation answers, or has parts that are not known.
    Unknown,
    /// It was cut: it has no end, or has reached its limit of tokens.
    Cut,
    /// The model, or its provider, has refused to answer.
    Refused,
    /// It calls a tool.
    Tools,
}

/// The answer as JSON, if these bytes are a stream; a JSON answer as it is. `usage`: what the gateway has counted, for
/// streams that do not report it.
///
/// # Errors
/// Why it is not kept.
pub fn collect(endpoint: Endpoint, bytes: Vec<u8>, usage: Option<&TokenUsage>) -> Result<Vec<u8>, Unstorable> {
    let start = bytes.trim_ascii_start();
    let is_object = start.starts_with(b"{");
    let collected = match endpoint {
        Endpoint::OllamaChat | Endpoint::OllamaGenerate => ollama::collect(start),
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent if !is_object => gemini::collect(start),
        _ if is_object || start.starts_with(b"[") => return Ok(bytes),
        Endpoint::ChatCompletions => chat::collect(start, usage),
        Endpoint::Completions => completions::collect(start, usage),
        Endpoint::Messages => messages::collect(start),
        Endpoint::Responses => responses::collect(start),
        _ => None,
    };
    collected.map(Writer::into_bytes).ok_or(Unstorable::Unknown)
}

/// Whether a JSON answer may be kept. `tools`: also one that calls tools.
///
/// # Errors
/// Why not.
pub fn storable(endpoint: Endpoint, body: &[u8], tools: bool) -> Result<(), Unstorable> {
    let answer = Raw::parse(body).ok_or(Unstorable::Unknown)?;
    let end = match endpoint {
        Endpoint::ChatCompletions => chat::end(answer),
        Endpoint::Completions => completions::end(answer),
        Endpoint::Messages => messages::end(answer),
        Endpoint::Responses => responses::end(answer),
        Endpoint::OllamaChat | Endpoint::OllamaGenerate => ollama::end(answer),
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => gemini::end(answer),
        Endpoint::Embeddings => has_list(answer, "data"),
        Endpoint::OllamaEmbed => has_list(answer, "embeddings"),
        Endpoint::Further(Further::OllamaEmbeddings) => has_list(answer, "embedding"),
        Endpoint::Further(Further::Moderations | Further::Rerank) => has_list(answer, "results"),
        _ => Err(Unstorable::Unknown),
    };
    match end {
        Err(Unstorable::Tools) if tools => Ok(()),
        end => end,
    }
}

/// The stream with a JSON answer, in one piece. `None`: the operation has no streams, or the answer is not its own.
pub fn as_stream(endpoint: Endpoint, body: &[u8], form: StreamForm) -> Option<Vec<u8>> {
    let answer = Raw::parse(body)?;
    let mut out = Writer::with_capacity(body.len() + 1024);
    match endpoint {
        Endpoint::ChatCompletions => chat::stream(answer, form.include_usage, &mut out),
        Endpoint::Completions => completions::stream(answer, form.include_usage, &mut out),
        Endpoint::Messages => messages::stream(answer, &mut out),
        Endpoint::Responses => responses::stream(answer, &mut out),
        Endpoint::OllamaChat | Endpoint::OllamaGenerate => sse::line(answer, &mut out),
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => match form.events {
            true => sse::data(answer, &mut out),
            false => out.array(|out| out.raw(answer.json())),
        },
        _ => return None,
    }
    Some(out.into_bytes())
}

/// The content type of an answer.
pub fn content_type(endpoint: Endpoint, stream: bool, form: StreamForm) -> &'static str {
    match (endpoint, stream) {
        (Endpoint::OllamaChat | Endpoint::OllamaGenerate, true) => "application/x-ndjson",
        (Endpoint::GenerateContent | Endpoint::StreamGenerateContent, true) if !form.events => "application/json",
        (_, true) => "text/event-stream",
        (_, false) => "application/json",
    }
}

fn has_list(answer: Raw<'_>, field: &str) -> Result<(), Unstorable> {
    match answer.field(field).is_some_and(Raw::is_array) && answer.field("error").is_none() {
        true => Ok(()),
        false => Err(Unstorable::Unknown),
    }
}

/// Whether an answer may be kept that ends for a reason, by the provider's names of reasons.
fn ended(reason: Option<&str>, good: &[&str], cut: &[&str], tools: &[&str]) -> Result<(), Unstorable> {
    match reason {
        Some(reason) if good.contains(&reason) => Ok(()),
        Some(reason) if tools.contains(&reason) => Err(Unstorable::Tools),
        Some(reason) if cut.contains(&reason) => Err(Unstorable::Cut),
        Some(_) => Err(Unstorable::Refused),
        None => Err(Unstorable::Cut),
    }
}
