//! What a request's conversation begins with: the first text of its user, and whether there are images and tools.

use super::start_of;
use crate::endpoint::Endpoint;
use crate::json::{JsonError, Scanner, Text, Value};

/// The longest text that is read, in bytes.
pub const MAX_OPENING: usize = 16 << 10;
/// The deepest parts that are read.
const MAX_DEPTH: u32 = 6;

/// The beginning of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// The first text of its user; the beginning of a long one.
    pub text: String,
    /// Whether it is cut off.
    pub is_cut: bool,
    /// Whether any message has an image.
    pub images: bool,
    /// Whether the request has tools.
    pub tools: bool,
    /// Whether the model has answered before.
    pub goes_on: bool,
}

/// Who says what comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    /// The user, for the first time.
    User,
    /// Anybody else, or the user again.
    Other,
}

impl Opening {
    /// Reads a body. Of one that is not JSON, or no conversation, it is empty.
    ///
    /// ```
    /// use sluice::{endpoint::Endpoint, kinds::Opening};
    ///
    /// let body = br#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}],"tools":[{}]}"#;
    /// let opening = Opening::of(Endpoint::ChatCompletions, body);
    /// assert_eq!((opening.text.as_str(), opening.tools, opening.images), ("hi", true, false));
    /// ```
    pub fn of(endpoint: Endpoint, body: &[u8]) -> Self {
        let mut opening = Opening::default();
        let mut seen = false;
        let mut scanner = Scanner::new(body);
        // an invalid body has been refused before
        let _ = scanner.object(|key, scanner| {
            let key = key.decode();
            match (&*key, endpoint) {
                ("messages" | "input" | "contents", _) => opening.messages(&mut seen, scanner),
                ("prompt", _) if !seen => {
                    seen = true;
                    opening.content(Speaker::User, MAX_DEPTH, scanner)
                }
                ("images", _) => {
                    let value = scanner.value()?;
                    opening.images |= matches!(value, Value::Array { empty: false });
                    Ok(())
                }
                ("tools" | "functions", _) => {
                    let value = scanner.value()?;
                    opening.tools |= matches!(value, Value::Array { empty: false });
                    Ok(())
                }
                _ => scanner.value().map(|_| ()),
            }
        });
        opening
    }

    /// The list of messages, or a text in its place.
    fn messages(&mut self, seen: &mut bool, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        if scanner.peek() != Some(b'[') {
            let speaker = if *seen { Speaker::Other } else { Speaker::User };
            *seen = true;
            return self.content(speaker, MAX_DEPTH, scanner);
        }
        scanner.array(|scanner| {
            let role = role(scanner.clone())?;
            let is_user = matches!(role.as_deref(), None | Some("user"));
            self.goes_on |= matches!(role.as_deref(), Some("assistant" | "model"));
            let speaker = if is_user && !*seen { Speaker::User } else { Speaker::Other };
            let before = self.text.len();
            self.content(speaker, MAX_DEPTH, scanner)?;
            // a message without text, such as a tool's result, is not the beginning
            *seen |= speaker == Speaker::User && self.text.len() > before;
            Ok(())
        })?;
        Ok(())
    }

    /// A text, a part, a message, or a list of them.
    fn content(&mut self, speaker: Speaker, depth: u32, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'"') => {
                if let (Value::String(text), Speaker::User) = (scanner.value()?, speaker) {
                    self.add(text);
                }
                Ok(())
            }
            Some(b'[') if depth > 0 => scanner.array(|scanner| self.content(speaker, depth - 1, scanner)).map(|_| ()),
            Some(b'{') if depth > 0 => scanner
                .object(|key, scanner| match &*key.decode() {
                    "content" | "parts" | "text" => self.content(speaker, depth - 1, scanner),
                    "image_url" | "inlineData" | "inline_data" | "fileData" | "file_data" | "source" => {
                        self.media(&key.decode(), scanner)
                    }
                    "images" => {
                        self.images |= matches!(scanner.value()?, Value::Array { empty: false });
                        Ok(())
                    }
                    "type" => {
                        if let Value::String(kind) = scanner.value()? {
                            self.images |= ["image", "image_url", "input_image"].iter().any(|name| kind.is(name));
                        }
                        Ok(())
                    }
                    _ => scanner.value().map(|_| ()),
                })
                .map(|_| ()),
            _ => scanner.value().map(|_| ()),
        }
    }

    /// The object of an image, or of another file.
    fn media(&mut self, name: &str, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        if name == "image_url" {
            self.images = true;
            return scanner.value().map(|_| ());
        }
        scanner
            .object(|key, scanner| {
                let value = scanner.value()?;
                let is_type = ["mimeType", "mime_type", "media_type"].iter().any(|name| key.is(name));
                if let (true, Value::String(kind)) = (is_type, value) {
                    self.images |= kind.decode().starts_with("image/");
                }
                Ok(())
            })
            .map(|_| ())
    }

    fn add(&mut self, text: Text<'_>) {
        // also a line's end takes room, and nothing follows a text that is cut off
        if self.is_cut || self.text.len() >= MAX_OPENING {
            self.is_cut |= !text.raw().is_empty();
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let room = MAX_OPENING.saturating_sub(self.text.len());
        let text = text.decode();
        let start = start_of(&text, room);
        self.is_cut |= start.len() < text.len();
        self.text.push_str(start);
    }
}

/// The role of a message; of an item without one, none.
fn role(mut scanner: Scanner<'_>) -> Result<Option<String>, JsonError> {
    let mut role = None;
    scanner.object(|key, scanner| {
        let value = scanner.value()?;
        if let Value::String(text) = value {
            if key.is("role") {
                role = Some(text.decode().into_owned());
            } else if key.is("type") && role.is_none() && text.raw().starts_with(b"function_call") {
                role = Some("tool".to_owned());
            }
        }
        Ok(())
    })?;
    Ok(role)
}
