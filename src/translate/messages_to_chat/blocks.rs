//! The blocks of a streamed message: at most one is open, and each has a unique index.

use crate::translate::writer::Writer;

/// The kind of the open block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    Nothing,
    Thinking,
    Text,
    /// A tool call, by its index in the list of calls.
    Call(usize),
}

/// Writes blocks.
#[derive(Debug)]
pub struct Blocks {
    open: Open,
    /// The number of blocks that have begun.
    count: u64,
}

impl Blocks {
    pub fn new() -> Self {
        Blocks { open: Open::Nothing, count: 0 }
    }

    pub fn open(&self) -> Open {
        self.open
    }

    /// A piece of text or reasoning.
    pub fn text(&mut self, out: &mut Writer, kind: Open, text: &str) {
        if text.is_empty() {
            return;
        }
        let thinks = kind == Open::Thinking;
        if self.open != kind {
            self.begin(out, kind, |out| {
                out.put_string("type", if thinks { "thinking" } else { "text" });
                out.put_string(if thinks { "thinking" } else { "text" }, "");
                if thinks {
                    out.put_string("signature", "");
                }
            });
        }
        self.delta(out, |out| {
            out.put_string("type", if thinks { "thinking_delta" } else { "text_delta" });
            out.put_string(if thinks { "thinking" } else { "text" }, text);
        });
    }

    /// Begins a tool call.
    pub fn call(&mut self, out: &mut Writer, place: usize, id: &str, name: &str) {
        self.begin(out, Open::Call(place), |out| {
            out.put_string("type", "tool_use");
            out.put_string("id", id);
            out.put_string("name", name);
            out.put("input", "{}");
        });
    }

    /// Further arguments of the open call.
    pub fn arguments(&mut self, out: &mut Writer, json: &str) {
        self.delta(out, |out| {
            out.put_string("type", "input_json_delta");
            out.put_string("partial_json", json);
        });
    }

    /// Ends the open block.
    pub fn close(&mut self, out: &mut Writer) {
        if std::mem::replace(&mut self.open, Open::Nothing) != Open::Nothing {
            let index = self.count.saturating_sub(1);
            out.event(Some("content_block_stop"), |out| {
                out.put_string("type", "content_block_stop");
                out.put_number("index", index);
            });
        }
    }

    fn begin(&mut self, out: &mut Writer, kind: Open, block: impl FnOnce(&mut Writer)) {
        self.close(out);
        self.open = kind;
        let index = self.count;
        self.count += 1;
        out.event(Some("content_block_start"), |out| {
            out.put_string("type", "content_block_start");
            out.put_number("index", index);
            out.put_object("content_block", block);
        });
    }

    fn delta(&mut self, out: &mut Writer, delta: impl FnOnce(&mut Writer)) {
        let index = self.count.saturating_sub(1);
        out.event(Some("content_block_delta"), |out| {
            out.put_string("type", "content_block_delta");
            out.put_number("index", index);
            out.put_object("delta", delta);
        });
    }
}
