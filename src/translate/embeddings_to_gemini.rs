//! OpenAI's embeddings for a server with Google's Gemini API.
//!
//! Sources: OpenAI's API reference ("Create embeddings"), Google's (`models.batchEmbedContents`).

use super::dropped::Dropped;
use super::raw::Raw;
use super::writer::Writer;
use super::{invalid, Notes, Reply, Target, Translated, TranslatedAnswer, Unreadable};
use crate::base64::encode_standard;
use crate::error::ApiError;
use crate::usage::{EventKind, UsageReading};

/// Translates a request that is known to be a JSON object. One text is a batch of one.
pub(super) fn request(body: &[u8], target: &Target<'_>) -> Result<Translated, ApiError> {
    let body = super::body(body)?;
    let mut dropped = Dropped::default();
    let [input, dimensions, format] =
        body.fields_and_rest(["input", "dimensions", "encoding_format"], |name, value| {
            if name != "model" && !value.is_nothing() {
                dropped.add(name);
            }
        });
    let input = input.ok_or_else(|| invalid("input", "`input` is missing."))?;
    let dimensions = dimensions.map(|number| number.count().ok_or(())).transpose();
    let dimensions = dimensions.map_err(|()| invalid("dimensions", "`dimensions` must be a number."))?;
    let base64 = match format.and_then(Raw::string).as_deref() {
        None if format.is_none() => false,
        Some("float") => false,
        Some("base64") => true,
        _ => return Err(invalid("encoding_format", "`encoding_format` must be \"float\" or \"base64\".")),
    };
    let model = ["models/", target.model].concat();
    let mut inputs = 0;
    let mut out = Writer::with_capacity(input.json().len() + 256);
    let mut add = |out: &mut Writer, text: Raw<'_>| {
        inputs += 1;
        let text = text.is_string().then_some(text).ok_or_else(|| {
            let message = "`input`: this model's provider takes texts, no tokens: send a string, or a list of strings.";
            invalid("input", message)
        })?;
        out.object(|out| {
            out.put_string("model", &model);
            out.put_object("content", |out| {
                out.put_array("parts", |out| out.object(|out| out.put("text", text.json())));
            });
            if let Some(dimensions) = dimensions {
                out.put_number("outputDimensionality", dimensions);
            }
        });
        Ok(())
    };
    let mut added = Ok(());
    out.object(|out| {
        out.put_array("requests", |out| {
            added = match input.is_array() {
                true => input.each(|_, text| add(out, text)),
                false => add(out, input),
            };
        });
    });
    added?;
    if inputs == 0 {
        return Err(invalid("input", "`input` must not be empty."));
    }
    let notes = Notes { model: target.model.to_owned(), inputs, base64, ..Notes::default() };
    Ok(Translated { body: out.into_bytes(), dropped, notes })
}

/// Translates a complete answer.
pub(super) fn answer(body: &[u8], reply: &Reply) -> Result<TranslatedAnswer, Unreadable> {
    let mut reading = UsageReading::default();
    if matches!(reading.read(body), EventKind::Error | EventKind::Garbage) {
        return Err(Unreadable);
    }
    let answer = Raw::parse(body).ok_or(Unreadable)?;
    let embeddings = answer.field("embeddings").filter(|list| list.is_array()).ok_or(Unreadable)?;
    let mut out = Writer::with_capacity(body.len() + 256);
    let (mut count, mut readable) = (0, Ok(()));
    out.object(|out| {
        out.put("object", "\"list\"");
        out.put_array("data", |out| {
            readable = embeddings.each(|index, embedding| {
                count += 1;
                let values = embedding.field("values").filter(|values| values.is_array()).ok_or(Unreadable)?;
                let vector = vector(values, reply.notes.base64)?;
                out.object(|out| {
                    out.put("object", "\"embedding\"");
                    out.put_number("index", index as u64);
                    out.put("embedding", &vector);
                });
                Ok(())
            });
        });
        out.put_string("model", &reply.notes.model);
        // Google reports none, and many clients require it
        let tokens = if reading.is_reported() { reading.tokens().input } else { reply.prompt_tokens };
        out.put_object("usage", |out| {
            out.put_number("prompt_tokens", tokens);
            out.put_number("total_tokens", tokens);
        });
    });
    readable?;
    match count == reply.notes.inputs {
        true => Ok(TranslatedAnswer { body: out.into_bytes(), unknown_reason: false }),
        false => Err(Unreadable),
    }
}

/// The vector as JSON: as it is, or in Base64 as little-endian floats of 32 bits.
fn vector(values: Raw<'_>, base64: bool) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    values.each(|_, value| {
        let number = value.number().ok_or(Unreadable)?;
        if base64 {
            bytes.extend_from_slice(&(number as f32).to_le_bytes());
        }
        Ok(())
    })?;
    Ok(match base64 {
        true => format!("\"{}\"", encode_standard(&bytes)),
        false => values.json().to_owned(),
    })
}
