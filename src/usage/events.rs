//! Splits a stream of bytes into events, wherever the chunks are cut.
//!
//! Server-sent events as the WHATWG HTML standard (9.2.6) defines them: lines end in LF, CRLF or CR, and an
//! event at a blank line; and newline-delimited JSON, where each line is an event.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::endpoint::Dialect;

/// How the events of an answer are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `text/event-stream`
    Sse,
    /// `application/x-ndjson`
    Ndjson,
    /// One JSON text.
    Json,
}

impl Framing {
    /// Told by the answer's `content-type`; what is no kind of stream is taken for JSON.
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
        } else {
            Framing::Json
        }
    }

    /// Told by what was asked for and how the answer begins, which saves reading its headers: a stream may
    /// still be answered with one JSON text (an error, or Gemini's array).
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
            (true, Some(b'{'), Dialect::Ollama) => Framing::Ndjson,
            (true, Some(b'{'), Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini) => Framing::Json,
            (true, _, _) => Framing::Sse,
        }
    }
}

/// Finds the ends of events in a growing buffer without ever looking at a byte twice.
#[derive(Clone, Debug, Default)]
pub struct Boundaries {
    /// Where the current line starts.
    line: usize,
    /// Up to where the current line is known to hold no line end.
    scanned: usize,
    /// The last line ended in CR: a LF that follows belongs to it.
    after_cr: bool,
    /// The last line was blank.
    after_event: bool,
}

impl Boundaries {
    /// The end of the next event in `bytes`: right after its blank line, or its line. `None` until more
    /// bytes are there. Where the bytes came cut between the CR and the LF that end an event, the LF is
    /// reported by itself.
    pub fn next(&mut self, framing: Framing, bytes: &[u8]) -> Option<usize> {
        match framing {
            Framing::Sse => self.next_blank_line(bytes),
            Framing::Ndjson => self.next_line(bytes),
            Framing::Json => None,
        }
    }

    /// The buffer's first `count` bytes are gone.
    pub fn consume(&mut self, count: usize) {
        self.line = self.line.saturating_sub(count);
        self.scanned = self.scanned.saturating_sub(count);
    }

    fn next_blank_line(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            if self.after_cr && self.scanned == self.line {
                let second_half = *bytes.get(self.line)? == b'\n';
                self.after_cr = false;
                if second_half {
                    self.line += 1;
                    self.scanned = self.line;
                    if self.after_event {
                        return Some(self.line);
                    }
                }
            }
            let rest = bytes.get(self.scanned..)?;
            let Some(offset) = memchr2(b'\n', b'\r', rest) else {
                self.scanned = bytes.len();
                return None;
            };
            let end = self.scanned + offset;
            self.after_event = end == self.line;
            self.after_cr = bytes.get(end) == Some(&b'\r');
            self.line = end + 1;
            if self.after_cr && bytes.get(self.line) == Some(&b'\n') {
                self.line += 1;
                self.after_cr = false;
            }
            self.scanned = self.line;
            if self.after_event {
                return Some(self.line);
            }
        }
    }

    fn next_line(&mut self, bytes: &[u8]) -> Option<usize> {
        let rest = bytes.get(self.scanned..)?;
        match memchr(b'\n', rest) {
            Some(offset) => {
                self.scanned += offset + 1;
                self.line = self.scanned;
                Some(self.line)
            }
            None => {
                self.scanned = bytes.len();
                None
            }
        }
    }
}

/// The data of one server-sent event: the values of its `data` lines, joined with LF. Borrowed unless
/// there are several. `None` if it has none (a comment, a ping).
///
/// ```
/// use sluice::usage::event_data;
///
/// assert_eq!(event_data(b"event: x\ndata: {}\n\n").as_deref(), Some(&b"{}"[..]));
/// assert_eq!(event_data(b"data:a\r\ndata: b\r\n\r\n").as_deref(), Some(&b"a\nb"[..]));
/// assert_eq!(event_data(b": ping\n\n"), None);
/// ```
pub fn event_data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    Fields::of(event).data
}

/// The fields of one server-sent event that say what it is.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    /// The last `event` line's value.
    pub(super) name: Option<&'a [u8]>,
    /// The values of the `data` lines, joined with LF.
    pub(super) data: Option<Cow<'a, [u8]>>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(event: &'a [u8]) -> Self {
        let mut fields = Fields::default();
        let mut rest = event.strip_prefix(b"\xef\xbb\xbf").unwrap_or(event);
        while !rest.is_empty() {
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let (line, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = tail.get(1..).unwrap_or_default();
            if let Some(value) = field_value(line, b"data") {
                fields.add(value);
            } else if let Some(value) = field_value(line, b"event") {
                fields.name = Some(value);
            }
        }
        fields
    }

    fn add(&mut self, value: &'a [u8]) {
        self.data = Some(match self.data.take() {
            None => Cow::Borrowed(value),
            Some(lines) => {
                let mut lines = lines.into_owned();
                lines.push(b'\n');
                lines.extend_from_slice(value);
                Cow::Owned(lines)
            }
        });
    }
}

fn field_value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    match value.split_first() {
        None => Some(value),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None, // another field's name
    }
}
