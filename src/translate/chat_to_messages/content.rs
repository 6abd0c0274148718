//! The parts of one message: texts, images, documents, reasoning.

use crate::base64::decode_standard;
use crate::error::ApiError;
use crate::translate::data_url::DataUrl;
use crate::translate::invalid;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The image types that Anthropic supports.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// A message's position, for errors, and its settings.
#[derive(Clone, Copy)]
pub struct MessageContext<'a> {
    /// Its number.
    pub index: usize,
    /// It is marked for the prompt cache, and so is its last block (LiteLLM's extension).
    pub mark: Option<Raw<'a>>,
    /// It must not end in white space, because it is the beginning of the answer.
    pub trimmed: bool,
}

/// A block of text.
pub fn text(out: &mut Writer, text: &str) {
    out.object(|out| {
        out.put_string("type", "text");
        out.put_string("text", text);
    });
}

/// The content of a system prompt, which may only have texts.
pub fn instruction(out: &mut Writer, content: Option<Raw<'_>>, context: &MessageContext<'_>) -> Result<(), ApiError> {
    match content {
        Some(content) if content.is_array() => content.each(|number, part| match part.field("text") {
            Some(text) => {
                write_text(out, text, part.field("cache_control").or(context.mark), false);
                Ok(())
            }
            None => {
                let index = context.index;
                let text = format!("`messages[{index}].content[{number}]`: system messages have only texts.");
                Err(invalid("messages", text))
            }
        }),
        Some(content) => {
            write_text(out, content, context.mark, false);
            Ok(())
        }
        None => Ok(()),
    }
}

/// The content of any other message.
pub fn parts(out: &mut Writer, content: Option<Raw<'_>>, context: &MessageContext<'_>) -> Result<(), ApiError> {
    match content {
        Some(content) if content.is_array() => content.each(|number, each| part(out, each, number, context)),
        Some(content) if content.is_string() => {
            write_text(out, content, context.mark, context.trimmed);
            Ok(())
        }
        Some(_) => {
            let text = format!("`messages[{}].content` must be a string or an array of parts.", context.index);
            Err(invalid("messages", text))
        }
        None => Ok(()),
    }
}

fn part(out: &mut Writer, part: Raw<'_>, number: usize, context: &MessageContext<'_>) -> Result<(), ApiError> {
    let mark = part.field("cache_control").or(context.mark).filter(|mark| mark.is_object());
    let wrong =
        |problem: &str| Err(invalid("messages", format!("`messages[{}].content[{number}]`{problem}", context.index)));
    if part.is_string() {
        write_text(out, part, mark, context.trimmed);
        return Ok(());
    }
    let kind = part.text("type");
    match kind.as_deref() {
        Some("text" | "refusal" | "input_text" | "output_text") => {
            if let Some(text) = part.field("text").or(part.field("refusal")) {
                write_text(out, text, mark, context.trimmed);
            }
            Ok(())
        }
        Some("image_url") => {
            let image = part.field("image_url");
            let url = image.and_then(|image| image.text("url").or_else(|| image.string()));
            let Some(url) = url else {
                return wrong(".image_url.url is missing.");
            };
            match image_source(&url) {
                Some(kind) => write_source(out, kind, &url, None, mark),
                None => return wrong(": images must be JPEG, PNG, GIF or WebP, in a data URL or by http(s)."),
            }
            Ok(())
        }
        Some("file") => {
            let Some(file) = part.field("file") else {
                return wrong(".file is missing.");
            };
            let [data, title] = file.fields(["file_data", "filename"]);
            match data.and_then(Raw::string) {
                Some(data) if is_document(&data) => write_source(out, "document", &data, title, mark),
                Some(_) => return wrong(".file.file_data: only PDF and plain text can be passed on to this model."),
                None => {
                    return wrong(".file: a file must be in the request (`file_data`); ids are its provider's own.")
                }
            }
            Ok(())
        }
        Some(kind) => {
            let kind: String = kind.chars().filter(|character| !character.is_control()).take(40).collect();
            wrong(&format!(".type: `{kind}` cannot be passed on to this model."))
        }
        None => wrong(".type is missing."),
    }
}

