//! A prompt's length, computed from its JSON.
//!
//! Everything that a model may see counts, because otherwise clients could hide a prompt from the estimate. So all
//! strings count, except short ids and settings, and data in parts with images, audio and files.

use std::ops::AddAssign;

use memchr::memmem;

use super::estimate::{length, BYTES_PER_TOKEN};
use crate::json::{JsonError, Scanner, Text, Value};

/// The maximum depth of a prompt's parts; real ones stay under 8. Deeper parts count by length.
const MAX_DEPTH: u32 = 12;
/// The longest id. Longer values count, whatever their field's name.
const MAX_SETTING: u64 = 64;
/// The maximum count of an image or sound, in bytes of text: some hundred tokens, about its real use.
const MAX_MEDIA: u64 = 2048;
/// A document counts by its length divided by this: a page has about ten bytes for each byte of its text.
const DOCUMENT_SHARE: u64 = 16;
/// The maximum length of a data URL's prefix, and of the sample that distinguishes base64 from text.
const BEGINNING: usize = 256;

/// The length of a prompt or of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PromptLength {
    /// In bytes of text.
    pub(crate) text: u64,
    /// The JSON bytes that do not count: images, audio and files.
    pub(crate) data: u64,
}

impl AddAssign for PromptLength {
    fn add_assign(&mut self, more: Self) {
        self.text = self.text.saturating_add(more.text);
        self.data = self.data.saturating_add(more.data);
    }
}

impl PromptLength {
    /// Text alone.
    pub(crate) fn of_text(bytes: u64) -> Self {
        PromptLength { text: bytes, data: 0 }
    }

    fn of_string(text: Text<'_>) -> Self {
        PromptLength::of_text(length(text.raw()))
    }

    /// The length of a string in the place of an image's, a sound's or a file's bytes.
    fn of_payload(text: Text<'_>, mime: Option<Text<'_>>) -> Self {
        let raw = text.raw();
        let (mime, base64) = match raw.strip_prefix(b"data:") {
            None => (mime.map(|mime| mime.raw()), raw),
            Some(url) => {
                let beginning = url.get(..BEGINNING).unwrap_or(url);
                let Some(end) = memmem::find(beginning, b";base64,") else {
                    return PromptLength::of_string(text);
                };
                (url.get(..end), url.get(end + b";base64,".len()..).unwrap_or_default())
            }
        };
        if !is_base64(base64) {
            return PromptLength::of_string(text);
        }
        let bytes = base64.len() as u64;
        let counted = match Media::of(mime.unwrap_or_default()) {
            Media::Perceived => bytes.min(MAX_MEDIA),
            Media::Document => bytes.min(MAX_MEDIA).max(bytes / DOCUMENT_SHARE),
            Media::Read => bytes / 4 * 3,
        };
        PromptLength { text: counted, data: bytes - counted }
    }
}

/// How a model uses a part.
enum Media {
    /// It sees or hears it; also for parts without a type.
    Perceived,
    /// It gets the pages.
    Document,
    /// It gets the text.
    Read,
}

impl Media {
    fn of(mime: &[u8]) -> Self {
        let is = |kind: &[u8]| mime.starts_with(kind);
        if mime.is_empty() || is(b"image/") || is(b"audio/") || is(b"video/") {
            Media::Perceived
        } else if is(b"application/pdf") {
            Media::Document
        } else {
            Media::Read
        }
    }
}

/// Recognised by its beginning: text hidden after it gets no answer.
fn is_base64(bytes: &[u8]) -> bool {
    let beginning = bytes.get(..BEGINNING).unwrap_or(bytes);
    beginning
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\'))
}

/// The length of the next value, which is a prompt or a part of one; it is skipped. A number is one token: some clients
/// send token ids.
///
/// # Errors
/// Invalid JSON.
pub(crate) fn length_of_prompt(scanner: &mut Scanner<'_>) -> Result<PromptLength, JsonError> {
    within(scanner, MAX_DEPTH, ValueContext::Part)
}

/// The length of the next value, which only holds images.
///
/// # Errors
/// Invalid JSON.
pub(crate) fn length_of_images(scanner: &mut Scanner<'_>) -> Result<PromptLength, JsonError> {
    within(scanner, MAX_DEPTH, ValueContext::Payload)
}

/// The place of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValueContext {
    /// In a message, or a part of one.
    Part,
    /// In an object with an image, a sound or a file.
    Media,
    /// In the place of its bytes.
    Payload,
    /// In a tool's arguments or result: field names have no meaning there.
    Opaque,
}

/// The meaning of a field's name.
#[derive(Clone, Copy)]
enum Name {
    /// An id, a role, a setting.
    Setting,
    /// The same, and the type of a part.
    Type,
    /// The same, and the type of its bytes.
    Mime,
    /// An image, a sound or a file.
    Media,
    /// Its bytes, inside such an object.
    Bytes,
    /// Its bytes, in any place.
    Payload,
    /// A tool's arguments or result.
    Opaque,
    /// No meaning.
    Other,
}

