//! How long a prompt is, told from its JSON.
//!
//! Whatever a model may be shown counts: a client that could hide its prompt from the estimate would. So all strings
//! count, but for short ids and settings, and for data in the parts that hold images, sounds and files.

use std::ops::AddAssign;

use memchr::memmem;

use super::estimate::{length, BYTES_PER_TOKEN};
use crate::json::{JsonError, Scanner, Text, Value};

/// How deeply the parts of a prompt are looked into; real ones stay under 8. What is deeper counts as it stands.
const MAX_DEPTH: u32 = 12;
/// The longest id. What is longer counts, whatever its field is called.
const MAX_SETTING: u64 = 64;
/// What an image or a sound counts for at most, in bytes of text: some hundred tokens, about what it takes.
const MAX_MEDIA: u64 = 2048;
/// A document counts for its length by this: a page takes some ten bytes for each byte of its text.
const DOCUMENT_SHARE: u64 = 16;
/// How far the beginning of a data URL reaches, and how much tells base64 from text.
const BEGINNING: usize = 256;

/// How long a prompt is, or a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PromptLength {
    /// In bytes of text.
    pub(crate) text: u64,
    /// How many bytes of its JSON do not count: they are images, sounds and files.
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

    /// Of a string that stands where the bytes of an image, a sound or a file belong.
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

/// What a model makes of a part.
enum Media {
    /// It sees or hears it; so is a part of which nothing is said.
    Perceived,
    /// It is shown the pages.
    Document,
    /// It is shown the text.
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

/// Told by its beginning: whoever has put text behind it gets no answer to the text.
fn is_base64(bytes: &[u8]) -> bool {
    let beginning = bytes.get(..BEGINNING).unwrap_or(bytes);
    beginning
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\'))
}

/// The length of the next value, which is a prompt or a part of one; it is scanned over. A number is a token by itself:
/// some clients send what they have tokenized.
///
/// # Errors
/// Whatever makes it no JSON.
pub(crate) fn length_of_prompt(scanner: &mut Scanner<'_>) -> Result<PromptLength, JsonError> {
    within(scanner, MAX_DEPTH, Place::Part)
}

/// The length of the next value, which holds nothing but images.
///
/// # Errors
/// Whatever makes it no JSON.
pub(crate) fn length_of_images(scanner: &mut Scanner<'_>) -> Result<PromptLength, JsonError> {
    within(scanner, MAX_DEPTH, Place::Payload)
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a message, or a part of one.
    Part,
    /// In an object that holds an image, a sound or a file.
    Media,
    /// Where its bytes belong.
    Payload,
    /// In what a tool was given, or gave: what a field is called there means nothing.
    Opaque,
}

/// What a field's name says.
#[derive(Clone, Copy)]
enum Name {
    /// An id, a role, a setting.
    Setting,
    /// The same, and it is the type of a part.
    Type,
    /// The same, and it is what its bytes are.
    Mime,
    /// It holds an image, a sound or a file.
    Media,
    /// It holds its bytes, within such an object.
    Bytes,
    /// It holds the bytes wherever it stands.
    Payload,
    /// It holds what a tool was given, or gave.
    Opaque,
    /// It says nothing.
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

impl Place {
    /// The place of a field's value.
    fn inner(self, name: Name) -> Self {
        match (self, name) {
            (Place::Opaque, _) | (_, Name::Opaque) => Place::Opaque,
            (Place::Media | Place::Payload, Name::Bytes) | (_, Name::Payload) => Place::Payload,
            (_, Name::Media) => Place::Media,
            (_, Name::Setting | Name::Type | Name::Mime | Name::Bytes | Name::Other) => Place::Part,
        }
    }
}

fn within(scanner: &mut Scanner<'_>, depth: u32, place: Place) -> Result<PromptLength, JsonError> {
    let mut sum = PromptLength::default();
    match (scanner.peek(), depth.checked_sub(1)) {
        (Some(b'['), Some(depth)) => {
            scanner.array(|scanner| {
                sum += within(scanner, depth, place)?;
                Ok(())
            })?;
        }
        (Some(b'{'), Some(depth)) => sum = object(scanner, depth, place)?,
        _ => {
            let (value, span) = scanner.spanned()?;
            sum = match value {
                Value::String(text) if place == Place::Payload => PromptLength::of_payload(text, None),
                // Responses has the URL where others have an object
                Value::String(text) if place == Place::Media && text.raw().starts_with(b"data:") => {
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

fn object(scanner: &mut Scanner<'_>, depth: u32, place: Place) -> Result<PromptLength, JsonError> {
    let mut sum = PromptLength::default();
    let (mut payload, mut mime, mut is_text) = (None, None, false);
    scanner.object(|key, scanner| {
        let name = Name::of(key.raw());
        let inner = place.inner(name);
        sum += setting(key);
        match (name, scanner.peek()) {
            (Name::Setting | Name::Type | Name::Mime, Some(b'"' | b'0'..=b'9')) if place != Place::Opaque => {
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
            (_, Some(b'"')) if inner == Place::Payload => {
                if let Value::String(text) = scanner.value()? {
                    // of several, the type is one's
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

/// A short one is free.
fn setting(text: Text<'_>) -> PromptLength {
    match length(text.raw()) {
        0..=MAX_SETTING => PromptLength::default(),
        long => PromptLength::of_text(long),
    }
}
