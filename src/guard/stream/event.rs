//! One event of a stream, read.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

use super::outline::{Ends, Outline, Step};
use super::{Flow, Replacement};
use crate::guard::api::Failure;
use crate::guard::texts::{read_answer, splice_raw, Found, Unreadable};
use crate::json::JsonError;
use crate::order::by_number;
use crate::usage::Framing;

/// What an event is besides its bytes takes about so much memory, and so does each of its texts.
const OVERHEAD: usize = 256;

/// An event as it came, and what is known of it.
#[derive(Debug, Default)]
pub(super) struct Event {
    pub(super) bytes: Vec<u8>,
    pub(super) said: Vec<Said>,
    pub(super) ends: Ends,
    pub(super) step: Step,
    /// The number OpenAI Responses gives it.
    pub(super) sequence: Option<u64>,
    /// Where the texts are said again, token by token, and what is to stand there if they change.
    pub(super) echoes: Vec<(Range<usize>, String)>,
    /// Strings that may not be said twice.
    pub(super) once: Vec<Range<usize>>,
    /// How many of its texts no check has seen.
    pub(super) pending: usize,
    pub(super) extent: Extent,
}

/// Whether it is all of an event.
#[derive(Debug, Default)]
pub(super) enum Extent {
    /// It is.
    #[default]
    Whole,
    /// It is a part of one, of which more comes.
    Piece {
        /// What is to be shown if nothing more of it is.
        closing: Vec<u8>,
    },
    /// It is the last part of one.
    Last,
}

/// A text of an event.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) flow: Flow,
    /// Where its string stands in the event, quotes and all.
    pub(super) span: Range<usize>,
    pub(super) text: String,
    /// Whether the string begins here, and ends here; of an event that is read in pieces it may not.
    pub(super) begins: bool,
    pub(super) ends: bool,
    /// What checks made of its parts.
    pub(super) edits: Vec<Replacement>,
}

impl Said {
    /// What the checks have made of it.
    pub(super) fn edited(&self) -> Cow<'_, str> {
        if self.edits.is_empty() {
            return Cow::Borrowed(&self.text);
        }
        let mut edits: Vec<&Replacement> = self.edits.iter().collect();
        by_number(&mut edits, |(range, _)| range.start);
        let mut out = String::with_capacity(self.text.len());
        let mut copied = 0;
        for (range, new) in edits {
            out.push_str(self.text.get(copied..range.start.max(copied)).unwrap_or_default());
            out.push_str(new);
            copied = range.end.max(copied);
        }
        out.push_str(self.text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }
}

/// Why an event could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is no JSON.
    Garbage,
    /// It is more than is read.
    Beyond,
}

impl Trouble {
    pub(super) fn failure(self) -> Failure {
        match self {
            Trouble::Garbage => Failure::Shape,
            Trouble::Beyond => Failure::Event,
        }
    }
}

impl Event {
    /// Reads an event. `see` is shown what it says of the answer as a whole. One that is not understood has no
    /// texts, and ends nothing.
    pub(super) fn read(framing: Framing, bytes: Vec<u8>, see: impl FnOnce(&Outline<'_>)) -> (Self, Option<Trouble>) {
        let read = match Data::of(framing, &bytes) {
            Some(data) => data.read(see),
            None => Ok(Event::default()),
        };
        match read {
            Ok(event) => (Event { bytes, ..event }, None),
            Err(trouble) => (Event { bytes, ..Event::default() }, Some(trouble)),
        }
    }

    /// How much memory it takes.
    pub(super) fn weight(&self) -> usize {
        let texts: usize = self.said.iter().map(|said| said.text.len().saturating_add(OVERHEAD)).sum();
        let spans = (self.echoes.len() + self.once.len()).saturating_mul(size_of::<Range<usize>>());
        self.bytes.len().saturating_add(texts).saturating_add(spans).saturating_add(OVERHEAD)
    }

    /// The event with these values in place of others.
    pub(super) fn spliced(&self, splices: Vec<(Range<usize>, String)>) -> Vec<u8> {
        splice_raw(&self.bytes, splices)
    }
}

/// An event's bytes, so ended that another may follow.
pub(super) fn terminated(framing: Framing, bytes: &[u8]) -> Vec<u8> {
    let bare = bytes.trim_ascii_end();
    let end: &[u8] = match framing {
        Framing::Sse => b"\n\n",
        Framing::Ndjson | Framing::Json | Framing::EventStream => b"\n",
    };
    [bare, end].concat()
}

/// The JSON text of an event.
struct Data<'a> {
    text: Cow<'a, [u8]>,
    /// Where each line of it begins: in the text, and in the event.
    lines: Vec<(usize, usize)>,
}

