//! A chat answer in the form of a text endpoint's answer.

use std::time::Duration;

use super::questions::questions;
use crate::prompts::Kind;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// What is left to do with the answer to a chat request that was one to a text endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    kind: Kind,
    /// The client's text, if the answer repeats it.
    text: Option<String>,
}

impl Task {
    /// The answer of `kind` about this text.
    pub fn new(kind: Kind, text: Option<String>) -> Self {
        Task { kind, text }
    }

    /// The endpoint.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The endpoint's answer, from a chat completion; `time`: how long it took. `None`: it is not one.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sluice::prompts::Kind;
    /// use sluice::texts::Task;
    ///
    /// let task = Task::new(Kind::Translation, Some("Hallo".into()));
    /// let chat = br#"{"choices":[{"message":{"content":"Hello"}}]}"#;
    /// let answer = task.answer(chat, Duration::from_millis(1500)).unwrap();
    /// assert_eq!(
    ///     String::from_utf8(answer).unwrap(),
    ///     r#"{"response":[{"original":"Hallo","translated":"Hello"}],"generation_time":1.500}"#
    /// );
    /// ```
    pub fn answer(&self, chat: &[u8], time: Duration) -> Option<Vec<u8>> {
        let content = content(Raw::parse(chat)?)?;
        let mut out = Writer::with_capacity(chat.len());
        out.object(|out| {
            match self.kind {
                Kind::Article | Kind::FullArticle => {
                    out.put_object("response", |out| out.put_string("article_text", &content));
                }
                Kind::Answer => out.put_string("response", &content),
                Kind::Questions | Kind::Translation | Kind::Simplification => {
                    out.put_array("response", |out| self.item(out, &content));
                }
            }
            put_time(out, time);
        });
        Some(out.into_bytes())
    }

    fn item(&self, out: &mut Writer, content: &str) {
        match (self.kind, text_field(self.kind)) {
            (Kind::Questions, Some(name)) => out.object(|out| {
                out.put_string(name, self.text.as_deref().unwrap_or_default());
                out.put_array("questions", |out| questions(content).into_iter().for_each(|one| out.string(one)));
            }),
            (_, Some(name)) => out.object(|out| {
                out.put_string(name, self.text.as_deref().unwrap_or_default());
                out.put_string("translated", content);
            }),
            (_, None) => out.string(content),
        }
    }
}

/// The field of an answer's item with the client's text.
pub(super) fn text_field(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Questions => Some("text"),
        Kind::Translation => Some("original"),
        Kind::Simplification | Kind::Article | Kind::FullArticle | Kind::Answer => None,
    }
}

pub(super) fn put_time(out: &mut Writer, time: Duration) {
    out.put("generation_time", &format!("{:.3}", time.as_secs_f64()));
}

/// The text of a chat completion. Some servers write it in parts.
fn content(chat: Raw<'_>) -> Option<String> {
    let message = chat.field("choices")?.first()?.field("message")?;
    let Some(content) = message.field("content").or_else(|| message.field("refusal")) else {
        return Some(String::new());
    };
    if !content.is_array() {
        return content.string().map(|text| text.into_owned());
    }
    let mut text = String::new();
    content.items(|part| text.push_str(part.text("text").as_deref().unwrap_or_default()));
    Some(text)
}
