//! The conversation: instructions, turns and their parts.

use std::borrow::Cow;

use crate::error::ApiError;
use crate::translate::data_url::DataUrl;
use crate::translate::invalid;
use crate::translate::raw::{arguments, Raw};
use crate::translate::writer::Writer;

/// Google's placeholder for a signature that the client has not kept.
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// A conversation in Gemini's format.
#[derive(Default)]
pub struct Contents<'a> {
    system: Writer,
    /// Finished turns.
    turns: Writer,
    /// The current turn: the model's, or the user's.
    of_model: bool,
    parts: Writer,
    /// The names of the called functions, by the calls' ids.
    called: Vec<(Cow<'a, str>, Raw<'a>)>,
    /// Whether the model requires the signatures of its reasoning.
    signs: bool,
}

impl<'a> Contents<'a> {
    /// Reads `messages`.
    pub fn read(messages: Raw<'a>, model: &str) -> Result<Self, ApiError> {
        let mut contents = Contents { signs: model.contains("gemini-3"), ..Contents::default() };
        messages.each(|index, message| contents.message(index, message))?;
        contents.end_turn();
        match contents.turns.is_empty() {
            true => Err(invalid("messages", "`messages` holds nothing that is said to the model.")),
            false => Ok(contents),
        }
    }

    /// Writes `systemInstruction` and `contents`.
    pub fn write(&self, out: &mut Writer) {
        if !self.system.is_empty() {
            out.put_object("systemInstruction", |out| out.put_array("parts", |out| out.raw(self.system.as_str())));
        }
        out.put_array("contents", |out| out.raw(self.turns.as_str()));
    }

    fn message(&mut self, index: usize, message: Raw<'a>) -> Result<(), ApiError> {
        let [role, content] = message.fields(["role", "content"]);
        match role.and_then(Raw::string).as_deref() {
            Some("system" | "developer") => add(&mut self.system, content, index),
            Some("user") => {
                self.turn(false);
                add(&mut self.parts, content, index)
            }
            Some("assistant") => self.assistant(index, message, content),
            Some("tool" | "function") => self.result(index, message, content),
            Some(_) | None => {
                let text = format!("`messages[{index}].role` must be system, developer, user, assistant or tool.");
                Err(invalid("messages", text))
            }
        }
    }

    fn assistant(&mut self, index: usize, message: Raw<'a>, content: Option<Raw<'a>>) -> Result<(), ApiError> {
        self.turn(true);
        add(&mut self.parts, content, index)?;
        let [calls, refusal] = message.fields(["tool_calls", "refusal"]);
        add(&mut self.parts, refusal, index)?;
        let Some(calls) = calls else {
            return Ok(());
        };
        calls.each(|number, call| {
            let [id, function, extra] = call.fields(["id", "function", "extra_content"]);
            let name = function.and_then(|function| function.field("name")).filter(|name| name.is_string());
            let (Some(function), Some(name)) = (function, name) else {
                let text = format!("`messages[{index}].tool_calls[{number}]` must name a function.");
                return Err(invalid("messages", text));
            };
            let google = extra.and_then(|extra| extra.field("google"));
            let signature = google.and_then(|google| google.text("thought_signature"));
            self.parts.object(|out| {
                out.put_object("functionCall", |out| {
                    out.put("name", name.json());
                    out.put("args", &arguments(function.field("arguments")));
                });
                match signature {
                    Some(signature) => out.put_string("thoughtSignature", &signature),
                    // the first call of a turn has it
                    None if self.signs && number == 0 => out.put_string("thoughtSignature", NO_SIGNATURE),
                    None => {}
                }
            });
            if let Some(id) = id.and_then(Raw::string) {
                self.called.push((id, name));
            }
            Ok(())
        })
    }

