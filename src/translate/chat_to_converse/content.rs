//! The parts of one message: texts, images, documents, reasoning.

use super::model::Model;
use crate::error::ApiError;
use crate::translate::data_url::DataUrl;
use crate::translate::dropped::Dropped;
use crate::translate::invalid;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The longest name of a document.
const MAX_NAME: usize = 200;

/// Writes parts, and stores the data of the whole request.
pub struct Content<'m> {
    model: Model<'m>,
    /// The names of documents, which must be unique.
    names: Vec<String>,
}

/// A message's position, for errors, and its settings.
#[derive(Clone, Copy)]
pub struct MessageContext<'a> {
    /// Its number.
    pub index: usize,
    /// It is marked for the prompt cache, and so is its last part (LiteLLM's extension).
    pub mark: Option<Raw<'a>>,
    /// It must not end in white space, because it is the beginning of the answer.
    pub trimmed: bool,
}

impl<'m> Content<'m> {
    pub fn new(model: Model<'m>) -> Self {
        Content { model, names: Vec::new() }
    }

    /// Whether the model accepts its own reasoning in a request; others refuse it.
    pub fn takes_thoughts(&self) -> bool {
        self.model.is_claude()
    }

    /// A mark for the prompt cache, if the client has set one and the model supports it.
    pub fn mark(&self, out: &mut Writer, mark: Option<Raw<'_>>, dropped: &mut Dropped) {
        let Some(mark) = mark.filter(|mark| mark.is_object()) else {
            return;
        };
        if !self.model.takes_cache_points() {
            return dropped.add("cache_control");
        }
        let ttl = mark.text("ttl").filter(|ttl| matches!(ttl.as_ref(), "5m" | "1h"));
        out.object(|out| {
            out.put_object("cachePoint", |out| {
                out.put_string("type", "default");
                if let Some(ttl) = ttl.filter(|_| self.model.takes_cache_ttl()) {
                    out.put_string("ttl", &ttl);
                }
            });
        });
    }

    /// The content of a system prompt, which may only have texts.
    pub fn instruction(
        &self,
        out: &mut Writer,
        content: Option<Raw<'_>>,
        context: &MessageContext<'_>,
        dropped: &mut Dropped,
    ) -> Result<(), ApiError> {
        let index = context.index;
        match content {
            Some(content) if content.is_array() => content.each(|number, part| match part.field("text") {
                Some(text) => {
                    write_text(out, text, false);
                    self.mark(out, part.field("cache_control"), dropped);
                    Ok(())
                }
                None => {
                    let text = format!("`messages[{index}].content[{number}]`: system messages have only texts.");
                    Err(invalid("messages", text))
                }
            })?,
            Some(content) => write_text(out, content, false),
            None => {}
        }
        self.mark(out, context.mark, dropped);
        Ok(())
    }

    /// The content of any other message.
    pub fn parts(
        &mut self,
        out: &mut Writer,
        content: Option<Raw<'_>>,
        context: &MessageContext<'_>,
        dropped: &mut Dropped,
    ) -> Result<(), ApiError> {
        match content {
            Some(content) if content.is_array() => content.each(|number, part| {
                self.part(out, part, number, context)?;
                self.mark(out, part.field("cache_control"), dropped);
                Ok(())
            }),
            Some(content) if content.is_string() => {
                write_text(out, content, context.trimmed);
                Ok(())
            }
            Some(_) => {
                let text = format!("`messages[{}].content` must be a string or an array of parts.", context.index);
                Err(invalid("messages", text))
            }
            None => Ok(()),
        }
    }

    fn part(
        &mut self,
        out: &mut Writer,
        part: Raw<'_>,
        number: usize,
        context: &MessageContext<'_>,
    ) -> Result<(), ApiError> {
        let wrong = |problem: &str| {
            Err(invalid("messages", format!("`messages[{}].content[{number}]`{problem}", context.index)))
        };
        if part.is_string() {
            write_text(out, part, context.trimmed);
            return Ok(());
        }
        match part.text("type").as_deref() {
            Some("text" | "refusal" | "input_text" | "output_text") => {
                if let Some(text) = part.field("text").or(part.field("refusal")) {
                    write_text(out, text, context.trimmed);
                }
                Ok(())
            }
            Some("image_url") => {
                let image = part.field("image_url");
                let url = image.and_then(|image| image.text("url").or_else(|| image.string()));
                let Some(url) = url else {
                    return wrong(".image_url.url is missing.");
                };
                match DataUrl::parse(&url) {
                    Some(data) if self.source(out, data, None) => Ok(()),
                    Some(_) => wrong(": images must be JPEG, PNG, GIF or WebP."),
                    None => wrong(": images must be in the request (a data URL); this model's provider fetches none."),
                }
            }
            Some("file") => {
                let Some(file) = part.field("file") else {
                    return wrong(".file is missing.");
                };
                let [data, name] = file.fields(["file_data", "filename"]);
                match data.and_then(Raw::string) {
                    Some(url) => match DataUrl::parse(&url) {
                        Some(data) if self.source(out, data, name) => Ok(()),
                        _ => wrong(".file.file_data: not a format of files that can be passed on to this model."),
                    },
                    None => wrong(".file: a file must be in the request (`file_data`); ids are its provider's own."),
                }
            }
            Some(kind) => {
                let kind: String = kind.chars().filter(|character| !character.is_control()).take(40).collect();
                wrong(&format!(".type: `{kind}` cannot be passed on to this model."))
            }
            None => wrong(".type is missing."),
        }
    }

