//! The blocks of one message: texts, images, documents.

use crate::error::ApiError;
use crate::translate::invalid;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The parts of a user's message.
#[derive(Default)]
pub struct Parts {
    parts: Writer,
    /// The only part there is, if it is a text: many servers take a string more gladly than a list.
    only_text: Option<String>,
    count: usize,
}

impl Parts {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a text, as it was written.
    pub fn text(&mut self, text: Raw<'_>) {
        if text.json() == "\"\"" {
            return;
        }
        self.count += 1;
        self.only_text = (self.count == 1).then(|| text.json().to_owned());
        self.parts.object(|out| {
            out.put_string("type", "text");
            out.put("text", text.json());
        });
    }

    /// Adds a block: the `number`th of message `index`.
    pub fn add(&mut self, block: Raw<'_>, index: usize, number: usize) -> Result<(), ApiError> {
        let wrong =
            |problem: String| Err(invalid("messages", format!("`messages[{index}].content[{number}]`{problem}")));
        let [kind, text, source, title, content] = block.fields(["type", "text", "source", "title", "content"]);
        match kind.and_then(Raw::string).as_deref() {
            Some("text") => match text.filter(|text| text.is_string()) {
                Some(text) => self.text(text),
                None => return wrong(".text is missing.".into()),
            },
            Some("image") => match source.and_then(url_of) {
                Some(url) => self.part(|out| {
                    out.put_string("type", "image_url");
                    out.put_object("image_url", |out| out.put_string("url", &url));
                }),
                None => return wrong(".source: an image must be in the request (`base64`) or have a `url`.".into()),
            },
            Some("document") => {
                let source_text = source.filter(|source| source.text("type").as_deref() == Some("text"));
                if let Some(data) = source_text.and_then(|source| source.field("data")) {
                    self.text(data);
                } else if let Some(url) = source.and_then(url_of).filter(|url| url.starts_with("data:")) {
                    self.part(|out| {
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
                    self.text(text);
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

    /// Writes `content`.
    pub fn write(&self, out: &mut Writer) {
        match &self.only_text {
            Some(text) => out.put("content", text),
            None => out.put_array("content", |out| out.raw(self.parts.as_str())),
        }
    }

    fn part(&mut self, fields: impl FnOnce(&mut Writer)) {
        self.count += 1;
        self.only_text = None;
        self.parts.object(fields);
    }
}

/// The URL of a source: its own, or one with its data in it.
fn url_of(source: Raw<'_>) -> Option<String> {
    let [kind, media_type, data, url] = source.fields(["type", "media_type", "data", "url"]);
    match kind?.string()?.as_ref() {
        "base64" => Some(format!("data:{};base64,{}", media_type?.string()?, data?.string()?)),
        "url" => Some(url?.string()?.into_owned()),
        _ => None,
    }
}

/// The texts of a string or of blocks, a line each.
pub fn texts(content: Option<Raw<'_>>) -> String {
    joined(content, "\n")
}

/// The texts of an assistant's turn, which citations may have split.
pub fn said(content: Option<Raw<'_>>) -> String {
    joined(content, "")
}

fn joined(content: Option<Raw<'_>>, separator: &str) -> String {
    let Some(content) = content else {
        return String::new();
    };
    if let Some(text) = content.string() {
        return text.into_owned();
    }
    let mut all = String::new();
    content.items(|block| {
        let [kind, text] = block.fields(["type", "text"]);
        let is_text = kind.is_none_or(|kind| kind.json() == r#""text""#);
        if let Some(text) = text.filter(|_| is_text).and_then(Raw::string) {
            if !all.is_empty() {
                all.push_str(separator);
            }
            all.push_str(&text);
        }
    });
    all
}
