//! OpenAI's chat completions.

use super::merge::{Indexed, Merged};
use super::sse::{self, on_one_line};
use super::{ended, Unstorable};
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;
use crate::usage::TokenUsage;

/// Strings that are not appended.
const SET: [&str; 4] = ["id", "role", "type", "finish_reason"];

/// What one choice has so far.
#[derive(Default)]
struct Choice {
    message: Merged,
    calls: Indexed,
    /// `finish_reason`, `logprobs` and what servers add.
    rest: Merged,
}

/// The members of a chunk that are not its head.
const BODY: [&str; 4] = ["object", "choices", "usage", "obfuscation"];

/// The completion of a stream of chunks.
pub fn collect(stream: &[u8], usage: Option<&TokenUsage>) -> Option<Writer> {
    let mut choices: Vec<(u64, Choice)> = Vec::new();
    let Chunks { head, reported } = Chunks::read(stream, |choice| add(&mut choices, choice))?;
    if choices.is_empty() {
        return None;
    }
    choices.sort_by_key(|(index, _)| *index);
    let mut out = Writer::default();
    out.object(|out| {
        head.write_members(out);
        out.put_string("object", "chat.completion");
        out.put_array("choices", |out| choices.into_iter().for_each(|(index, choice)| choice.write(index, out)));
        write_usage(reported, usage, out);
    });
    Some(out)
}

/// What the chunks of a whole stream have in common, besides their choices.
pub(super) struct Chunks {
    pub(super) head: Merged,
    /// The reported usage.
    pub(super) reported: Option<String>,
}

impl Chunks {
    /// Reads a stream, and hands over each choice of each chunk; `None` if one does not fit, or if the stream has no end.
    pub(super) fn read(stream: &[u8], mut add: impl FnMut(Raw<'_>) -> Option<()>) -> Option<Chunks> {
        let (mut chunks, mut done) = (Chunks { head: Merged::default(), reported: None }, false);
        sse::events(stream, |event| {
            let Some(chunk) = event else {
                done = true;
                return Some(());
            };
            add_head(&mut chunks.head, chunk)?;
            if let Some(usage) = chunk.field("usage") {
                chunks.reported = Some(usage.json().to_owned());
            }
            let mut fits = true;
            chunk.field("choices")?.items(|choice| fits = fits && add(choice).is_some());
            fits.then_some(())
        })?;
        done.then_some(chunks)
    }
}

/// Adds the members of a chunk that are the same in all of them.
fn add_head(head: &mut Merged, chunk: Raw<'_>) -> Option<()> {
    if chunk.field("error").is_some() {
        return None;
    }
    let mut fits = true;
    chunk.members(|name, value| {
        if !BODY.contains(&name) {
            // the last one counts
            let known = value.is_null() && head.has(name);
            if !known {
                head.replace(name, value.json());
            }
        }
        fits = fits && name.len() < 256;
    });
    fits.then_some(())
}

/// The reported usage, or what the gateway has counted.
pub(super) fn write_usage(reported: Option<String>, counted: Option<&TokenUsage>, out: &mut Writer) {
    match (reported, counted) {
        (Some(reported), _) => out.put("usage", &reported),
        (None, Some(usage)) => {
            out.key("usage");
            crate::translate::write_chat_usage(out, usage);
        }
        (None, None) => {}
    }
}

fn add(choices: &mut Vec<(u64, Choice)>, part: Raw<'_>) -> Option<()> {
    let index = part.field("index").and_then(Raw::count).unwrap_or(0);
    let place = match choices.iter().position(|(known, _)| *known == index) {
        Some(place) => place,
        None if choices.len() < 128 => {
            choices.push((index, Choice::default()));
            choices.len() - 1
        }
        None => return None,
    };
    let (_, choice) = choices.get_mut(place)?;
    let mut fits = true;
    part.members(|name, value| {
        let added = match name {
            "index" => Some(()),
            "delta" => choice.delta(value),
            _ => choice.rest.member(name, value, &SET),
        };
        fits = fits && added.is_some();
    });
    fits.then_some(())
}

impl Choice {
    fn delta(&mut self, delta: Raw<'_>) -> Option<()> {
        let mut fits = true;
        delta.members(|name, value| {
            let added = match name {
                "tool_calls" if value.is_array() => self.add_calls(value),
                "tool_calls" => Some(()),
                _ => self.message.member(name, value, &SET),
            };
            fits = fits && added.is_some();
        });
        fits.then_some(())
    }