    /// A result needs the function's name, which the client only identifies by the call's id.
    fn result(&mut self, index: usize, message: Raw<'a>, content: Option<Raw<'a>>) -> Result<(), ApiError> {
        let [id, name] = message.fields(["tool_call_id", "name"]);
        let id = id.and_then(Raw::string);
        let called = self.called.iter().rev().find(|(known, _)| Some(known) == id.as_ref()).map(|(_, name)| *name);
        let Some(name) = called.or(name).filter(|name| name.is_string()) else {
            let text = format!("`messages[{index}].tool_call_id` is not the id of a call before it.");
            return Err(invalid("messages", text));
        };
        self.turn(false);
        let mut text = String::new();
        match content {
            Some(content) if content.is_array() => {
                content.items(|part| text.push_str(&part.text("text").unwrap_or_default()))
            }
            Some(content) => text.push_str(&content.string().unwrap_or_default()),
            None => {}
        }
        self.parts.object(|out| {
            out.put_object("functionResponse", |out| {
                out.put("name", name.json());
                out.put_object("response", |out| out.put_string("output", &text));
            });
        });
        Ok(())
    }

    fn turn(&mut self, of_model: bool) {
        if self.of_model != of_model {
            self.end_turn();
            self.of_model = of_model;
        }
    }

    fn end_turn(&mut self) {
        if !self.parts.is_empty() {
            let (of_model, parts) = (self.of_model, &self.parts);
            self.turns.object(|out| {
                out.put_string("role", if of_model { "model" } else { "user" });
                out.put_array("parts", |out| out.raw(parts.as_str()));
            });
            self.parts.clear();
        }
    }
}

/// Adds the parts of one message.
fn add(out: &mut Writer, content: Option<Raw<'_>>, index: usize) -> Result<(), ApiError> {
    match content {
        Some(content) if content.is_array() => content.each(|number, each| part(out, each, index, number)),
        Some(content) if content.is_string() => {
            text(out, content);
            Ok(())
        }
        Some(_) => {
            Err(invalid("messages", format!("`messages[{index}].content` must be a string or an array of parts.")))
        }
        None => Ok(()),
    }
}

fn text(out: &mut Writer, text: Raw<'_>) {
    if text.is_string() && text.json() != "\"\"" {
        out.object(|out| out.put("text", text.json()));
    }
}

fn part(out: &mut Writer, part: Raw<'_>, index: usize, number: usize) -> Result<(), ApiError> {
    let wrong = |problem: &str| Err(invalid("messages", format!("`messages[{index}].content[{number}]`{problem}")));
    let [kind, words, refusal, image, file, audio] =
        part.fields(["type", "text", "refusal", "image_url", "file", "input_audio"]);
    match (kind.and_then(Raw::string).as_deref(), image, file, audio) {
        (Some("text" | "refusal"), _, _, _) => {
            if let Some(words) = words.or(refusal) {
                text(out, words);
            }
        }
        (Some("image_url"), Some(image), _, _) => {
            match image.text("url").or_else(|| image.string()) {
                Some(url) => data(out, &url),
                None => return wrong(".image_url.url is missing."),
            };
        }
        (Some("file"), _, Some(file), _) => match file.text("file_data") {
            Some(url) if url.starts_with("data:") => data(out, &url),
            Some(_) | None => return wrong(".file: a file must be in the request (`file_data`, a data URL)."),
        },
        (Some("input_audio"), _, _, Some(audio)) => {
            let (Some(bytes), Some(format)) = (audio.field("data"), audio.text("format")) else {
                return wrong(".input_audio must have `data` and `format`.");
            };
            out.object(|out| {
                out.put_object("inlineData", |out| {
                    out.put_string("mimeType", &format!("audio/{format}"));
                    out.put("data", bytes.json());
                });
            });
        }
        (Some(_) | None, _, _, _) => return wrong(".type cannot be passed on to this model."),
    }
    Ok(())
}

/// Data, or a URL.
fn data(out: &mut Writer, url: &str) {
    out.object(|out| match DataUrl::parse(url) {
        Some(data) => out.put_object("inlineData", |out| {
            out.put_string("mimeType", data.media_type);
            out.put_string("data", data.data);
        }),
        None => out.put_object("fileData", |out| {
            out.put_string("mimeType", media_type(url));
            out.put_string("fileUri", url);
        }),
    });
}

/// From the path's extension.
fn media_type(url: &str) -> &'static str {
    let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    match path.rsplit('.').next() {
        Some("png") => "image/png",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("pdf") => "application/pdf",
        Some("mp4") => "video/mp4",
        Some(_) | None => "image/jpeg",
    }
}