    /// An image or a document; `false` if Bedrock does not support its type.
    fn source(&mut self, out: &mut Writer, data: DataUrl<'_>, name: Option<Raw<'_>>) -> bool {
        if let Some(format) = image_format(data.media_type) {
            write_source(out, "image", format, None, data.data);
            return true;
        }
        let Some(format) = document_format(data.media_type) else {
            return false;
        };
        let name = self.document_name(name.and_then(Raw::string).as_deref().unwrap_or_default());
        write_source(out, "document", format, Some(&name), data.data);
        true
    }

    /// A document name that Bedrock accepts: letters, digits, single spaces, hyphens, brackets, and unique.
    fn document_name(&mut self, file_name: &str) -> String {
        let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
        let plain = |character: char| match character {
            '-' | '(' | ')' | '[' | ']' => character,
            _ if character.is_ascii_alphanumeric() => character,
            _ => ' ',
        };
        let words: String = stem.chars().map(plain).take(MAX_NAME).collect();
        let words: Vec<&str> = words.split_ascii_whitespace().collect();
        let wanted = if words.is_empty() { "document".to_owned() } else { words.join(" ") };
        let mut name = wanted.clone();
        for number in 2..=self.names.len() + 1 {
            if !self.names.contains(&name) {
                break;
            }
            name = format!("{wanted} ({number})");
        }
        self.names.push(name.clone());
        name
    }
}

fn image_format(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "image/jpeg" => "jpeg",
        "image/png" => "png",
        "image/gif" => "gif",
        "image/webp" => "webp",
        _ => return None,
    })
}

fn document_format(media_type: &str) -> Option<&'static str> {
    Some(match media_type {
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        "text/html" => "html",
        "text/plain" => "txt",
        "text/markdown" => "md",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        _ => return None,
    })
}

fn write_source(out: &mut Writer, kind: &str, format: &str, name: Option<&str>, data: &str) {
    out.object(|out| {
        out.put_object(kind, |out| {
            out.put_string("format", format);
            if let Some(name) = name {
                out.put_string("name", name);
            }
            out.put_object("source", |out| out.put_string("bytes", data));
        });
    });
}

/// A block of text.
pub fn text(out: &mut Writer, text: &str) {
    out.object(|out| out.put_string("text", text));
}

/// A text unchanged, unless it is blank, because blank texts are refused.
fn write_text(out: &mut Writer, text: Raw<'_>, trimmed: bool) {
    let Some(decoded) = text.string().filter(|text| !text.trim().is_empty()) else {
        return;
    };
    let end = decoded.trim_end();
    out.object(|out| match trimmed && end.len() < decoded.len() {
        true => out.put_string("text", end),
        false => out.put("text", text.json()),
    });
}

/// The model's earlier reasoning from the client. Without a signature it would be refused.
pub fn thoughts(out: &mut Writer, blocks: Raw<'_>) {
    blocks.items(|block| {
        let [kind, thinking, signature, data] = block.fields(["type", "thinking", "signature", "data"]);
        let signature = signature.filter(|signature| signature.is_string() && signature.json() != "\"\"");
        match (kind.and_then(Raw::string).as_deref(), thinking, signature, data) {
            (Some("thinking"), Some(thinking), Some(signature), _) => thought(out, |out| {
                out.put_object("reasoningText", |out| {
                    out.put("text", thinking.json());
                    out.put("signature", signature.json());
                });
            }),
            (Some("redacted_thinking"), _, _, Some(data)) => {
                thought(out, |out| out.put("redactedContent", data.json()));
            }
            (Some(_) | None, _, _, _) => {}
        }
    });
}

fn thought(out: &mut Writer, fields: impl FnOnce(&mut Writer)) {
    out.object(|out| out.put_object("reasoningContent", fields));
}
