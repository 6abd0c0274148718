//! The stream: OpenAI's chunks as Anthropic's events.
//!
//! Anthropic's blocks come one after another; each is started, filled and stopped. OpenAI's tool calls may interleave.
//! So a call waits until the previous one is complete, that is until its arguments are a complete JSON object.

use super::blocks::{Blocks, Open};
use super::{stop_reason, usual_reason, write_usage};
use crate::translate::calls::Calls;
use crate::translate::chat::said;
use crate::translate::failure::ProviderError;
use crate::translate::ids::made;
use crate::translate::raw::Raw;
use crate::translate::stream::{Machine, Said};
use crate::translate::tool_names::clients_name;
use crate::translate::writer::Writer;
use crate::translate::{Notes, Reply};
use crate::usage::{EventKind, TokenUsage, UsageReading};

/// The state of the stream.
#[derive(Debug)]
pub struct Events {
    notes: Notes,
    id: u64,
    prompt_tokens: u64,
    begun: bool,
    blocks: Blocks,
    calls: Calls,
    reading: UsageReading,
    /// The finish reason, once it is known.
    reason: Option<&'static str>,
    unknown_reason: bool,
}

impl Events {
    pub fn new(reply: &Reply) -> Self {
        Events {
            notes: reply.notes.clone(),
            id: reply.id,
            prompt_tokens: reply.prompt_tokens,
            begun: false,
            blocks: Blocks::new(),
            calls: Calls::default(),
            reading: UsageReading::default(),
            reason: None,
            unknown_reason: false,
        }
    }

    /// The first event has the message's id and the approximate length of the prompt, which Claude Code uses.
    fn begin(&mut self, id: Option<Raw<'_>>, model: Option<Raw<'_>>, out: &mut Writer) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let id = id.and_then(Raw::string).filter(|id| !id.is_empty());
        let usage = TokenUsage { input: self.prompt_tokens, ..TokenUsage::default() };
        out.event(Some("message_start"), |out| {
            out.put_string("type", "message_start");
            out.put_object("message", |out| {
                out.put_string("id", &id.unwrap_or_else(|| made("msg_", self.id, 0).into()));
                out.put_string("type", "message");
                out.put_string("role", "assistant");
                out.put_string("model", &model.and_then(Raw::string).unwrap_or_default());
                out.put("content", "[]");
                out.put("stop_reason", "null");
                out.put("stop_sequence", "null");
                out.key("usage");
                write_usage(out, &usage);
            });
        });
    }

    fn choice(&mut self, choice: Raw<'_>, out: &mut Writer) -> Result<(), TooMuch> {
        let [delta, finish_reason] = choice.fields(["delta", "finish_reason"]);
        if let Some(delta) = delta {
            let [content, reasoning, reasoning_too, refusal, calls, function] =
                delta.fields(["content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call"]);
            let thought = reasoning.or(reasoning_too).and_then(Raw::string).unwrap_or_default();
            self.blocks.text(out, Open::Thinking, &thought);
            for text in [said(content), said(refusal)] {
                self.blocks.text(out, Open::Text, &text);
            }
            if let Some(calls) = calls {
                calls.each(|_, call| self.call(call, out))?;
            }
            if let Some(function) = function {
                self.function(None, None, function, out)?;
            }
        }
        if let Some(reason) = finish_reason.and_then(Raw::string).filter(|reason| !reason.is_empty()) {
            let calls = !self.calls.is_empty();
            let known = stop_reason(&reason, calls);
            self.unknown_reason |= known.is_none();
            self.reason = Some(known.unwrap_or(usual_reason(calls)));
        }
        Ok(())
    }

    fn call(&mut self, call: Raw<'_>, out: &mut Writer) -> Result<(), TooMuch> {
        let [index, id, function] = call.fields(["index", "id", "function"]);
        match function {
            Some(function) => self.function(index.and_then(Raw::count), id, function, out),
            None => Ok(()),
        }
    }

    fn function(
        &mut self,
        index: Option<u64>,
        id: Option<Raw<'_>>,
        function: Raw<'_>,
        out: &mut Writer,
    ) -> Result<(), TooMuch> {
        let [name, arguments] = function.fields(["name", "arguments"]);
        let id = id.and_then(Raw::string).unwrap_or_default();
        let name = name.and_then(Raw::string).unwrap_or_default();
        let place = self.calls.find(index, &id, &name).ok_or(TooMuch)?;
        let json = match arguments {
            Some(arguments) if arguments.is_object() => arguments.json().into(),
            Some(arguments) => arguments.string().unwrap_or_default(),
            None => "".into(),
        };
        match self.blocks.open() == Open::Call(place) {
            true => self.arguments(place, &json, out),
            false => self.calls.hold(place, &json).then_some(()).ok_or(TooMuch)?,
        }
        self.go_on(out);
        Ok(())
    }

    /// Opens the next waiting call, if the previous one is complete.
    fn go_on(&mut self, out: &mut Writer) {
        while let Some(place) = self.calls.next_waiting() {
            if matches!(self.blocks.open(), Open::Call(open) if !self.calls.is_complete(open)) {
                break;
            }
            self.open(place, out);
        }
    }

    fn open(&mut self, place: usize, out: &mut Writer) {
        self.close(out);
        let Some(call) = self.calls.begin(place) else {
            return;
        };
        let id = if call.id.is_empty() { made("toolu_", self.id, place + 1) } else { call.id };
        self.blocks.call(out, place, &id, clients_name(&call.name, &self.notes));
        self.arguments(place, &call.held, out);
    }

    fn arguments(&mut self, place: usize, json: &str, out: &mut Writer) {
        if !json.is_empty() {
            self.calls.saw(place, json);
            self.blocks.arguments(out, json);
        }
    }

    /// Ends the open block; a call without arguments gets empty ones.
    fn close(&mut self, out: &mut Writer) {
        if let Open::Call(place) = self.blocks.open() {
            if !self.calls.has_begun(place) {
                self.blocks.arguments(out, "{}");
            }
        }
        self.blocks.close(out);
    }
}

