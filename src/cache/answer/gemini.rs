//! Gemini's `generateContent`.

use super::merge::Merged;
use super::{ended, sse, Unstorable};
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// What one candidate has so far.
struct Candidate {
    index: u64,
    /// Its parts as JSON, and of the last one the text, if it is nothing else.
    parts: Vec<String>,
    open: Option<(String, bool)>,
    role: Option<String>,
    rest: Merged,
}

/// The answer of a stream: events, or one array.
pub fn collect(stream: &[u8]) -> Option<Writer> {
    let (mut head, mut candidates) = (Merged::default(), Vec::new());
    let mut read = |chunk: Raw<'_>| {
        if chunk.field("error").is_some() {
            return None;
        }
        let mut fits = chunk.is_object();
        chunk.members(|name, value| match name {
            "candidates" => value.items(|candidate| fits = fits && add(&mut candidates, candidate).is_some()),
            _ => head.replace(name, value.json()),
        });
        fits.then_some(())
    };
    match stream.first() {
        Some(b'[') => Raw::parse(stream)?.each(|_, chunk| read(chunk).ok_or(())).ok()?,
        _ => sse::events(stream, |event| read(event?))?,
    }
    if candidates.is_empty() {
        return None;
    }
    let mut out = Writer::default();
    out.object(|out| {
        out.put_array("candidates", |out| candidates.into_iter().for_each(|candidate| candidate.write(out)));
        head.write_members(out);
    });
    Some(out)
}

fn add(candidates: &mut Vec<Candidate>, part: Raw<'_>) -> Option<()> {
    let index = part.field("index").and_then(Raw::count).unwrap_or(0);
    let place = match candidates.iter().position(|known| known.index == index) {
        Some(place) => place,
        None if candidates.len() < 128 => {
            let rest = Merged::default();
            candidates.push(Candidate { index, parts: Vec::new(), open: None, role: None, rest });
            candidates.len() - 1
        }
        None => return None,
    };
    let candidate = candidates.get_mut(place)?;
    part.members(|name, value| match name {
        "index" => {}
        "content" => {
            candidate.role = value.field("role").map(|role| role.json().to_owned()).or(candidate.role.take());
            if let Some(parts) = value.field("parts") {
                parts.items(|part| candidate.add(part));
            }
        }
        _ => candidate.rest.replace(name, value.json()),
    });
    Some(())
}

impl Candidate {
    /// Texts of one kind are one part; anything else is one of its own.
    fn add(&mut self, part: Raw<'_>) {
        let (mut others, mut thought) = (false, false);
        part.members(|name, value| match name {
            "text" => {}
            "thought" => thought = value.is_true(),
            _ => others = true,
        });
        match part.text("text").filter(|_| !others) {
            Some(text) => {
                if self.open.as_ref().is_some_and(|(_, open)| *open != thought) {
                    self.close();
                }
                self.open.get_or_insert((String::new(), thought)).0.push_str(&text);
            }
            None => {
                self.close();
                self.parts.push(part.json().to_owned());
            }
        }
    }

    fn close(&mut self) {
        if let Some((text, thought)) = self.open.take() {
            let mut out = Writer::default();
            out.object(|out| {
                out.put_string("text", &text);
                if thought {
                    out.put("thought", "true");
                }
            });
            self.parts.push(out.into_string());
        }
    }

    fn write(mut self, out: &mut Writer) {
        self.close();
        out.object(|out| {
            out.put_object("content", |out| {
                out.put_array("parts", |out| self.parts.iter().for_each(|part| out.raw(part)));
                out.put("role", self.role.as_deref().unwrap_or("\"model\""));
            });
            self.rest.write_members(out);
            out.put_number("index", self.index);
        });
    }
}

/// Whether an answer may be kept.
pub fn end(answer: Raw<'_>) -> Result<(), Unstorable> {
    let candidates = answer.field("candidates").filter(|all| all.first().is_some()).ok_or(Unstorable::Refused)?;
    candidates.each(|_, candidate| {
        let reason = candidate.text("finishReason");
        ended(reason.as_deref(), &["STOP"], &["MAX_TOKENS"], &[])?;
        let mut calls = false;
        if let Some(parts) = candidate.field("content").and_then(|content| content.field("parts")) {
            parts.items(|part| calls |= part.field("functionCall").is_some() || part.field("executableCode").is_some());
        }
        if calls {
            Err(Unstorable::Tools)
        } else {
            Ok(())
        }
    })
}
