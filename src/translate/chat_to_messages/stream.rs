//! The stream: Anthropic's events as OpenAI's chunks.

use super::{finish_reason, JSON_TOOL};
use crate::translate::chat::{Call, Chunks};
use crate::translate::failure::Failure;
use crate::translate::ids::made;
use crate::translate::raw::Raw;
use crate::translate::stream::{Machine, Said};
use crate::translate::writer::Writer;
use crate::translate::Reply;
use crate::usage::Reading;

/// The most blocks that may be open at a time; one is, in practice.
const MAX_OPEN: usize = 64;

/// What has come so far.
#[derive(Debug)]
pub struct Events {
    chunks: Chunks,
    reading: Reading,
    include_usage: bool,
    json_tool: bool,
    open: Vec<Block>,
    /// How many calls of tools there have been.
    calls: usize,
    unknown_reason: bool,
}

/// A tool's block that has begun and not ended.
#[derive(Debug)]
struct Block {
    index: u64,
    /// Its number among the calls; `None` if its arguments are the answer.
    call: Option<usize>,
    /// Something of its arguments has come.
    begun: bool,
}

impl Events {
    pub fn new(reply: &Reply) -> Self {
        Events {
            chunks: Chunks::new(made("chatcmpl-", reply.id, 0), reply.created),
            reading: Reading::default(),
            include_usage: reply.include_usage,
            json_tool: reply.notes.json_tool,
            open: Vec::new(),
            calls: 0,
            unknown_reason: false,
        }
    }

    fn begin_block(&mut self, event: Raw<'_>, out: &mut Writer) {
        let [index, block] = event.fields(["index", "content_block"]);
        let Some(block) = block else {
            return;
        };
        let [kind, text, thinking, data, id, name, input] =
            block.fields(["type", "text", "thinking", "data", "id", "name", "input"]);
        let string = |field: Option<Raw<'_>>| field.and_then(Raw::string).unwrap_or_default().into_owned();
        match kind.and_then(Raw::string).as_deref() {
            Some("text") => self.chunks.string(out, 0, "content", &string(text)),
            Some("thinking") => self.chunks.string(out, 0, "reasoning_content", &string(thinking)),
            Some("redacted_thinking") => self.thought(out, "redacted_thinking", "data", &string(data)),
            Some("tool_use") if self.open.len() < MAX_OPEN => {
                let (id, name) = (string(id), string(name));
                let call = (!(self.json_tool && name == JSON_TOOL)).then_some(self.calls);
                if let Some(number) = call {
                    self.calls += 1;
                    let call = Call { id: &id, name: &name, arguments: "", signature: None };
                    self.chunks.call(out, 0, number, call);
                }
                let mut block = Block { index: index.and_then(Raw::count).unwrap_or(0), call, begun: false };
                // some servers have all of it here
                if let Some(input) = input.filter(|input| input.is_object() && !input.is_nothing()) {
                    block.arguments(&mut self.chunks, out, input.json());
                }
                self.open.push(block);
            }
            Some(_) | None => {}
        }
    }

    fn delta(&mut self, event: Raw<'_>, out: &mut Writer) {
        let [index, delta] = event.fields(["index", "delta"]);
        let Some(delta) = delta else {
            return;
        };
        let [kind, text, thinking, signature, json] =
            delta.fields(["type", "text", "thinking", "signature", "partial_json"]);
        let string = |field: Option<Raw<'_>>| field.and_then(Raw::string).unwrap_or_default().into_owned();
        match kind.and_then(Raw::string).as_deref() {
            Some("text_delta") => self.chunks.string(out, 0, "content", &string(text)),
            Some("thinking_delta") => self.chunks.string(out, 0, "reasoning_content", &string(thinking)),
            Some("signature_delta") => self.thought(out, "thinking", "signature", &string(signature)),
            Some("input_json_delta") => {
                let index = index.and_then(Raw::count).unwrap_or(0);
                if let Some(block) = self.open.iter_mut().find(|block| block.index == index) {
                    block.arguments(&mut self.chunks, out, &string(json));
                }
            }
            Some(_) | None => {}
        }
    }