impl Name {
    fn of(key: &[u8]) -> Self {
        match key {
            b"type" => Name::Type,
            b"media_type" | b"mimeType" | b"mime_type" => Name::Mime,
            b"role" | b"id" | b"name" | b"status" | b"object" | b"index" | b"model" | b"phase" | b"call_id"
            | b"tool_call_id" | b"tool_use_id" | b"format" | b"detail" | b"filename" | b"file_id" | b"fileUri"
            | b"ttl" => Name::Setting,
            b"image_url" | b"input_audio" | b"file" | b"source" | b"inlineData" | b"inline_data" | b"audio"
            | b"video" | b"video_url" | b"audio_url" => Name::Media,
            b"data" | b"url" => Name::Bytes,
            b"file_data" | b"images" => Name::Payload,
            b"input" | b"args" | b"arguments" | b"response" => Name::Opaque,
            _ => Name::Other,
        }
    }
}

impl ValueContext {
    /// The place of a field's value.
    fn inner(self, name: Name) -> Self {
        match (self, name) {
            (ValueContext::Opaque, _) | (_, Name::Opaque) => ValueContext::Opaque,
            (ValueContext::Media | ValueContext::Payload, Name::Bytes) | (_, Name::Payload) => ValueContext::Payload,
            (_, Name::Media) => ValueContext::Media,
            (_, Name::Setting | Name::Type | Name::Mime | Name::Bytes | Name::Other) => ValueContext::Part,
        }
    }
}

fn within(scanner: &mut Scanner<'_>, depth: u32, context: ValueContext) -> Result<PromptLength, JsonError> {
    let mut sum = PromptLength::default();
    match (scanner.peek(), depth.checked_sub(1)) {
        (Some(b'['), Some(depth)) => {
            scanner.array(|scanner| {
                sum += match scanner.peek() {
                    // a list of tokens has very many
                    Some(b'0'..=b'9') => scanner.value().map(|_| PromptLength::of_text(BYTES_PER_TOKEN))?,
                    _ => within(scanner, depth, context)?,
                };
                Ok(())
            })?;
        }
        (Some(b'{'), Some(depth)) => sum = object(scanner, depth, context)?,
        _ => {
            let (value, span) = scanner.spanned()?;
            sum = match value {
                Value::String(text) if context == ValueContext::Payload => PromptLength::of_payload(text, None),
                // Responses has the URL itself, others have an object
                Value::String(text) if context == ValueContext::Media && text.raw().starts_with(b"data:") => {
                    PromptLength::of_payload(text, None)
                }
                Value::String(text) => PromptLength::of_string(text),
                Value::Number(_) => PromptLength::of_text(BYTES_PER_TOKEN),
                Value::Array { .. } | Value::Object => PromptLength::of_text(span.len() as u64),
                Value::Null | Value::Bool(_) => PromptLength::default(),
            };
        }
    }
    Ok(sum)
}

fn object(scanner: &mut Scanner<'_>, depth: u32, context: ValueContext) -> Result<PromptLength, JsonError> {
    let mut sum = PromptLength::default();
    let (mut payload, mut mime, mut is_text) = (None, None, false);
    scanner.object(|key, scanner| {
        let name = Name::of(key.raw());
        let inner = context.inner(name);
        sum += setting(key);
        match (name, scanner.peek()) {
            (Name::Setting | Name::Type | Name::Mime, Some(b'"' | b'0'..=b'9')) if context != ValueContext::Opaque => {
                let Value::String(text) = scanner.value()? else {
                    return Ok(());
                };
                sum += setting(text);
                match name {
                    Name::Mime => mime = Some(text),
                    Name::Type => is_text = text.raw() == b"text",
                    Name::Setting | Name::Media | Name::Bytes | Name::Payload | Name::Opaque | Name::Other => {}
                }
            }
            (_, Some(b'"')) if inner == ValueContext::Payload => {
                if let Value::String(text) = scanner.value()? {
                    // if it is repeated, any of them may be the type
                    sum += payload.replace(text).map_or(PromptLength::default(), PromptLength::of_string);
                }
            }
            _ => sum += within(scanner, depth, inner)?,
        }
        Ok(())
    })?;
    sum += match payload {
        Some(text) if is_text => PromptLength::of_string(text),
        Some(text) => PromptLength::of_payload(text, mime),
        None => PromptLength::default(),
    };
    Ok(sum)
}

/// A short one does not count.
fn setting(text: Text<'_>) -> PromptLength {
    match length(text.raw()) {
        0..=MAX_SETTING => PromptLength::default(),
        long => PromptLength::of_text(long),
    }
}