/// More tool calls or arguments than can be stored.
struct TooMuch;

impl Machine for Events {
    fn event(&mut self, event: Raw<'_>, out: &mut Writer) -> Said {
        if matches!(self.reading.read(event.json().as_bytes()), EventKind::Error) {
            return Said::Error;
        }
        let [id, model, choices] = event.fields(["id", "model", "choices"]);
        let Some(choice) = choices.and_then(Raw::first) else {
            return Said::Nothing; // only usage, or Azure's first chunk
        };
        self.begin(id, model, out);
        if self.reason.is_some() {
            return Said::Content; // some servers send the finish reason twice
        }
        match self.choice(choice, out) {
            Ok(()) => Said::Content,
            Err(TooMuch) => Said::Error,
        }
    }

    fn is_finished(&self) -> bool {
        self.reason.is_some()
    }

    fn end(&mut self, out: &mut Writer) {
        self.begin(None, None, out);
        while let Some(place) = self.calls.next_waiting() {
            self.open(place, out);
        }
        self.close(out);
        let reason = self.reason.unwrap_or(usual_reason(!self.calls.is_empty()));
        out.event(Some("message_delta"), |out| {
            out.put_string("type", "message_delta");
            out.put_object("delta", |out| {
                out.put_string("stop_reason", reason);
                out.put("stop_sequence", "null");
            });
            out.key("usage");
            write_usage(out, &self.reading.tokens());
        });
        out.event(Some("message_stop"), |out| out.put_string("type", "message_stop"));
    }

    fn fail(&mut self, failure: &ProviderError<'_>, out: &mut Writer) {
        failure.write_messages_event(out);
    }

    fn unknown_reason(&self) -> bool {
        self.unknown_reason
    }

    fn reserved(&self) -> usize {
        self.calls.reserved()
    }
}
