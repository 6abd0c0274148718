//! Splits a stream of bytes into events, for any cuts between chunks.
//!
//! Server-sent events as the WHATWG HTML standard (9.2.6) defines them: lines end in LF, CRLF or CR, and an
//! event at a blank line; and newline-delimited JSON, where each line is an event.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::endpoint::Dialect;
use crate::eventstream::Messages;

/// How an answer's events are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `text/event-stream`
    Sse,
    /// `application/x-ndjson`
    Ndjson,
    /// One JSON text.
    Json,
    /// `application/vnd.amazon.eventstream`: binary messages, each with its length before it.
    EventStream,
}

impl Framing {
    /// From the answer's `content-type`; anything that is not a stream counts as JSON.
    ///
    /// ```
    /// use sluice::usage::Framing;
    ///
    /// assert_eq!(Framing::of_content_type("text/event-stream; charset=utf-8"), Framing::Sse);
    /// assert_eq!(Framing::of_content_type("application/x-ndjson"), Framing::Ndjson);
    /// assert_eq!(Framing::of_content_type("application/json"), Framing::Json);
    /// ```
    pub fn of_content_type(content_type: &str) -> Self {
        const NDJSON: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") {
            Framing::Sse
        } else if NDJSON.iter().any(|ndjson| essence.eq_ignore_ascii_case(ndjson)) {
            Framing::Ndjson
        } else if essence.eq_ignore_ascii_case("application/vnd.amazon.eventstream") {
            Framing::EventStream
        } else {
            Framing::Json
        }
    }

    /// From the request and the answer's first bytes, which saves reading its headers: a stream may still be answered
    /// with one JSON text (an error, or Gemini's array).
    ///
    /// ```
    /// use sluice::endpoint::Dialect;
    /// use sluice::usage::Framing;
    ///
    /// assert_eq!(Framing::of_answer(Dialect::OpenAi, true, b"data: {}"), Framing::Sse);
    /// assert_eq!(Framing::of_answer(Dialect::OpenAi, true, b"{}"), Framing::Json);
    /// assert_eq!(Framing::of_answer(Dialect::Ollama, true, b"{}"), Framing::Ndjson);
    /// ```
    pub fn of_answer(dialect: Dialect, streamed: bool, beginning: &[u8]) -> Self {
        let first = beginning.trim_ascii_start().first();
        match (streamed, first, dialect) {
            (false, _, _) | (true, Some(b'['), _) => Framing::Json,
            // a proxy may send `null` first
            (true, Some(b'{' | b'n'), Dialect::Ollama) => Framing::Ndjson,
            (true, Some(b'{'), _) => Framing::Json,
            (true, _, Dialect::Converse) => Framing::EventStream,
            (true, _, _) => Framing::Sse,
        }
    }
}

/// Finds the ends of events without reading a byte twice: in a growing buffer, or in one chunk after another.
#[derive(Clone, Debug, Default)]
pub struct Boundaries {
    /// Everything before this position has been read.
    scanned: usize,
    /// The current line is not blank.
    within_line: bool,
    /// The last line ended in CR: a following LF belongs to it.
    after_cr: bool,
    /// The last line was blank.
    after_event: bool,
    messages: Messages,
}

impl Boundaries {
    /// The end of the next event in `bytes`: directly after its blank line, or its line. `None` until more bytes
    /// arrive. If the bytes were cut between the CR and the LF that end an event, the LF is reported separately.
    pub fn next(&mut self, framing: Framing, bytes: &[u8]) -> Option<usize> {
        match framing {
            Framing::Sse => self.next_blank_line(bytes),
            Framing::Ndjson => self.next_line(bytes),
            Framing::Json => None,
            Framing::EventStream => self.messages.next(&mut self.scanned, bytes),
        }
    }

    /// Removes the first `count` bytes: events that have been read, or a chunk whose rest is stored elsewhere.
    pub fn consume(&mut self, count: usize) {
        self.scanned = self.scanned.saturating_sub(count);
    }

    fn next_blank_line(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            if self.after_cr {
                let second_half = *bytes.get(self.scanned)? == b'\n';
                self.after_cr = false;
                if second_half {
                    self.scanned += 1;
                    if self.after_event {
                        return Some(self.scanned);
                    }
                }
            }
            let rest = bytes.get(self.scanned..)?;
            let Some(offset) = memchr2(b'\n', b'\r', rest) else {
                self.within_line |= !rest.is_empty();
                self.scanned = bytes.len();
                return None;
            };
            let end = self.scanned + offset;
            self.after_event = offset == 0 && !self.within_line;
            self.within_line = false;
            self.after_cr = bytes.get(end) == Some(&b'\r');
            self.scanned = end + 1;
            if self.after_cr && bytes.get(self.scanned) == Some(&b'\n') {
                self.scanned += 1;
                self.after_cr = false;
            }
            if self.after_event {
                return Some(self.scanned);
            }
        }
    }

    fn next_line(&mut self, bytes: &[u8]) -> Option<usize> {
        let rest = bytes.get(self.scanned..)?;
        match memchr(b'\n', rest) {
            Some(offset) => {
                self.scanned += offset + 1;
                Some(self.scanned)
            }
            None => {
                self.scanned = bytes.len();
                None
            }
        }
    }
}

/// The data of one server-sent event: the values of its `data` lines, joined with LF. Borrowed unless there are
/// several. `None` if it has none (a comment, a ping).
///
/// ```
/// use sluice::usage::event_data;
///
/// assert_eq!(event_data(b"event: x\ndata: {}\n\n").as_deref(), Some(&b"{}"[..]));
/// assert_eq!(event_data(b"data:a\r\ndata: b\r\n\r\n").as_deref(), Some(&b"a\nb"[..]));
/// assert_eq!(event_data(b": ping\n\n"), None);
/// ```
pub fn event_data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut lines = Vec::new();
    let fields = Fields::of(event, &mut lines);
    Some(if fields.joined { Cow::Owned(lines) } else { Cow::Borrowed(fields.first?) })
}

/// The relevant fields of one server-sent event.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    /// The last `event` line's value.
    pub(super) name: Option<&'a [u8]>,
    /// The first `data` line's value.
    first: Option<&'a [u8]>,
    /// There are several, and their values have been joined with LF.
    joined: bool,
}

impl<'a> Fields<'a> {
    /// The fields of `event`. If there are several `data` lines, their values are joined in `lines`, a scratch buffer.
    pub(super) fn of(event: &'a [u8], lines: &mut Vec<u8>) -> Self {
        let mut fields = Fields::default();
        let mut rest = event.strip_prefix(b"\xef\xbb\xbf").unwrap_or(event);
        while !rest.is_empty() {
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let (line, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = tail.get(1..).unwrap_or_default();
            if let Some(value) = field_value(line, b"data") {
                fields.add(value, lines);
            } else if let Some(value) = field_value(line, b"event") {
                fields.name = Some(value);
            }
        }
        fields
    }

    /// The values of the `data` lines, joined with LF in `lines`.
    pub(super) fn data<'b>(&self, lines: &'b [u8]) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        if self.joined {
            Some(lines)
        } else {
            self.first
        }
    }

    fn add(&mut self, value: &'a [u8], lines: &mut Vec<u8>) {
        let Some(first) = self.first else {
            self.first = Some(value);
            return;
        };
        if !self.joined {
            self.joined = true;
            lines.clear();
            lines.extend_from_slice(first);
        }
        lines.push(b'\n');
        lines.extend_from_slice(value);
    }
}

/// A line's value, if its field has this name.
pub(crate) fn field_value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    match value.split_first() {
        None => Some(value),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None, // another field's name
    }
}
