//! One parsed event of a stream.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

use super::event_meta::{Ends, EventMeta, Step};
use super::{Flow, Replacement};
use crate::guard::api::Failure;
use crate::guard::texts::{read_answer, splice_raw, Found, Unreadable};
use crate::json::JsonError;
use crate::order::by_number;
use crate::usage::{field_value, Framing};

/// The approximate memory of an event besides its bytes, and of each of its texts.
const OVERHEAD: usize = 256;

/// An event as received, with its parsed parts.
#[derive(Debug, Default)]
pub(super) struct Event {
    pub(super) bytes: Vec<u8>,
    pub(super) said: Vec<Said>,
    pub(super) ends: Ends,
    pub(super) step: Step,
    /// OpenAI Responses' sequence number.
    pub(super) sequence: Option<u64>,
    /// Where texts are repeated token by token, and the replacement if the texts change.
    pub(super) echoes: Vec<(Range<usize>, String)>,
    /// Strings that must not be repeated.
    pub(super) once: Vec<Range<usize>>,
    /// The number of its unchecked texts.
    pub(super) pending: usize,
    pub(super) extent: Extent,
}

/// Whether it is a complete event.
#[derive(Debug, Default)]
pub(super) enum Extent {
    /// It is.
    #[default]
    Whole,
    /// It is a part of one, and more parts follow.
    Piece {
        /// The bytes that complete it if no further part is shown.
        closing: Vec<u8>,
    },
    /// It is the last part of one.
    Last,
}

/// A text of an event.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) flow: Flow,
    /// The range of its string in the event, with quotes.
    pub(super) span: Range<usize>,
    pub(super) text: String,
    /// Whether the string begins here, and ends here; a part of an event may have only a part of a string.
    pub(super) begins: bool,
    pub(super) ends: bool,
    /// The checks' replacements of its parts.
    pub(super) edits: Vec<Replacement>,
}

impl Said {
    /// The text after the checks.
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
pub(super) enum EventError {
    /// It is not JSON.
    NotJson,
    /// It is larger than the limit.
    TooLarge,
}

impl EventError {
    pub(super) fn failure(self) -> Failure {
        match self {
            EventError::NotJson => Failure::Shape,
            EventError::TooLarge => Failure::Event,
        }
    }
}

impl Event {
    /// Reads an event. `see` gets its structure besides the texts. An event that is not understood has no texts, and
    /// ends nothing.
    pub(super) fn read(
        framing: Framing,
        bytes: Vec<u8>,
        see: impl FnOnce(&EventMeta<'_>),
    ) -> (Self, Option<EventError>) {
        let read = match Data::of(framing, &bytes) {
            Some(data) => data.read(see),
            None => Ok(Event::default()),
        };
        match read {
            Ok(event) => (Event { bytes, ..event }, None),
            Err(error) => (Event { bytes, ..Event::default() }, Some(error)),
        }
    }

    /// Its memory in bytes.
    pub(super) fn weight(&self) -> usize {
        let texts: usize = self.said.iter().map(|said| said.text.len().saturating_add(OVERHEAD)).sum();
        let spans = (self.echoes.len() + self.once.len()).saturating_mul(size_of::<Range<usize>>());
        self.bytes.len().saturating_add(texts).saturating_add(spans).saturating_add(OVERHEAD)
    }

    /// The event with these replacements.
    pub(super) fn spliced(&self, splices: Vec<(Range<usize>, String)>) -> Vec<u8> {
        splice_raw(&self.bytes, splices)
    }
}

/// An event's bytes, ended so that another event may follow.
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
    /// Where each of its lines begins: in the text, and in the event.
    lines: Vec<(usize, usize)>,
}

impl<'a> Data<'a> {
    /// `None`: the event has no data, such as a comment.
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
            if let Some(value) = field_value(line, b"data") {
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

    fn read(&self, see: impl FnOnce(&EventMeta<'_>)) -> Result<Event, EventError> {
        let is_done = self.text.trim_ascii() == b"[DONE]";
        let texts = if is_done { Ok(Default::default()) } else { read_answer(&self.text) };
        let texts = texts.map_err(|unreadable| match unreadable {
            Unreadable::TooMany | Unreadable::Json(JsonError::TooDeep) => EventError::TooLarge,
            Unreadable::Json(JsonError::UnexpectedEnd | JsonError::Unexpected { .. }) => EventError::NotJson,
        })?;
        let meta =
            if is_done { EventMeta::done() } else { EventMeta::of(&self.text).map_err(|_| EventError::NotJson)? };
        see(&meta);
        let places = |spans: Vec<Range<usize>>| spans.into_iter().map(|span| self.place(span)).collect();
        Ok(Event {
            said: texts.found.into_iter().map(|found| self.said(found)).collect(),
            echoes: texts.echoes.into_iter().map(|echo| (self.place(echo.span.clone()), echo.nothing())).collect(),
            once: places(texts.once),
            ends: meta.ends,
            step: meta.step,
            sequence: meta.sequence,
            ..Event::default()
        })
    }

    fn said(&self, found: Found) -> Said {
        let context = found.context;
        let flow = Flow { choice: context.choice, part: context.part, kind: context.kind, whole: context.whole };
        let span = self.place(found.span);
        Said { flow, span, text: found.text, begins: true, ends: true, edits: Vec::new() }
    }

    /// The position of a value in the event.
    fn place(&self, span: Range<usize>) -> Range<usize> {
        let at = |position: usize| {
            let after = self.lines.partition_point(|(start, _)| *start <= position);
            let line = after.checked_sub(1).and_then(|last| self.lines.get(last));
            line.map_or(position, |(start, place)| place + (position - start))
        };
        at(span.start)..at(span.end.saturating_sub(1)).saturating_add(1)
    }
}
