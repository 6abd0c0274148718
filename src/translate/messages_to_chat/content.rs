//! The blocks of one message: texts, images, documents.

use crate::error::ApiError;
use crate::translate::chat::{texts, Parts};
use crate::translate::invalid;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// Adds a block: the `number`th of message `index`.
pub fn add(parts: &mut Parts, block: Raw<'_>, index: usize, number: usize) -> Result<(), ApiError> {
    let wrong = |problem: String| Err(invalid("messages", format!("`messages[{index}].content[{number}]`{problem}")));
    let [kind, text, source, title, content] = block.fields(["type", "text", "source", "title", "content"]);
    match kind.and_then(Raw::string).as_deref() {
        Some("text") => match text.filter(|text| text.is_string()) {
            Some(text) => parts.text(text),
            None => return wrong(".text is missing.".into()),
        },
        Some("image") => match source.and_then(url_of) {
            Some(url) => parts.part(|out| {
                out.put_string("type", "image_url");
                out.put_object("image_url", |out| out.put_string("url", &url));
            }),
            None => return wrong(".source: an image must be in the request (`base64`) or have a `url`.".into()),
        },
        Some("document") => {
            let source_text = source.filter(|source| source.text("type").as_deref() == Some("text"));
            if let Some(data) = source_text.and_then(|source| source.field("data")) {
                parts.text(data);
            } else if let Some(url) = source.and_then(url_of).filter(|url| url.starts_with("data:")) {
                parts.part(|out| {
                    out.put_string("type", "file");
                    out.put_object("file", |out| {
                        match title.filter(|title| title.is_string()) {
                            Some(title) => out.put("filename", title.json()),
                            None => out.put_string("filename", "document.pdf"),
                        }
                        out.put_string("file_data", &url);
                    });
                });
            } else {
                return wrong(".source: a document must be in the request (`base64` or `text`).".into());
            }
        }
        Some("search_result") => {
            let mut json = Writer::default();
            json.string(&texts(content));
            if let Some(text) = Raw::parse(json.as_str().as_bytes()) {
                parts.text(text);
            }
        }
        Some(kind) => {
            let kind: String = kind.chars().filter(|character| !character.is_control()).take(40).collect();
            return wrong(format!(".type: `{kind}` cannot be passed on to this model."));
        }
        None => return wrong(".type is missing.".into()),
    }
    Ok(())
}

/// A source's URL: its own, or a data URL.
fn url_of(source: Raw<'_>) -> Option<String> {
    let [kind, media_type, data, url] = source.fields(["type", "media_type", "data", "url"]);
    match kind?.string()?.as_ref() {
        "base64" => Some(format!("data:{};base64,{}", media_type?.string()?, data?.string()?)),
        "url" => Some(url?.string()?.into_owned()),
        _ => None,
    }
}
