//! Reads an event that is too large to hold in pieces. Each piece is read as a separate event: the open brackets come
//! before it, with the labels that show the kind of its texts, and their ends come after it. A long string is cut
//! between characters, and its later pieces have the kind of the first one.

mod open;
mod scan;

use std::ops::Range;

use super::event::{Event, EventError, Extent, Said};
use super::event_meta::{Ends, EventMeta};
use super::{Flow, PassageKind};
use crate::json::{Scanner, Value};
use crate::usage::Framing;
use scan::{string_part, Line, Scan, AHEAD};

/// The size of a piece in bytes, limited by the size of the largest event, but not smaller than this.
const SIZE: usize = 64 << 10;
const LEAST: usize = 64;

/// An event that is being read.
#[derive(Debug)]
pub(super) struct Pieces {
    scan: Scan,
    /// The current string, and its flow; `Some(None)` if it is not a text.
    string: Option<Option<Flow>>,
    ends: Ends,
    sequence: Option<u64>,
}

impl Pieces {
    /// `largest`: the largest event that is read as a whole.
    pub(super) fn new(framing: Framing, largest: usize) -> Self {
        let scan = Scan::new(framing, largest.clamp(LEAST, SIZE));
        Pieces { scan, string: None, ends: Ends::Nothing, sequence: None }
    }

    /// The next piece of the event, from the unread `bytes`; `is_all`: no more follow. `see` gets its structure. `None`
    /// until more bytes arrive.
    ///
    /// # Errors
    /// The rest of the event cannot be read.
    pub(super) fn next(
        &mut self,
        bytes: &[u8],
        is_all: bool,
        see: impl FnOnce(&EventMeta<'_>),
    ) -> Result<Option<Event>, EventError> {
        if bytes.is_empty() || !is_all && bytes.len() < self.scan.size + AHEAD {
            return Ok(None);
        }
        let mut event = match self.string {
            Some(flow) => self.go_on(flow, bytes, is_all)?,
            None => self.read(bytes, is_all, see)?,
        };
        let is_last = is_all && event.bytes.len() == bytes.len();
        if is_last && !self.scan.open.is_complete() {
            return Err(EventError::NotJson);
        }
        event.extent = match is_last {
            true => Extent::Last,
            false => Extent::Piece { closing: self.closing() },
        };
        if is_last {
            event.ends = std::mem::take(&mut self.ends);
            event.sequence = self.sequence;
        }
        Ok(Some(event))
    }

    /// A piece that begins between two values.
    fn read(&mut self, bytes: &[u8], is_all: bool, see: impl FnOnce(&EventMeta<'_>)) -> Result<Event, EventError> {
        let before = self.beginning();
        let (length, within_string) = self.scan.next(bytes, is_all)?;
        let piece = bytes.get(..length).unwrap_or_default();
        self.string = within_string.then_some(None);
        let text = [&before, piece, &self.ending(within_string)].concat();
        let (mut event, error) = Event::read(self.scan.framing, text, |meta| {
            self.ends.add(&meta.ends);
            self.sequence = meta.sequence.or(self.sequence);
            let is_scalar = |value: &[u8]| !matches!(value.first(), Some(b'{' | b'['));
            let fields = meta.fields.iter().copied().filter(|(_, value)| is_scalar(value));
            see(&EventMeta { choices: meta.choices.clone(), fields: fields.collect(), ..EventMeta::default() });
        });
        if let Some(error) = error {
            return Err(error);
        }
        let within = |span: &Range<usize>| span.end > before.len() && span.start < before.len() + length;
        let at = |span: &Range<usize>| {
            let at = |position: usize| position.saturating_sub(before.len()).min(length);
            at(span.start)..at(span.end)
        };
        event.said.retain(|said| within(&said.span));
        for said in &mut event.said {
            said.ends = said.span.end <= before.len() + length;
            said.span = at(&said.span);
            self.scan.open.spoke(said.span.start);
        }
        event.echoes.retain(|(span, _)| within(span));
        event.echoes.iter_mut().for_each(|(span, _)| *span = at(span));
        event.once.clear();
        if within_string {
            let text = event.said.last_mut().filter(|said| !said.ends);
            if let Some(said) = text {
                if said.flow.kind == PassageKind::Name {
                    said.flow.kind = PassageKind::Plain; // long texts are plain
                }
                self.string = Some(Some(said.flow));
            } else {
                self.scan.open.hide();
            }
        }
        Ok(Event { bytes: piece.to_vec(), ends: Ends::Nothing, sequence: None, ..event })
    }

    /// A piece that continues a string.
    fn go_on(&mut self, flow: Option<Flow>, bytes: &[u8], is_all: bool) -> Result<Event, EventError> {
        let (length, ends) = string_part(bytes.get(..self.scan.size).unwrap_or(bytes));
        if length == 0 || is_all && !ends && length == bytes.len() {
            return Err(EventError::NotJson);
        }
        let piece = bytes.get(..length).unwrap_or_default();
        let end: &[u8] = if ends { b"" } else { b"\"" };
        let string = [b"\"", piece, end].concat();
        let Ok(Value::String(text)) = Scanner::new(&string).value() else {
            return Err(EventError::NotJson);
        };
        if ends {
            self.string = None;
            self.scan.open.value_ended(b'"');
        }
        let said = flow.map(|flow| Said {
            flow,
            span: 0..length,
            text: text.decode().into_owned(),
            begins: false,
            ends,
            edits: Vec::new(),
        });
        Ok(Event { bytes: piece.to_vec(), said: said.into_iter().collect(), ..Event::default() })
    }

    /// The text before the piece that makes it an event.
    fn beginning(&self) -> Vec<u8> {
        let open = self.scan.open.beginning();
        match (self.scan.framing, self.scan.line) {
            (Framing::Ndjson | Framing::Json | Framing::EventStream, _) => open,
            (Framing::Sse, Line::Start) if open.is_empty() => open,
            (Framing::Sse, Line::Start) => [b"data:", &open[..], b"\n"].concat(),
            (Framing::Sse, Line::Data) => [b"data:", &open[..]].concat(),
            (Framing::Sse, Line::Other) => [b"data:", &open[..], b"\n:"].concat(),
        }
    }

    /// The text after the piece that makes it an event.
    fn ending(&self, within_string: bool) -> Vec<u8> {
        let end = self.scan.open.end(within_string);
        match (self.scan.framing, self.scan.line) {
            (Framing::Sse, Line::Start) if !end.is_empty() => [b"data:", &end[..]].concat(),
            (Framing::Sse, Line::Other) if !end.is_empty() => [b"\ndata:", &end[..]].concat(),
            _ => end,
        }
    }

    /// The bytes that complete the event for the client if no further piece is shown.
    fn closing(&self) -> Vec<u8> {
        let end: &[u8] = match self.scan.framing {
            Framing::Sse => b"\n\n",
            Framing::Ndjson => b"\n",
            Framing::Json | Framing::EventStream => b"",
        };
        [&self.ending(self.string.is_some()), end].concat()
    }
}
