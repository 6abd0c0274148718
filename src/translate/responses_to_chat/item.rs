//! The items of a response's output.

use super::thoughts::Gathered;
use super::tool_note::ToolNote;
use crate::translate::ids::made;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// One item, as far as it is known.
#[derive(Debug)]
pub struct Item {
    pub id: String,
    pub kind: ItemKind,
}

/// The kinds of items.
#[derive(Debug)]
pub enum ItemKind {
    /// Reasoning.
    Reasoning { text: String, thoughts: Gathered },
    /// A message.
    Message(Vec<MessagePart>),
    /// A tool call.
    Call(ToolCall),
}

/// A message's text, or a refusal.
#[derive(Debug)]
pub struct MessagePart {
    pub refusal: bool,
    pub text: String,
}

/// A tool call.
#[derive(Debug)]
pub struct ToolCall {
    pub call_id: String,
    pub name: String,
    pub namespace: Option<String>,
    /// Whether it takes a text, which is inside the arguments.
    pub custom: bool,
    pub arguments: String,
}

impl Item {
    /// The item at this index of the output; `answer` identifies the answer.
    pub fn new(kind: ItemKind, answer: u64, place: usize) -> Self {
        let prefix = match &kind {
            ItemKind::Reasoning { .. } => "rs_",
            ItemKind::Message(_) => "msg_",
            ItemKind::Call(ToolCall { custom: true, .. }) => "ctc_",
            ItemKind::Call(_) => "fc_",
        };
        Item { id: made(prefix, answer, place + 1), kind }
    }

    /// Writes it as an element of `output`.
    pub fn write(&self, out: &mut Writer, status: &str) {
        out.object(|out| {
            out.put_string("id", &self.id);
            match &self.kind {
                ItemKind::Reasoning { text, thoughts } => {
                    out.put_string("type", "reasoning");
                    out.put_array("summary", |out| {
                        if !text.is_empty() {
                            write_summary(out, text);
                        }
                    });
                    if !thoughts.as_str().is_empty() {
                        out.put_string("encrypted_content", &format!("[{}]", thoughts.as_str()));
                    }
                }
                ItemKind::Message(parts) => {
                    out.put_string("type", "message");
                    out.put_string("status", status);
                    out.put_string("role", "assistant");
                    out.put_array("content", |out| parts.iter().for_each(|part| part.write(out)));
                }
                ItemKind::Call(call) => {
                    out.put_string("type", if call.custom { "custom_tool_call" } else { "function_call" });
                    out.put_string("status", status);
                    out.put_string("call_id", &call.call_id);
                    out.put_string("name", &call.name);
                    if let Some(namespace) = &call.namespace {
                        out.put_string("namespace", namespace);
                    }
                    match call.custom {
                        true => out.put_string("input", &call.input()),
                        false => out.put_string("arguments", &call.arguments),
                    }
                }
            }
        });
    }

    /// Its heap memory in bytes.
    pub fn reserved(&self) -> usize {
        self.id.capacity()
            + match &self.kind {
                ItemKind::Reasoning { text, thoughts } => text.capacity() + thoughts.reserved(),
                ItemKind::Message(parts) => {
                    parts.iter().map(|part| size_of::<MessagePart>() + part.text.capacity()).sum()
                }
                ItemKind::Call(call) => call.call_id.capacity() + call.name.capacity() + call.arguments.capacity(),
            }
    }
}

/// A reasoning summary's part.
pub fn write_summary(out: &mut Writer, text: &str) {
    out.object(|out| {
        out.put_string("type", "summary_text");
        out.put_string("text", text);
    });
}

impl MessagePart {
    pub fn write(&self, out: &mut Writer) {
        let text = &self.text;
        out.object(|out| match self.refusal {
            true => {
                out.put_string("type", "refusal");
                out.put_string("refusal", text);
            }
            false => {
                out.put_string("type", "output_text");
                out.put("annotations", "[]");
                out.put("logprobs", "[]");
                out.put_string("text", text);
            }
        });
    }
}

impl ToolCall {
    /// A call in the server's terms, translated into the client's.
    pub fn new(call_id: String, given: &str, arguments: String, tools: &[ToolNote]) -> Self {
        let note = tools.iter().find(|note| note.given == given);
        ToolCall {
            call_id,
            name: note.map_or(given, |note| &note.name).to_owned(),
            namespace: note.and_then(|note| note.namespace.clone()),
            custom: note.is_some_and(|note| note.custom),
            arguments,
        }
    }

    /// A custom tool's text. If the model does not put it into the field, it is the whole argument.
    pub fn input(&self) -> String {
        let input = Raw::parse(self.arguments.as_bytes()).and_then(|arguments| arguments.text("input"));
        input.map_or_else(|| self.arguments.clone(), |input| input.into_owned())
    }
}
