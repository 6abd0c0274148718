//! Extracts a body's texts in parts, so that other work can run in between.

use std::ops::Range;

use super::context::TextContext;
use super::found::{Echo, Found, Texts};
use super::reader::{read, Reader};
use super::{Passage, Unreadable};
use crate::guard::nested::{view, Viewing};
use crate::guard::work::Work;
use crate::json::decode_part;

/// The state of an extraction.
///
/// ```
/// use sluice::guard::texts::{passages, Extraction};
///
/// let body = br#"{"input": ["Hi \u0061", "{\"b\": \"c\\nd\"}"]}"#;
/// let mut extraction = Extraction::of_request();
/// while !extraction.step(body, 1)? {}
/// assert_eq!(extraction.finish().passages, passages(body)?);
/// # Ok::<(), sluice::guard::texts::Unreadable>(())
/// ```
#[derive(Debug)]
pub struct Extraction {
    stage: Stage,
    is_answer: bool,
    echoes: Vec<Echo>,
    passages: Vec<Passage>,
}

/// The result of an extraction.
#[derive(Clone, Debug, Default)]
pub struct Extracted {
    /// The texts.
    pub passages: Vec<Passage>,
    /// Where they are repeated token by token.
    pub echoes: Vec<Echo>,
}

#[derive(Debug)]
enum Stage {
    /// Finds the texts.
    Reading(Box<Reader>),
    /// Decodes long ones, from this one on. In its string, the bytes up to `at` are decoded.
    Decoding { texts: Box<Texts>, next: usize, at: usize },
    /// Decodes the JSON in them.
    Viewing { found: std::vec::IntoIter<Found>, current: Option<Box<(Found, Viewing)>> },
}

impl Extraction {
    /// Of a request.
    pub fn of_request() -> Self {
        Extraction::new(Reader::of_request(), false)
    }

    /// Of an answer that is one JSON text.
    pub fn of_answer() -> Self {
        Extraction::new(Reader::of_answer(), true)
    }

    fn new(reader: Reader, is_answer: bool) -> Self {
        let stage = Stage::Reading(Box::new(reader));
        Extraction { stage, is_answer, echoes: Vec::new(), passages: Vec::new() }
    }

    /// Goes on for about as long as reading this many bytes takes. The body must be the same each time. Returns whether
    /// it has finished.
    ///
    /// # Errors
    /// [`Unreadable`]: the body must then be treated as one that no check has seen.
    pub fn step(&mut self, body: &[u8], size: usize) -> Result<bool, Unreadable> {
        let mut work = Work::new(size);
        while work.is_left() {
            match &mut self.stage {
                Stage::Reading(reader) => {
                    if !reader.step(body, &mut work)? {
                        return Ok(false);
                    }
                    let texts = Box::new(reader.take_texts());
                    self.stage = Stage::Decoding { texts, next: 0, at: 0 };
                }
                Stage::Decoding { texts, next, at } => {
                    if !decode(texts, next, at, body, &mut work) {
                        return Ok(false);
                    }
                    let mut texts = std::mem::take(&mut **texts);
                    // Gemini's array of answers has pieces of its texts
                    if self.is_answer && body.trim_ascii_start().first() == Some(&b'[') {
                        texts.join();
                    }
                    self.echoes = texts.echoes;
                    self.passages.reserve_exact(texts.found.len());
                    self.stage = Stage::Viewing { found: texts.found.into_iter(), current: None };
                }
                Stage::Viewing { found, current } => {
                    let Some(passage) = next_passage(found, current, &mut work) else {
                        return Ok(current.is_none() && found.as_slice().is_empty());
                    };
                    self.passages.push(passage);
                }
            }
        }
        Ok(matches!(&self.stage, Stage::Viewing { found, current: None } if found.as_slice().is_empty()))
    }

    /// The texts, after the last step.
    pub fn finish(self) -> Extracted {
        Extracted { passages: self.passages, echoes: self.echoes }
    }
}