    fn add_calls(&mut self, calls: Raw<'_>) -> Option<()> {
        let mut fits = true;
        calls
            .each(|place, call| {
                let index = call.field("index").and_then(Raw::count).unwrap_or(place as u64);
                fits = fits && self.calls.at(index).is_some_and(|known| known.add(call, &SET).is_some());
                Ok::<(), ()>(())
            })
            .ok()?;
        fits.then_some(())
    }

    fn write(mut self, index: u64, out: &mut Writer) {
        out.object(|out| {
            out.put_number("index", index);
            out.put_object("message", |out| {
                if !self.message.has("role") {
                    out.put_string("role", "assistant");
                }
                if !self.message.has("content") {
                    out.put("content", "null");
                }
                self.message.write_members(out);
                if !self.calls.is_empty() {
                    out.put_array("tool_calls", |out| {
                        for (_, mut call) in std::mem::take(&mut self.calls).sorted() {
                            call.take("index");
                            out.object(|out| call.write_members(out));
                        }
                    });
                }
            });
            self.rest.write_members(out);
        });
    }
}

/// Whether a completion may be kept.
pub fn end(answer: Raw<'_>) -> Result<(), Unstorable> {
    let choices = answer.field("choices").filter(|choices| choices.first().is_some()).ok_or(Unstorable::Unknown)?;
    choices.each(|_, choice| {
        let [reason, message] = choice.fields(["finish_reason", "message"]);
        let message = message.ok_or(Unstorable::Unknown)?;
        if message.field("refusal").is_some() {
            return Err(Unstorable::Refused);
        }
        let reason = reason.and_then(Raw::string);
        ended(reason.as_deref(), &["stop"], &["length"], &["tool_calls", "function_call"])?;
        match message.fields(["tool_calls", "function_call"]) {
            [None, None] => Ok(()),
            [Some(calls), None] if calls.is_nothing() => Ok(()),
            _ => Err(Unstorable::Tools),
        }
    })
}

/// The chunks of a completion.
pub fn stream(answer: Raw<'_>, include_usage: bool, out: &mut Writer) {
    let head = |out: &mut Writer| {
        write_head(answer, "chat.completion.chunk", out);
        if include_usage {
            out.put("usage", "null");
        }
    };
    if let Some(choices) = answer.field("choices") {
        choices.items(|choice| {
            let index = choice.field("index").and_then(Raw::count).unwrap_or(0);
            out.event(None, |out| {
                head(out);
                out.put_array("choices", |out| {
                    out.object(|out| {
                        out.put_number("index", index);
                        out.put_object("delta", |out| write_delta(choice.field("message"), out));
                        choice.members(|name, value| match name {
                            "index" | "message" => {}
                            "finish_reason" => out.put(name, "null"),
                            _ => out.put(name, &on_one_line(value)),
                        });
                    });
                });
            });
            out.event(None, |out| {
                head(out);
                out.put_array("choices", |out| {
                    out.object(|out| {
                        out.put_number("index", index);
                        out.put("delta", "{}");
                        out.put("finish_reason", choice.field("finish_reason").map_or("null", Raw::json));
                    });
                });
            });
        });
    }
    write_end(answer, include_usage, "chat.completion.chunk", out);
}

/// What all chunks of an answer begin with.
pub(super) fn write_head(answer: Raw<'_>, object: &str, out: &mut Writer) {
    answer.members(|name, value| {
        if !BODY.contains(&name) {
            out.put(name, &on_one_line(value));
        }
    });
    out.put_string("object", object);
}

/// The chunk with usage, if it is wanted, and the last event.
pub(super) fn write_end(answer: Raw<'_>, include_usage: bool, object: &str, out: &mut Writer) {
    if let (true, Some(usage)) = (include_usage, answer.field("usage")) {
        out.event(None, |out| {
            write_head(answer, object, out);
            out.put("choices", "[]");
            out.put("usage", &on_one_line(usage));
        });
    }
    out.text("data: [DONE]\n\n");
}

fn write_delta(message: Option<Raw<'_>>, out: &mut Writer) {
    let Some(message) = message else {
        return;
    };
    message.members(|name, value| match name {
        "tool_calls" if value.is_array() => out.put_array(name, |out| {
            let _ = value.each(|index, call| {
                out.object(|out| {
                    out.put_number("index", index as u64);
                    call.members(|name, value| {
                        if name != "index" {
                            out.put(name, &on_one_line(value));
                        }
                    });
                });
                Ok::<(), ()>(())
            });
        }),
        _ => out.put(name, &on_one_line(value)),
    });
}
