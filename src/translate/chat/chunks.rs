//! The chunks of a streamed completion.

use super::write_usage;
use crate::translate::writer::Writer;
use crate::usage::TokenUsage;

/// The longest id or model name that is repeated in each chunk.
const MAX_NAME: usize = 256;

/// Writes the chunks of one stream.
#[derive(Debug)]
pub(in crate::translate) struct Chunks {
    id: String,
    model: String,
    created: u64,
    /// Whether the first chunk, with the role, has been written.
    begun: bool,
    finished: bool,
}

impl Chunks {
    /// For a stream that began at `created`; the ids are the answer's, once they are known.
    pub fn new(id: String, created: u64) -> Self {
        Chunks { id, model: String::new(), created, begun: false, finished: false }
    }

    /// The answer's own id.
    pub fn set_id(&mut self, id: &str) {
        if !self.begun && !id.is_empty() && id.len() <= MAX_NAME {
            id.clone_into(&mut self.id);
        }
    }

    /// The model that answered.
    pub fn set_model(&mut self, model: &str) {
        if !self.begun && model.len() <= MAX_NAME {
            model.clone_into(&mut self.model);
        }
    }

    /// Whether a finish reason has been written.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// A chunk with a part of choice `index`.
    pub fn delta(&mut self, out: &mut Writer, index: u64, delta: impl FnOnce(&mut Writer)) {
        self.begin(out, index);
        self.choice(out, index, None, delta);
    }

    /// The same for a string field.
    pub fn string(&mut self, out: &mut Writer, index: u64, field: &str, text: &str) {
        if !text.is_empty() {
            self.delta(out, index, |out| out.put_string(field, text));
        }
    }

    /// The chunk that begins a tool call, the `number`th of the answer.
    pub fn call(&mut self, out: &mut Writer, index: u64, number: usize, call: Call<'_>) {
        self.delta(out, index, |out| {
            out.put_array("tool_calls", |out| {
                out.object(|out| {
                    out.put_number("index", number as u64);
                    out.put_string("id", call.id);
                    out.put_string("type", "function");
                    out.put_object("function", |out| {
                        out.put_string("name", call.name);
                        out.put_string("arguments", call.arguments);
                    });
                    super::write_signature(out, call.signature);
                });
            });
        });
    }

    /// A chunk with further arguments of a call.
    pub fn arguments(&mut self, out: &mut Writer, index: u64, number: usize, arguments: &str) {
        self.delta(out, index, |out| {
            out.put_array("tool_calls", |out| {
                out.object(|out| {
                    out.put_number("index", number as u64);
                    out.put_object("function", |out| out.put_string("arguments", arguments));
                });
            });
        });
    }

    /// The chunk with the finish reason of choice `index`.
    pub fn finish(&mut self, out: &mut Writer, index: u64, reason: &str) {
        self.begin(out, index);
        self.choice(out, index, Some(reason), |_| {});
        self.finished = true;
    }

    /// The end: the chunk with usage, if the client wants it, and `[DONE]`.
    pub fn done(&self, out: &mut Writer, usage: Option<&TokenUsage>) {
        if let Some(usage) = usage {
            out.event(None, |out| {
                self.head(out);
                out.put("choices", "[]");
                out.key("usage");
                write_usage(out, usage);
            });
        }
        out.text("data: [DONE]\n\n");
    }

    fn begin(&mut self, out: &mut Writer, index: u64) {
        if !std::mem::replace(&mut self.begun, true) {
            self.choice(out, index, None, |out| {
                out.put_string("role", "assistant");
                out.put_string("content", "");
            });
        }
    }

    fn choice(&self, out: &mut Writer, index: u64, reason: Option<&str>, delta: impl FnOnce(&mut Writer)) {
        out.event(None, |out| {
            self.head(out);
            out.put_array("choices", |out| {
                out.object(|out| {
                    out.put_number("index", index);
                    out.put_object("delta", delta);
                    out.put("logprobs", "null");
                    match reason {
                        Some(reason) => out.put_string("finish_reason", reason),
                        None => out.put("finish_reason", "null"),
                    }
                });
            });
        });
    }

    fn head(&self, out: &mut Writer) {
        out.put_string("id", &self.id);
        out.put_string("object", "chat.completion.chunk");
        out.put_number("created", self.created);
        out.put_string("model", &self.model);
    }
}

/// A call of a tool.
pub(in crate::translate) struct Call<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub arguments: &'a str,
    pub signature: Option<&'a str>,
}
