//! The texts of a request in any dialect: how long they are, and which one to echo.

use serde::Deserialize;

use crate::tokens;

/// Text in the forms that the dialects allow: a string, or a list of parts, some with text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// One part; a part without text (an image) counts as no tokens.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Part {
    Bare(String),
    Typed { text: Option<String> },
}

impl Part {
    fn text(&self) -> &str {
        match self {
            Part::Bare(text) => text,
            Part::Typed { text } => text.as_deref().unwrap_or_default(),
        }
    }
}

impl Content {
    fn text(&self) -> String {
        match self {
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => parts.iter().map(Part::text).collect(),
        }
    }
}

/// A message of the chat dialects.
#[derive(Debug, Deserialize)]
pub struct Message {
    role: String,
    content: Option<Content>,
}

/// The total of the texts.
#[derive(Debug, Default)]
pub struct Prompt {
    pub tokens: u64,
    pub last_user_text: String,
}

impl Prompt {
    /// Adds text that is not echoed: a system prompt.
    pub fn instructed(mut self, content: Option<&Content>) -> Self {
        self.tokens += content.map_or(0, |content| tokens::count(&content.text()));
        self
    }

    /// Adds text from the user; the last one is echoed.
    pub fn said(mut self, content: &Content) -> Self {
        let text = content.text();
        self.tokens += tokens::count(&text);
        self.last_user_text = text;
        self
    }

    /// A conversation.
    pub fn conversed(self, messages: &[Message]) -> Self {
        messages.iter().fold(self, |prompt, message| match (&message.content, message.role.as_str()) {
            (Some(content), "user") => prompt.said(content),
            (content, _) => prompt.instructed(content.as_ref()),
        })
    }
}
