//! The events of a response's stream, each with a sequence number.

use super::item::{write_summary, Item, ItemKind, MessagePart};
use crate::translate::writer::Writer;

/// Numbers the events.
#[derive(Debug, Default)]
pub struct Sender {
    next: u64,
}

/// The item of an event.
pub struct At<'a> {
    place: usize,
    id: &'a str,
}

impl Sender {
    /// Sends an event with this type.
    pub fn send(&mut self, out: &mut Writer, kind: &str, fields: impl FnOnce(&mut Writer)) {
        let number = self.next;
        self.next += 1;
        out.event(Some(kind), |out| {
            out.put_string("type", kind);
            out.put_number("sequence_number", number);
            fields(out);
        });
    }

    pub fn at<'a>(&self, place: usize, id: &'a str) -> At<'a> {
        At { place, id }
    }

    fn about(&mut self, out: &mut Writer, kind: &str, at: &At<'_>, fields: impl FnOnce(&mut Writer)) {
        self.send(out, kind, |out| {
            out.put_string("item_id", at.id);
            out.put_number("output_index", at.place as u64);
            fields(out);
        });
    }

    /// An item begins.
    pub fn added(&mut self, out: &mut Writer, place: usize, item: &Item) {
        self.send(out, "response.output_item.added", |out| {
            out.put_number("output_index", place as u64);
            out.key("item");
            item.write(out, "in_progress");
        });
    }

    /// An item is complete, or will never be.
    pub fn done(&mut self, out: &mut Writer, place: usize, item: &Item, status: &str) {
        let at = At { place, id: &item.id };
        match &item.kind {
            ItemKind::Reasoning { text, .. } if text.is_empty() => {}
            ItemKind::Reasoning { text, .. } => {
                self.about(out, "response.reasoning_summary_text.done", &at, |out| {
                    out.put_number("summary_index", 0);
                    out.put_string("text", text);
                });
                self.about(out, "response.reasoning_summary_part.done", &at, |out| {
                    out.put_number("summary_index", 0);
                    out.key("part");
                    write_summary(out, text);
                });
            }
            ItemKind::Message(parts) => {
                if let Some(part) = parts.last() {
                    self.part_done(out, &at, parts.len() - 1, part);
                }
            }
            ItemKind::Call(call) if call.custom => {
                let input = call.input();
                if !input.is_empty() {
                    self.about(out, "response.custom_tool_call_input.delta", &at, |out| {
                        out.put_string("delta", &input);
                    });
                }
                self.about(out, "response.custom_tool_call_input.done", &at, |out| out.put_string("input", &input));
            }
            ItemKind::Call(call) => self.about(out, "response.function_call_arguments.done", &at, |out| {
                out.put_string("name", &call.name);
                out.put_string("arguments", &call.arguments);
            }),
        }
        self.send(out, "response.output_item.done", |out| {
            out.put_number("output_index", place as u64);
            out.key("item");
            item.write(out, status);
        });
    }

    /// A part of a message begins.
    pub fn part_added(&mut self, out: &mut Writer, at: &At<'_>, number: usize, part: &MessagePart) {
        self.about(out, "response.content_part.added", at, |out| {
            out.put_number("content_index", number as u64);
            out.key("part");
            part.write(out);
        });
    }

    /// A delta of a message's part.
    pub fn said(&mut self, out: &mut Writer, at: &At<'_>, number: usize, part: &MessagePart, piece: &str) {
        let kind = if part.refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        self.about(out, kind, at, |out| {
            out.put_number("content_index", number as u64);
            out.put_string("delta", piece);
            if !part.refusal {
                out.put("logprobs", "[]");
            }
        });
    }

    /// A part of a message ends.
    pub fn part_done(&mut self, out: &mut Writer, at: &At<'_>, number: usize, part: &MessagePart) {
        let kind = if part.refusal { "response.refusal.done" } else { "response.output_text.done" };
        self.about(out, kind, at, |out| {
            out.put_number("content_index", number as u64);
            match part.refusal {
                true => out.put_string("refusal", &part.text),
                false => {
                    out.put_string("text", &part.text);
                    out.put("logprobs", "[]");
                }
            }
        });
        self.about(out, "response.content_part.done", at, |out| {
            out.put_number("content_index", number as u64);
            out.key("part");
            part.write(out);
        });
    }

    /// A delta of reasoning.
    pub fn thought(&mut self, out: &mut Writer, place: usize, id: &str, first: bool, piece: &str) {
        let at = At { place, id };
        if first {
            self.about(out, "response.reasoning_summary_part.added", &at, |out| {
                out.put_number("summary_index", 0);
                out.key("part");
                write_summary(out, "");
            });
        }
        self.about(out, "response.reasoning_summary_text.delta", &at, |out| {
            out.put_number("summary_index", 0);
            out.put_string("delta", piece);
        });
    }

    /// A delta of a call's arguments.
    pub fn asked(&mut self, out: &mut Writer, place: usize, id: &str, piece: &str) {
        self.about(out, "response.function_call_arguments.delta", &At { place, id }, |out| {
            out.put_string("delta", piece);
        });
    }
}