    /// What a client must send back with the next turn.
    fn thought(&mut self, out: &mut Writer, kind: &str, field: &str, value: &str) {
        self.chunks.delta(out, 0, |out| {
            out.put_array("thinking_blocks", |out| {
                out.object(|out| {
                    out.put_string("type", kind);
                    if field == "signature" {
                        out.put_string("thinking", "");
                    }
                    out.put_string(field, value);
                });
            });
        });
    }

    fn end_block(&mut self, event: Raw<'_>, out: &mut Writer) {
        let index = event.field("index").and_then(Raw::count).unwrap_or(0);
        if let Some(place) = self.open.iter().position(|block| block.index == index) {
            let mut block = self.open.swap_remove(place);
            if !block.begun {
                block.arguments(&mut self.chunks, out, "{}"); // clients parse what they get
            }
        }
    }

    fn message_delta(&mut self, event: Raw<'_>, out: &mut Writer) {
        self.reading.read(event.json().as_bytes());
        let Some(delta) = event.field("delta") else {
            return;
        };
        let [reason, details] = delta.fields(["stop_reason", "stop_details"]);
        let Some(reason) = reason.and_then(Raw::string).filter(|_| !self.chunks.is_finished()) else {
            return;
        };
        let known = finish_reason(&reason, self.json_tool);
        self.unknown_reason |= known.is_none();
        let explanation = details.and_then(|details| details.text("explanation"));
        if let Some(explanation) = explanation.filter(|_| known == Some("content_filter")) {
            self.chunks.string(out, 0, "refusal", &explanation);
        }
        self.chunks.finish(out, 0, known.unwrap_or("stop"));
    }
}

impl Block {
    fn arguments(&mut self, chunks: &mut Chunks, out: &mut Writer, json: &str) {
        if json.is_empty() {
            return;
        }
        self.begun = true;
        match self.call {
            Some(number) => chunks.arguments(out, 0, number, json),
            None => chunks.string(out, 0, "content", json),
        }
    }
}

impl Machine for Events {
    fn event(&mut self, event: Raw<'_>, out: &mut Writer) -> Said {
        let written = out.as_str().len();
        match event.text("type").as_deref() {
            Some("message_start") => {
                self.reading.read(event.json().as_bytes());
                if let Some(message) = event.field("message") {
                    self.chunks.set_id(&message.text("id").unwrap_or_default());
                    self.chunks.set_model(&message.text("model").unwrap_or_default());
                }
            }
            Some("content_block_start") => self.begin_block(event, out),
            Some("content_block_delta") => self.delta(event, out),
            Some("content_block_stop") => self.end_block(event, out),
            Some("message_delta") => self.message_delta(event, out),
            Some("message_stop") => return Said::End,
            Some("ping") => {
                out.text(": ping\n\n"); // keeps what stands between awake
                return Said::Nothing;
            }
            Some("error") => return Said::Error,
            Some(_) | None => {}
        }
        match out.as_str().len() > written {
            true => Said::Content,
            false => Said::Nothing,
        }
    }

    fn is_finished(&self) -> bool {
        self.chunks.is_finished()
    }

    fn end(&mut self, out: &mut Writer) {
        if !self.chunks.is_finished() {
            self.chunks.finish(out, 0, "stop");
        }
        let usage = self.include_usage.then(|| self.reading.tokens());
        self.chunks.done(out, usage.as_ref());
    }

    fn fail(&mut self, failure: &Failure<'_>, out: &mut Writer) {
        failure.write_chat_event(out);
    }

    fn unknown_reason(&self) -> bool {
        self.unknown_reason
    }

    fn reserved(&self) -> usize {
        self.open.capacity() * size_of::<Block>()
    }
}
