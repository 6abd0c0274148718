//! OpenAI's Responses: the last event of a stream has the whole response.

use super::sse::{self, on_one_line};
use super::Unstorable;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The response of a stream of events.
pub fn collect(stream: &[u8]) -> Option<Writer> {
    let mut whole: Option<Writer> = None;
    sse::events(stream, |event| {
        let Some(event) = event else {
            return Some(());
        };
        if event.text("type").as_deref() == Some("response.completed") {
            let mut out = Writer::default();
            out.raw(event.field("response")?.json());
            whole = Some(out);
        }
        Some(())
    })?;
    whole
}

/// Whether a response may be kept.
pub fn end(answer: Raw<'_>) -> Result<(), Unstorable> {
    let output = answer.field("output").filter(|output| output.is_array()).ok_or(Unstorable::Unknown)?;
    match answer.text("status").as_deref() {
        Some("completed") => {}
        Some("incomplete") => return Err(Unstorable::Cut),
        Some(_) | None => return Err(Unstorable::Unknown),
    }
    output.each(|_, item| match item.text("type").as_deref() {
        Some("message") => item.field("content").map_or(Ok(()), |content| {
            content.each(|_, part| match part.text("type").as_deref() {
                Some("refusal") => Err(Unstorable::Refused),
                _ => Ok(()),
            })
        }),
        Some("reasoning") => Ok(()),
        _ => Err(Unstorable::Tools),
    })
}

/// The events of a response.
pub fn stream(answer: Raw<'_>, out: &mut Writer) {
    let mut events = Events { out, number: 0 };
    for name in ["response.created", "response.in_progress"] {
        events.write(name, |out| {
            out.put_object("response", |out| {
                answer.members(|name, value| match name {
                    "status" => out.put_string(name, "in_progress"),
                    "output" => out.put(name, "[]"),
                    "usage" => out.put(name, "null"),
                    _ => out.put(name, &on_one_line(value)),
                });
            });
        });
    }
    if let Some(output) = answer.field("output") {
        let _ = output.each(|index, item| {
            events.item(index as u64, item);
            Ok::<(), ()>(())
        });
    }
    events.write("response.completed", |out| out.put("response", &on_one_line(answer)));
}

struct Events<'a> {
    out: &'a mut Writer,
    number: u64,
}

impl Events<'_> {
    fn write(&mut self, name: &str, fields: impl FnOnce(&mut Writer)) {
        let number = self.number;
        self.number += 1;
        self.out.event(Some(name), |out| {
            out.put_string("type", name);
            out.put_number("sequence_number", number);
            fields(out);
        });
    }

    fn item(&mut self, index: u64, item: Raw<'_>) {
        let [id, content, arguments] = item.fields(["id", "content", "arguments"]);
        let id = id.map_or("\"\"", Raw::json);
        let is_message = item.text("type").as_deref() == Some("message");
        self.write("response.output_item.added", |out| {
            out.put_number("output_index", index);
            out.put_object("item", |out| {
                item.members(|name, value| match name {
                    "status" => out.put_string(name, "in_progress"),
                    "content" if is_message => out.put(name, "[]"),
                    "arguments" => out.put_string(name, ""),
                    _ => out.put(name, &on_one_line(value)),
                });
            });
        });
        if let Some(content) = content.filter(|_| is_message) {
            let _ = content.each(|place, part| {
                self.part((id, index, place as u64), part);
                Ok::<(), ()>(())
            });
        }
        if let Some(arguments) = arguments.filter(|arguments| arguments.is_string()) {
            for (name, field) in [
                ("response.function_call_arguments.delta", "delta"),
                ("response.function_call_arguments.done", "arguments"),
            ] {
                self.write(name, |out| {
                    out.put("item_id", id);
                    out.put_number("output_index", index);
                    out.put(field, arguments.json());
                });
            }
        }
        self.write("response.output_item.done", |out| {
            out.put_number("output_index", index);
            out.put("item", &on_one_line(item));
        });
    }

    fn part(&mut self, (id, item, place): (&str, u64, u64), part: Raw<'_>) {
        let at = |out: &mut Writer| {
            out.put("item_id", id);
            out.put_number("output_index", item);
            out.put_number("content_index", place);
        };
        self.write("response.content_part.added", |out| {
            at(out);
            out.put_object("part", |out| {
                part.members(|name, value| match name {
                    "text" | "refusal" => out.put_string(name, ""),
                    "annotations" | "logprobs" => out.put(name, "[]"),
                    _ => out.put(name, &on_one_line(value)),
                });
            });
        });
        for (field, kind) in [("text", "response.output_text"), ("refusal", "response.refusal")] {
            let Some(text) = part.field(field).filter(|text| text.is_string()) else {
                continue;
            };
            for (name, field) in [("delta", "delta"), ("done", field)] {
                self.write(&format!("{kind}.{name}"), |out| {
                    at(out);
                    out.put(field, text.json());
                    if kind == "response.output_text" {
                        out.put("logprobs", "[]");
                    }
                });
            }
        }
        self.write("response.content_part.done", |out| {
            at(out);
            out.put("part", &on_one_line(part));
        });
    }
}
