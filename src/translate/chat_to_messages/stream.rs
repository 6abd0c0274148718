//! The stream: Anthropic's events as OpenAI's chunks.

use super::{finish_reason, JSON_TOOL};
use crate::translate::chat::{Call, ChatMachine, Chunks, Ending};
use crate::translate::raw::Raw;
use crate::translate::stream::Said;
use crate::translate::writer::Writer;
use crate::translate::Reply;

/// The most blocks that may be open at a time; one is, in practice.
const MAX_OPEN: usize = 64;

/// What has come so far.
#[derive(Debug)]
pub struct Events {
    ending: Ending,
    json_tool: bool,
    open: Vec<Block>,
    /// How many calls of tools there have been.
    calls: usize,
    /// How many blocks of thoughts have begun.
    thoughts: usize,
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
        Events { ending: Ending::new(reply), json_tool: reply.notes.json_tool, open: Vec::new(), calls: 0, thoughts: 0 }
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
            Some("text") => self.ending.chunks.string(out, 0, "content", &string(text)),
            Some("thinking") => {
                self.thoughts += 1;
                self.think(out, &string(thinking));
            }
            Some("redacted_thinking") => {
                self.thoughts += 1;
                self.thought(out, "redacted_thinking", "data", &string(data));
            }
            Some("tool_use") if self.open.len() < MAX_OPEN => {
                let (id, name) = (string(id), string(name));
                let call = (!(self.json_tool && name == JSON_TOOL)).then_some(self.calls);
                if let Some(number) = call {
                    self.calls += 1;
                    let call = Call { id: &id, name: &name, arguments: "", signature: None };
                    self.ending.chunks.call(out, 0, number, call);
                }
                let mut block = Block { index: index.and_then(Raw::count).unwrap_or(0), call, begun: false };
                // some servers have all of it here
                if let Some(input) = input.filter(|input| input.is_object() && !input.is_nothing()) {
                    block.arguments(&mut self.ending.chunks, out, input.json());
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
            Some("text_delta") => self.ending.chunks.string(out, 0, "content", &string(text)),
            Some("thinking_delta") => self.think(out, &string(thinking)),
            Some("signature_delta") => self.thought(out, "thinking", "signature", &string(signature)),
            Some("input_json_delta") => {
                let index = index.and_then(Raw::count).unwrap_or(0);
                if let Some(block) = self.open.iter_mut().find(|block| block.index == index) {
                    block.arguments(&mut self.ending.chunks, out, &string(json));
                }
            }
            Some(_) | None => {}
        }
    }

    /// More of a thought: for people, and in the block that goes back.
    fn think(&mut self, out: &mut Writer, piece: &str) {
        if piece.is_empty() {
            return;
        }
        let index = self.thoughts.saturating_sub(1);
        self.ending.chunks.delta(out, 0, |out| {
            out.put_string("reasoning_content", piece);
            write_thought(out, index, "thinking", "thinking", piece);
        });
    }

    /// What a client must send back with the next turn.
    fn thought(&mut self, out: &mut Writer, kind: &str, field: &str, value: &str) {
        let index = self.thoughts.saturating_sub(1);
        self.ending.chunks.delta(out, 0, |out| write_thought(out, index, kind, field, value));
    }

    fn end_block(&mut self, event: Raw<'_>, out: &mut Writer) {
        let index = event.field("index").and_then(Raw::count).unwrap_or(0);
        if let Some(place) = self.open.iter().position(|block| block.index == index) {
            let mut block = self.open.swap_remove(place);
            if !block.begun {
                block.arguments(&mut self.ending.chunks, out, "{}"); // clients parse what they get
            }
        }
    }

    fn message_delta(&mut self, event: Raw<'_>, out: &mut Writer) {
        self.ending.reading.read(event.json().as_bytes());
        let Some(delta) = event.field("delta") else {
            return;
        };
        let [reason, details] = delta.fields(["stop_reason", "stop_details"]);
        let Some(reason) = reason.and_then(Raw::string).filter(|_| !self.ending.chunks.is_finished()) else {
            return;
        };
        let known = finish_reason(&reason, self.json_tool);
        let explanation = details.and_then(|details| details.text("explanation"));
        if let Some(explanation) = explanation.filter(|_| known == Some("content_filter")) {
            self.ending.chunks.string(out, 0, "refusal", &explanation);
        }
        self.ending.finish(out, known, "stop");
    }
}

/// A piece of the block of this number, by which clients put the pieces together.
fn write_thought(out: &mut Writer, index: usize, kind: &str, field: &str, value: &str) {
    out.put_array("thinking_blocks", |out| {
        out.object(|out| {
            out.put_number("index", index as u64);
            out.put_string("type", kind);
            if field == "signature" {
                out.put_string("thinking", "");
            }
            out.put_string(field, value);
        });
    });
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

impl ChatMachine for Events {
    fn event(&mut self, event: Raw<'_>, out: &mut Writer) -> Said {
        let written = out.as_str().len();
        match event.text("type").as_deref() {
            Some("message_start") => {
                self.ending.reading.read(event.json().as_bytes());
                if let Some(message) = event.field("message") {
                    self.ending.chunks.set_id(&message.text("id").unwrap_or_default());
                    self.ending.chunks.set_model(&message.text("model").unwrap_or_default());
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

    fn ending(&self) -> &Ending {
        &self.ending
    }

    fn ending_mut(&mut self) -> &mut Ending {
        &mut self.ending
    }

    fn reserved(&self) -> usize {
        self.open.capacity() * size_of::<Block>()
    }
}