impl<'a> Data<'a> {
    /// `None`: the event has no data, as a comment.
    fn of(framing: Framing, event: &'a [u8]) -> Option<Self> {
        let data = match framing {
            Framing::Sse => Data::of_lines(event)?,
            Framing::Ndjson | Framing::Json | Framing::EventStream => {
                Data { text: Cow::Borrowed(event), lines: vec![(0, 0)] }
            }
        };
        (!data.text.trim_ascii().is_empty()).then_some(data)
    }

    /// The values of the `data` lines, joined with LF.
    fn of_lines(event: &'a [u8]) -> Option<Self> {
        let mut found: Option<Data<'a>> = None;
        let mut at = if event.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        while let Some(rest) = event.get(at..).filter(|rest| !rest.is_empty()) {
            let line = rest.get(..memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())).unwrap_or_default();
            if let Some(value) = data_value(line) {
                let start = at + line.len() - value.len();
                match &mut found {
                    None => found = Some(Data { text: Cow::Borrowed(value), lines: vec![(0, start)] }),
                    Some(data) => {
                        let text = data.text.to_mut();
                        text.push(b'\n');
                        data.lines.push((text.len(), start));
                        text.extend_from_slice(value);
                    }
                }
            }
            at += line.len() + 1;
        }
        found
    }

    fn read(&self, see: impl FnOnce(&Outline<'_>)) -> Result<Event, Trouble> {
        let is_done = self.text.trim_ascii() == b"[DONE]";
        let texts = if is_done { Ok(Default::default()) } else { read_answer(&self.text) };
        let texts = texts.map_err(|unreadable| match unreadable {
            Unreadable::TooMany | Unreadable::Json(JsonError::TooDeep) => Trouble::Beyond,
            Unreadable::Json(JsonError::UnexpectedEnd | JsonError::Unexpected { .. }) => Trouble::Garbage,
        })?;
        let outline = if is_done { Outline::done() } else { Outline::of(&self.text).map_err(|_| Trouble::Garbage)? };
        see(&outline);
        let places = |spans: Vec<Range<usize>>| spans.into_iter().map(|span| self.place(span)).collect();
        Ok(Event {
            said: texts.found.into_iter().map(|found| self.said(found)).collect(),
            echoes: texts.echoes.into_iter().map(|echo| (self.place(echo.span.clone()), echo.nothing())).collect(),
            once: places(texts.once),
            ends: outline.ends,
            step: outline.step,
            sequence: outline.sequence,
            ..Event::default()
        })
    }

    fn said(&self, found: Found) -> Said {
        let place = found.place;
        let flow = Flow { choice: place.choice, part: place.part, kind: place.kind, whole: place.whole };
        let span = self.place(found.span);
        Said { flow, span, text: found.text, begins: true, ends: true, edits: Vec::new() }
    }

    /// Where a value stands in the event.
    fn place(&self, span: Range<usize>) -> Range<usize> {
        let at = |position: usize| {
            let after = self.lines.partition_point(|(start, _)| *start <= position);
            let line = after.checked_sub(1).and_then(|last| self.lines.get(last));
            line.map_or(position, |(start, place)| place + (position - start))
        };
        at(span.start)..at(span.end.saturating_sub(1)).saturating_add(1)
    }
}

fn data_value(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"data")?;
    match value.split_first() {
        None => Some(value),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None, // another field's name
    }
}
