//! Responses for servers of other dialects, through a chat completion, with the parts of both translations. Data that a
//! chat completion does not have is carried in the fields that clients and servers have added to it
//! (`thinking_blocks`).

use super::failure::ProviderError;
use super::raw::Raw;
use super::responses_to_chat::{self, Events, Reader};
use super::stream::{Machine, Said};
use super::writer::Writer;
use super::{Notes, Reply, Target, Translated, TranslatedAnswer, Unreadable};
use crate::error::ApiError;

/// Translates a request; `on` translates the chat completion further.
pub fn request(
    body: &[u8],
    target: &Target<'_>,
    reader: Reader,
    on: impl FnOnce(&[u8], &Target<'_>) -> Result<Translated, ApiError>,
) -> Result<Translated, ApiError> {
    let chat = responses_to_chat::request(body, target, reader)?;
    let mut translated = on(&chat.body, target).map_err(in_clients_words)?;
    if let Some(names) = chat.dropped.header() {
        names.split(", ").for_each(|name| translated.dropped.add(name));
    }
    translated.notes = Notes { tools: chat.notes.tools, echo: chat.notes.echo, ..translated.notes };
    Ok(translated)
}

/// Reports a dropped field under the client's own name for it.
fn in_clients_words(error: ApiError) -> ApiError {
    let renamed = [("messages", "input"), ("response_format", "text"), ("reasoning_effort", "reasoning.effort")];
    match renamed.into_iter().find(|(name, _)| error.param == Some(name)) {
        Some((name, own)) => ApiError { param: Some(own), message: error.message.replace(name, own), ..error },
        None => error,
    }
}

/// Translates a complete answer; `from` makes it a chat completion.
pub fn answer(
    body: &[u8],
    reply: &Reply,
    from: impl FnOnce(&[u8], &Reply) -> Result<TranslatedAnswer, Unreadable>,
) -> Result<TranslatedAnswer, Unreadable> {
    let chat = from(body, reply)?;
    let answer = responses_to_chat::answer(&chat.body, reply)?;
    Ok(TranslatedAnswer { unknown_reason: chat.unknown_reason, ..answer })
}

/// A stream that is translated into chunks, and then into a response's events.
#[derive(Debug)]
pub struct ViaChat<M> {
    first: M,
    second: Events,
    /// The chunks on their way.
    between: Writer,
}

impl<M: Machine> ViaChat<M> {
    pub fn new(reply: &Reply, first: impl FnOnce(&Reply) -> M) -> Self {
        // the response reports usage at its end
        let asked = Reply { include_usage: true, ..reply.clone() };
        ViaChat { first: first(&asked), second: Events::new(reply), between: Writer::default() }
    }

    /// Translates an event's chunks further, and returns the event's meaning.
    fn passed(&mut self, said: Said, out: &mut Writer) -> Said {
        match self.pass(out) {
            true => said,
            false => Said::Error,
        }
    }

    /// Translates the chunks further; `false` if the answer cannot be stored.
    fn pass(&mut self, out: &mut Writer) -> bool {
        let mut passed = true;
        for event in self.between.as_str().split("\n\n") {
            let chunk = event.strip_prefix("data: ").and_then(|data| Raw::parse(data.as_bytes()));
            match chunk {
                Some(chunk) => passed &= self.second.event(chunk, out) != Said::Error,
                None if event.starts_with(':') => {
                    out.text(event);
                    out.text("\n\n");
                }
                None => {} // [DONE]
            }
        }
        self.between.clear();
        passed
    }
}

impl<M: Machine> Machine for ViaChat<M> {
    fn event(&mut self, event: Raw<'_>, out: &mut Writer) -> Said {
        let said = self.first.event(event, &mut self.between);
        self.passed(said, out)
    }

    fn named(&mut self, name: &str, event: Raw<'_>, out: &mut Writer) -> Said {
        let said = self.first.named(name, event, &mut self.between);
        self.passed(said, out)
    }

    fn is_finished(&self) -> bool {
        self.first.is_finished()
    }

    fn end(&mut self, out: &mut Writer) {
        self.first.end(&mut self.between);
        self.pass(out);
        self.second.end(out);
    }

    fn fail(&mut self, failure: &ProviderError<'_>, out: &mut Writer) {
        self.second.fail(failure, out);
    }

    fn unknown_reason(&self) -> bool {
        self.first.unknown_reason()
    }

    fn reserved(&self) -> usize {
        self.first.reserved() + self.second.reserved() + self.between.reserved()
    }
}
