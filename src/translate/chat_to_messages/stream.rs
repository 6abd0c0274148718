//! The stream: Anthropic's events as OpenAI's chunks.

use super::finish_reason;
use crate::translate::chat::{Blocks, Call, ChatMachine, Ending};
use crate::translate::raw::Raw;
use crate::translate::stream::Said;
use crate::translate::writer::Writer;
use crate::translate::Reply;

/// The state of the stream.
#[derive(Debug)]
pub struct Events {
    ending: Ending,
    blocks: Blocks,
}

impl Events {
    pub fn new(reply: &Reply) -> Self {
        Events { ending: Ending::new(reply), blocks: Blocks::new(reply.notes.json_tool) }
    }

    fn begin_block(&mut self, event: Raw<'_>, out: &mut Writer) {
        let [index, block] = event.fields(["index", "content_block"]);
        let Some(block) = block else {
            return;
        };
        let [kind, text, thinking, data, id, name, input] =
            block.fields(["type", "text", "thinking", "data", "id", "name", "input"]);
        let string = |field: Option<Raw<'_>>| field.and_then(Raw::string).unwrap_or_default().into_owned();
        let (blocks, chunks) = (&mut self.blocks, &mut self.ending.chunks);
        match kind.and_then(Raw::string).as_deref() {
            Some("text") => chunks.string(out, 0, "content", &string(text)),
            Some("thinking") => {
                blocks.begin_thought();
                blocks.think(chunks, out, &string(thinking));
            }
            Some("redacted_thinking") => {
                blocks.begin_thought();
                blocks.redacted(chunks, out, &string(data));
            }
            Some("tool_use") => {
                // some servers have all usage here
                let input = input.filter(|input| input.is_object() && !input.is_nothing()).map_or("", Raw::json);
                let call = Call { id: &string(id), name: &string(name), arguments: input, signature: None };
                blocks.begin_call(chunks, out, index.and_then(Raw::count).unwrap_or(0), call);
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
        let (blocks, chunks) = (&mut self.blocks, &mut self.ending.chunks);
        match kind.and_then(Raw::string).as_deref() {
            Some("text_delta") => chunks.string(out, 0, "content", &string(text)),
            Some("thinking_delta") => blocks.think(chunks, out, &string(thinking)),
            Some("signature_delta") => blocks.sign(chunks, out, &string(signature)),
            Some("input_json_delta") => {
                blocks.arguments(chunks, out, index.and_then(Raw::count).unwrap_or(0), &string(json));
            }
            Some(_) | None => {}
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
        let known = finish_reason(&reason, self.blocks.answers_by_tool());
        let explanation = details.and_then(|details| details.text("explanation"));
        if let Some(explanation) = explanation.filter(|_| known == Some("content_filter")) {
            self.ending.chunks.string(out, 0, "refusal", &explanation);
        }
        self.ending.finish(out, known, "stop");
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
            Some("content_block_stop") => {
                let index = event.field("index").and_then(Raw::count).unwrap_or(0);
                self.blocks.end(&mut self.ending.chunks, out, index);
            }
            Some("message_delta") => self.message_delta(event, out),
            Some("message_stop") => return Said::End,
            Some("ping") => {
                out.text(": ping\n\n"); // keeps proxies in between from timing out
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
        self.blocks.reserved()
    }
}
