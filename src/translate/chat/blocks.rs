//! The numbered blocks of a provider's stream, as chunks: tool calls and reasoning.

use super::{Call, Chunks};
use crate::translate::writer::Writer;
use crate::translate::JSON_TOOL;

/// The maximum number of open blocks; in practice there is one.
const MAX_OPEN: usize = 64;

/// The blocks so far.
#[derive(Debug)]
pub(in crate::translate) struct Blocks {
    /// Whether the answer comes as a tool's arguments.
    json_tool: bool,
    open: Vec<Block>,
    /// The number of tool calls so far.
    calls: usize,
    /// The number of reasoning blocks so far.
    thoughts: usize,
}

/// An open tool block.
#[derive(Debug)]
struct Block {
    index: u64,
    /// Its index among the calls; `None` if its arguments are the answer.
    call: Option<usize>,
    /// Whether some of its arguments have arrived.
    begun: bool,
}

impl Blocks {
    pub fn new(json_tool: bool) -> Self {
        Blocks { json_tool, open: Vec::new(), calls: 0, thoughts: 0 }
    }

    /// Whether the answer comes as a tool's arguments.
    pub fn answers_by_tool(&self) -> bool {
        self.json_tool
    }

    /// Begins a tool call in block `index`; `input` has the arguments so far.
    pub fn begin_call(&mut self, chunks: &mut Chunks, out: &mut Writer, index: u64, call: Call<'_>) {
        if self.open.len() >= MAX_OPEN {
            return;
        }
        let Call { id, name, arguments: input, .. } = call;
        let number = (!(self.json_tool && name == JSON_TOOL)).then_some(self.calls);
        if let Some(number) = number {
            self.calls += 1;
            chunks.call(out, 0, number, Call { id, name, arguments: "", signature: None });
        }
        let mut block = Block { index, call: number, begun: false };
        block.arguments(chunks, out, input);
        self.open.push(block);
    }

    /// Further arguments of the call in block `index`.
    pub fn arguments(&mut self, chunks: &mut Chunks, out: &mut Writer, index: u64, json: &str) {
        if let Some(block) = self.open.iter_mut().find(|block| block.index == index) {
            block.arguments(chunks, out, json);
        }
    }

    /// Ends block `index`.
    pub fn end(&mut self, chunks: &mut Chunks, out: &mut Writer, index: u64) {
        if let Some(place) = self.open.iter().position(|block| block.index == index) {
            let mut block = self.open.swap_remove(place);
            if !block.begun {
                block.arguments(chunks, out, "{}"); // clients parse the arguments, so they must be JSON
            }
        }
    }

    /// Begins another reasoning block.
    pub fn begin_thought(&mut self) {
        self.thoughts += 1;
    }

    /// Further reasoning text: for people, and in the block that the client sends back.
    pub fn think(&self, chunks: &mut Chunks, out: &mut Writer, piece: &str) {
        if piece.is_empty() {
            return;
        }
        let index = self.thoughts.saturating_sub(1);
        chunks.delta(out, 0, |out| {
            out.put_string("reasoning_content", piece);
            write_thought(out, index, "thinking", "thinking", piece);
        });
    }

    /// The reasoning's signature, which a client must send back with the next turn.
    pub fn sign(&self, chunks: &mut Chunks, out: &mut Writer, signature: &str) {
        self.thought(chunks, out, "thinking", "signature", signature);
    }

    /// Encrypted reasoning, which a client must send back as well.
    pub fn redacted(&self, chunks: &mut Chunks, out: &mut Writer, data: &str) {
        self.thought(chunks, out, "redacted_thinking", "data", data);
    }

    fn thought(&self, chunks: &mut Chunks, out: &mut Writer, kind: &str, field: &str, value: &str) {
        let index = self.thoughts.saturating_sub(1);
        chunks.delta(out, 0, |out| write_thought(out, index, kind, field, value));
    }

    /// Their heap memory in bytes.
    pub fn reserved(&self) -> usize {
        self.open.capacity() * size_of::<Block>()
    }
}

/// A piece of the block with this number, with which clients join the pieces.
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
