//! The content of a message: texts, and the images and files with them.

use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The parts of a message.
#[derive(Default)]
pub(in crate::translate) struct Parts {
    parts: Writer,
    /// The only part, if it is a text: many servers accept a string better than a list.
    only_text: Option<String>,
    count: usize,
}

impl Parts {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a text as written.
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

    /// Adds a part that is not text.
    pub fn part(&mut self, fields: impl FnOnce(&mut Writer)) {
        self.count += 1;
        self.only_text = None;
        self.parts.object(fields);
    }

    /// Writes `content`.
    pub fn write(&self, out: &mut Writer) {
        match &self.only_text {
            Some(text) => out.put("content", text),
            None => out.put_array("content", |out| out.raw(self.parts.as_str())),
        }
    }
}

/// The texts of a string or of parts, one per line.
pub(in crate::translate) fn texts(content: Option<Raw<'_>>) -> String {
    joined(content, "\n")
}

/// The texts of an assistant's turn, which citations may have split.
pub(in crate::translate) fn said(content: Option<Raw<'_>>) -> String {
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
