//! The stream: Converse's messages as OpenAI's chunks. Only tool blocks have a start message; usage comes after the
//! stop reason.

use super::finish_reason;
use crate::translate::chat::{Blocks, Call, ChatMachine, Ending};
use crate::translate::raw::Raw;
use crate::translate::stream::Said;
use crate::translate::tool_names::clients_name;
use crate::translate::writer::Writer;
use crate::translate::{Notes, Reply};

/// The state of the stream.
#[derive(Debug)]
pub struct Events {
    ending: Ending,
    blocks: Blocks,
    notes: Notes,
    /// The block of the last reasoning text.
    thought: Option<u64>,
}

impl Events {
    pub fn new(reply: &Reply) -> Self {
        let mut ending = Ending::new(reply);
        ending.chunks.set_model(&reply.notes.model);
        Events { ending, blocks: Blocks::new(reply.notes.json_tool), notes: reply.notes.clone(), thought: None }
    }

    fn begin_block(&mut self, index: u64, start: Raw<'_>, out: &mut Writer) {
        let Some(call) = start.field("toolUse") else {
            return;
        };
        let [id, name, kind] = call.fields(["toolUseId", "name", "type"]);
        if kind.is_some() {
            return; // a call of the provider's own tool, which has already run
        }
        let id = id.and_then(Raw::string).unwrap_or_default();
        let name = name.and_then(Raw::string).unwrap_or_default();
        let call = Call { id: &id, name: clients_name(&name, &self.notes), arguments: "", signature: None };
        self.blocks.begin_call(&mut self.ending.chunks, out, index, call);
    }

    fn delta(&mut self, index: u64, delta: Raw<'_>, out: &mut Writer) {
        let [text, call, thought] = delta.fields(["text", "toolUse", "reasoningContent"]);
        let (blocks, chunks) = (&mut self.blocks, &mut self.ending.chunks);
        if let Some(text) = text.and_then(Raw::string) {
            chunks.string(out, 0, "content", &text);
        } else if let Some(input) = call.and_then(|call| call.text("input")) {
            blocks.arguments(chunks, out, index, &input);
        } else if let Some(thought) = thought {
            if self.thought != Some(index) {
                self.thought = Some(index);
                blocks.begin_thought();
            }
            let [text, signature, redacted] = thought.fields(["text", "signature", "redactedContent"]);
            let [text, signature, redacted] =
                [text, signature, redacted].map(|field| field.and_then(Raw::string).filter(|text| !text.is_empty()));
            text.into_iter().for_each(|text| blocks.think(chunks, out, &text));
            signature.into_iter().for_each(|signature| blocks.sign(chunks, out, &signature));
            redacted.into_iter().for_each(|redacted| blocks.redacted(chunks, out, &redacted));
        }
    }
}

impl ChatMachine for Events {
    /// A message without a name is not one of Converse's.
    fn event(&mut self, _: Raw<'_>, _: &mut Writer) -> Said {
        Said::Nothing
    }

    fn named(&mut self, name: &str, event: Raw<'_>, out: &mut Writer) -> Said {
        let written = out.as_str().len();
        let [index, start, delta, reason] = event.fields(["contentBlockIndex", "start", "delta", "stopReason"]);
        let index = index.and_then(Raw::count).unwrap_or(0);
        match name {
            "contentBlockStart" => start.into_iter().for_each(|start| self.begin_block(index, start, out)),
            "contentBlockDelta" => delta.into_iter().for_each(|delta| self.delta(index, delta, out)),
            "contentBlockStop" => self.blocks.end(&mut self.ending.chunks, out, index),
            "messageStop" if !self.ending.chunks.is_finished() => {
                let reason = reason.and_then(Raw::string).unwrap_or_default();
                let known = finish_reason(&reason, self.blocks.answers_by_tool());
                self.ending.reading.read(event.json().as_bytes());
                self.ending.finish(out, known, "stop");
            }
            "metadata" => {
                self.ending.reading.read(event.json().as_bytes());
                if self.ending.chunks.is_finished() {
                    return Said::End;
                }
            }
            _ => {}
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
        self.blocks.reserved() + self.notes.reserved()
    }
}