/// The block type for this URL; `None` if there is none.
fn image_source(url: &str) -> Option<&'static str> {
    match DataUrl::parse(url) {
        Some(data) if IMAGES.contains(&data.media_type) => Some("image"),
        Some(data) if data.media_type == "application/pdf" => Some("document"),
        Some(_) => None,
        None if !url.starts_with("http://") && !url.starts_with("https://") => None,
        None => {
            let path = url.split(['?', '#']).next().unwrap_or_default();
            Some(if path.to_ascii_lowercase().ends_with(".pdf") { "document" } else { "image" })
        }
    }
}

fn is_document(data: &str) -> bool {
    DataUrl::parse(data).is_some_and(|data| matches!(data.media_type, "application/pdf" | "text/plain"))
}

/// A block with its data, or its address, in a URL.
fn write_source(out: &mut Writer, kind: &str, url: &str, title: Option<Raw<'_>>, mark: Option<Raw<'_>>) {
    out.object(|out| {
        out.put_string("type", kind);
        out.put_object("source", |out| match DataUrl::parse(url) {
            Some(data) if data.media_type == "text/plain" => {
                let text = decode_standard(data.data).unwrap_or_default();
                out.put_string("type", "text");
                out.put_string("media_type", data.media_type);
                out.put_string("data", &String::from_utf8_lossy(&text));
            }
            Some(data) => {
                out.put_string("type", "base64");
                out.put_string("media_type", data.media_type);
                out.put_string("data", data.data);
            }
            None => {
                out.put_string("type", "url");
                out.put_string("url", url);
            }
        });
        if let Some(title) = title.filter(|title| title.is_string()) {
            out.put("title", title.json());
        }
        if let Some(mark) = mark {
            out.put("cache_control", mark.json());
        }
    });
}

/// A text unchanged, unless it is blank, because blank texts are refused.
fn write_text(out: &mut Writer, text: Raw<'_>, mark: Option<Raw<'_>>, trimmed: bool) {
    let Some(decoded) = text.string().filter(|text| !text.trim().is_empty()) else {
        return;
    };
    let end = decoded.trim_end();
    out.object(|out| {
        out.put_string("type", "text");
        match trimmed && end.len() < decoded.len() {
            true => out.put_string("text", end),
            false => out.put("text", text.json()),
        }
        if let Some(mark) = mark.filter(|mark| mark.is_object()) {
            out.put("cache_control", mark.json());
        }
    });
}

/// The model's earlier reasoning from the client: LiteLLM's `thinking_blocks`, or a text and its signature. Without a
/// signature it would be refused.
pub fn thoughts(out: &mut Writer, blocks: Option<Raw<'_>>, text: Option<Raw<'_>>, signature: Option<Raw<'_>>) {
    if let Some(blocks) = blocks {
        blocks.items(|block| {
            let [kind, thinking, signature, data] = block.fields(["type", "thinking", "signature", "data"]);
            let signed = signature.and_then(Raw::string).is_some_and(|signature| !signature.is_empty());
            match (kind.and_then(Raw::string).as_deref(), thinking, signature, data) {
                (Some("thinking"), Some(thinking), Some(signature), _) if signed => {
                    write_thought(out, thinking, signature);
                }
                (Some("redacted_thinking"), _, _, Some(data)) => out.object(|out| {
                    out.put_string("type", "redacted_thinking");
                    out.put("data", data.json());
                }),
                (Some(_) | None, _, _, _) => {}
            }
        });
    } else if let (Some(text), Some(signature)) = (text, signature) {
        if text.is_string() && signature.is_string() {
            write_thought(out, text, signature);
        }
    }
}

fn write_thought(out: &mut Writer, thinking: Raw<'_>, signature: Raw<'_>) {
    out.object(|out| {
        out.put_string("type", "thinking");
        out.put("thinking", thinking.json());
        out.put("signature", signature.json());
    });
}
