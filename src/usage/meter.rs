//! Meters one answer as it passes: bytes in, at most one partial event held, a record of usage at the end.

use super::events::{event_data, Boundaries, Framing};
use super::reading::{EventKind, Reading};
use super::{Source, TokenUsage};

/// The largest event that is read; Envoy's own extractor has the same limits.
pub const MAX_EVENT: usize = 1 << 20;
/// The largest JSON answer that is read.
pub const MAX_JSON: usize = 4 << 20;
/// The most events that are read.
pub const MAX_EVENTS: u32 = 65_536;

/// What becomes of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It goes on as it is.
    Unchanged,
    /// These bytes go on in its place.
    Replace(Vec<u8>),
}

/// How much of the answer the meter has understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing says yet that it is complete.
    Open,
    /// The provider said that it is, or that its usage is final.
    Complete,
    /// It went beyond the limits; nothing more is read.
    Beyond,
}

/// The meter of one answer.
#[derive(Debug)]
pub struct Meter {
    framing: Framing,
    strip: bool,
    held: Vec<u8>,
    boundaries: Boundaries,
    reading: Reading,
    events: u32,
    /// The last event was taken out and ended in CR: so does the LF that may follow it.
    taken_to_cr: bool,
    state: State,
}

impl Meter {
    /// A meter for an answer. `strip` takes the chunk that carries nothing but usage out of the stream, for
    /// a client that did not ask for it.
    ///
    /// ```
    /// use sluice::usage::{Framing, Meter, Pass, Source};
    ///
    /// let mut meter = Meter::new(Framing::Sse, true);
    /// let usage = b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n";
    /// assert_eq!(meter.chunk(usage, false), Pass::Replace(vec![]));
    /// assert_eq!(meter.chunk(b"data: [DONE]\n\n", true), Pass::Unchanged);
    /// let (tokens, source) = meter.finish();
    /// assert_eq!((tokens.input, tokens.output, source), (7, 2, Source::Reported));
    /// ```
    pub fn new(framing: Framing, strip: bool) -> Self {
        Meter {
            framing,
            strip: strip && framing == Framing::Sse,
            held: Vec::new(),
            boundaries: Boundaries::default(),
            reading: Reading::default(),
            events: 0,
            taken_to_cr: false,
            state: State::Open,
        }
    }

    /// The next bytes of the answer; `end` with the last ones.
    pub fn chunk(&mut self, chunk: &[u8], end: bool) -> Pass {
        if self.state == State::Beyond {
            return Pass::Unchanged;
        }
        match self.framing {
            Framing::Json => self.json(chunk, end),
            Framing::Sse | Framing::Ndjson => self.stream(chunk, end),
        }
    }

    /// What was reported, and how far it can be relied on. The answer may have been cut at any point.
    pub fn finish(&self) -> (TokenUsage, Source) {
        let source = match (self.state, self.reading.is_reported()) {
            (State::Complete, true) => Source::Reported,
            (State::Complete, false) => Source::Missing,
            (State::Open | State::Beyond, _) => Source::Partial,
        };
        (self.reading.tokens(), source)
    }

    /// How many bytes of the answer are held back or kept for reading.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn json(&mut self, chunk: &[u8], end: bool) -> Pass {
        if self.held.len() + chunk.len() > MAX_JSON {
            self.give_up();
            return Pass::Unchanged;
        }
        if self.held.is_empty() && looks_whole(chunk) && self.document(chunk) {
            return Pass::Unchanged;
        }
        self.held.extend_from_slice(chunk);
        if end && !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.document(&held);
        }
        Pass::Unchanged
    }

    /// Reads a whole answer; `false` if it is not one.
    fn document(&mut self, text: &[u8]) -> bool {
        let whole = self.reading.read(text) != EventKind::Garbage;
        if whole {
            self.state = State::Complete;
        }
        whole
    }

    fn stream(&mut self, chunk: &[u8], end: bool) -> Pass {
        let mut held = std::mem::take(&mut self.held);
        let carried = !held.is_empty();
        if carried {
            held.extend_from_slice(chunk);
        }
        let bytes = if carried { held.as_slice() } else { chunk };
        let mut out = Out::new(bytes);
        let mut start = 0;
        let mut beyond = false;
        while start < bytes.len() {
            let next = self.boundaries.next(self.framing, bytes);
            let next = next.or(end.then_some(bytes.len())); // the last event may lack its blank line
            let event = start..next.unwrap_or(bytes.len());
            beyond = event.len() > MAX_EVENT || self.events == MAX_EVENTS;
            if beyond || next.is_none() {
                break;
            }
            out.event(event.clone(), self.event(bytes.get(event.clone()).unwrap_or_default()));
            start = event.end;
        }
        // beyond the limits, what was held back goes on as well
        let released = if beyond { bytes.len() } else { start };
        let pass = match self.strip {
            true => out.into_pass(released, carried),
            false => Pass::Unchanged,
        };
        if beyond {
            self.give_up();
            return pass;
        }
        self.boundaries.consume(start);
        if carried {
            held.drain(..start);
        } else {
            held.extend_from_slice(chunk.get(start..).unwrap_or_default());
        }
        self.held = held;
        pass
    }

    /// Reads one event; `true` if it is to be taken out.
    fn event(&mut self, event: &[u8]) -> bool {
        let rest_of_taken = std::mem::take(&mut self.taken_to_cr) && event == b"\n";
        let taken = rest_of_taken || self.is_usage_only(event);
        self.taken_to_cr = taken && event.ends_with(b"\r");
        taken
    }

    /// Reads one event; `true` if it carries nothing but usage and is to be stripped.
    fn is_usage_only(&mut self, event: &[u8]) -> bool {
        let data = match self.framing {
            Framing::Sse => event_data(event),
            Framing::Ndjson | Framing::Json => Some(event.into()),
        };
        let Some(data) = data else {
            return false;
        };
        self.events += 1;
        if data.as_ref() == b"[DONE]" {
            self.state = State::Complete;
            return false;
        }
        match self.reading.read(&data) {
            EventKind::UsageOnly => {
                self.state = State::Complete;
                self.strip
            }
            EventKind::Terminal => {
                self.state = State::Complete;
                false
            }
            EventKind::Content | EventKind::Error | EventKind::Garbage => false,
        }
    }

    fn give_up(&mut self) {
        self.state = State::Beyond;
        self.held = Vec::new();
    }
}

/// Whether a chunk may be a JSON answer in one piece, as most are.
fn looks_whole(chunk: &[u8]) -> bool {
    matches!(chunk.trim_ascii_end().last(), Some(b'}' | b']'))
}

/// Collects what passes of a chunk; copies nothing while all of it does.
struct Out<'a> {
    bytes: &'a [u8],
    kept: Vec<u8>,
    copied: usize,
}

impl<'a> Out<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Out { bytes, kept: Vec::new(), copied: 0 }
    }

    fn event(&mut self, range: std::ops::Range<usize>, strip: bool) {
        if strip {
            self.kept.extend_from_slice(self.bytes.get(self.copied..range.start).unwrap_or_default());
            self.copied = range.end;
        }
    }

    /// `released`: up to where the bytes go on; the rest is held back.
    fn into_pass(mut self, released: usize, carried: bool) -> Pass {
        if self.copied == 0 && released == self.bytes.len() && !carried {
            return Pass::Unchanged;
        }
        self.kept.extend_from_slice(self.bytes.get(self.copied..released).unwrap_or_default());
        Pass::Replace(self.kept)
    }
}