/// Decodes the long texts. Returns whether it has finished.
fn decode(texts: &mut Texts, next: &mut usize, at: &mut usize, body: &[u8], work: &mut Work) -> bool {
    while let Some(found) = texts.found.get_mut(*next) {
        if *at == 0 && !found.text.is_empty() {
            *next += 1;
            continue;
        }
        if !work.is_left() {
            return false;
        }
        let raw = body.get(found.span.start + 1..found.span.end.saturating_sub(1)).unwrap_or_default();
        let end = decode_part(raw, *at, work.left(), &mut found.text);
        work.spend(end - *at);
        (*next, *at) = match end == raw.len() {
            true => (*next + 1, 0),
            false => (*next, end),
        };
    }
    true
}

/// The next text, once the JSON in it is decoded. `None`: there is more to do, or nothing.
fn next_passage(
    found: &mut std::vec::IntoIter<Found>,
    current: &mut Option<Box<(Found, Viewing)>>,
    work: &mut Work,
) -> Option<Passage> {
    if let Some(mut long) = current.take() {
        let (text, viewing) = &mut *long;
        let ended = viewing.step(&text.text, work);
        if !ended {
            *current = Some(long);
            return None;
        }
        let (found, viewing) = *long;
        let view = viewing.finish(&found.text);
        return Some(passage(found, view));
    }
    let next = found.next()?;
    work.spend(1);
    if next.text.len() > work.left() {
        *current = Some(Box::new((next, Viewing::default())));
        return next_passage(found, current, work);
    }
    let view = view(&next.text);
    work.spend(next.text.len());
    Some(passage(next, view))
}

fn passage(mut found: Found, view: Option<String>) -> Passage {
    let said = std::mem::take(&mut found.text);
    let (text, source) = match view {
        Some(view) => (view, Some(said)),
        None => (said, None),
    };
    let Found { context: TextContext { speaker, kind, .. }, span, more, .. } = found;
    Passage { speaker, kind, span, more, text, source }
}

/// The texts of a request, in order; empty ones are left out.
///
/// ```
/// use sluice::guard::texts::passages;
/// use sluice::guard::Speaker;
///
/// let body = br#"{"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]}"#;
/// let found = passages(body)?;
/// assert_eq!(found.len(), 2);
/// assert_eq!((found[0].speaker, found[0].text.as_str()), (Speaker::System, "Be kind."));
/// assert_eq!(&body[found[1].span.clone()], b"\"Hi\"");
/// # Ok::<(), sluice::guard::texts::Unreadable>(())
/// ```
///
/// # Errors
/// [`Unreadable`]: the body must then be treated as one that no check has seen.
pub fn passages(body: &[u8]) -> Result<Vec<Passage>, Unreadable> {
    Ok(extract(Extraction::of_request(), body)?.passages)
}

/// The texts of an answer that is one JSON text, in order.
///
/// # Errors
/// As [`passages`].
pub fn answer_passages(body: &[u8]) -> Result<Vec<Passage>, Unreadable> {
    Ok(extract(Extraction::of_answer(), body)?.passages)
}

/// Where a body repeats its texts token by token (`logprobs`), and the replacement if one of them changes: otherwise a
/// masked value would be there in full.
///
/// # Errors
/// As [`passages`].
pub fn echoes(body: &[u8], is_answer: bool) -> Result<Vec<(Range<usize>, String)>, Unreadable> {
    Ok(echoes_in(body, is_answer)?.into_iter().map(|echo| (echo.span.clone(), echo.nothing())).collect())
}

pub(in crate::guard) fn echoes_in(body: &[u8], is_answer: bool) -> Result<Vec<Echo>, Unreadable> {
    let reader = if is_answer { Reader::of_answer() } else { Reader::of_request() };
    Ok(read(reader, body)?.echoes)
}

fn extract(mut extraction: Extraction, body: &[u8]) -> Result<Extracted, Unreadable> {
    while !extraction.step(body, usize::MAX)? {}
    Ok(extraction.finish())
}
