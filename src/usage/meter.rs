//! Meters one answer as it passes: bytes in, at most one partial event held, a record of usage at the end.

use super::events::{Boundaries, Framing};
use super::interruption::interruption;
use super::reading::{EventKind, Reading};
use super::{Source, TokenUsage};
use crate::endpoint::Endpoint;

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
    /// The provider's last word on usage is there; the terminal event is still to come.
    Settled,
    /// The provider said that it is complete, or it ended after every choice had said why.
    Complete,
    /// It ended, and the provider had not said that it is complete.
    Interrupted,
    /// An event reported an error; whatever follows makes the answer no better.
    Failed,
    /// It went beyond the limits; nothing more is read.
    Beyond,
}

impl State {
    fn after(self, kind: EventKind) -> Self {
        match (self, kind) {
            (State::Failed | State::Beyond, _) => self,
            (_, EventKind::Error) => State::Failed,
            (_, EventKind::Terminal | EventKind::Failure | EventKind::Done) => State::Complete,
            (State::Open, EventKind::UsageOnly) => State::Settled,
            (_, EventKind::UsageOnly | EventKind::Content | EventKind::Preliminary | EventKind::Garbage) => self,
        }
    }

    /// After the last byte. `finished`: every choice has said why it ended.
    fn at_end(self, finished: bool) -> Self {
        match self {
            State::Open | State::Settled if finished => State::Complete,
            State::Open | State::Settled => State::Interrupted,
            State::Complete | State::Interrupted | State::Failed | State::Beyond => self,
        }
    }
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
    /// The bytes so far end within an event.
    within_event: bool,
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
            within_event: false,
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
            (State::Settled | State::Complete, true) => Source::Reported,
            (State::Settled | State::Complete, false) => Source::Missing,
            (State::Open | State::Interrupted | State::Failed | State::Beyond, _) => Source::Partial,
        };
        (self.reading.tokens(), source)
    }

    /// Whether the stream has ended without its terminal event, which a client may take for a short answer.
    /// Known after the last chunk; a stream that was reset never has one. Not so if it reported an error, went
    /// beyond the limits, or every choice had said why it ended: some servers never send `[DONE]`. Means
    /// nothing for bytes that came compressed.
    pub fn is_interrupted(&self) -> bool {
        self.state == State::Interrupted
    }

    /// Whether nothing shows that the answer is less than it should be. Known after the last chunk.
    pub fn is_whole(&self) -> bool {
        !matches!(self.state, State::Interrupted | State::Failed)
    }

    /// What is to follow the last bytes of an interrupted stream, so that the client sees an error;
    /// `None` for any other stream.
    ///
    /// ```
    /// use sluice::endpoint::Endpoint;
    /// use sluice::usage::{interruption, Framing, Meter};
    ///
    /// let mut meter = Meter::new(Framing::Sse, false);
    /// meter.chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n", true);
    /// assert!(meter.is_interrupted());
    /// let appended = meter.interruption(Endpoint::ChatCompletions);
    /// assert_eq!(appended.as_deref(), Some(interruption(Endpoint::ChatCompletions)));
    /// ```
    pub fn interruption(&self, endpoint: Endpoint) -> Option<Vec<u8>> {
        let separator: &[u8] = match (self.framing, self.within_event) {
            (Framing::Sse, true) => b"\n\n",
            (Framing::Ndjson, true) => b"\n",
            (_, false) | (Framing::Json, true) => b"",
        };
        self.is_interrupted().then(|| [separator, interruption(endpoint)].concat())
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
            self.within_event = next.is_none();
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
        if end {
            self.state = self.state.at_end(self.reading.is_finished());
        }
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
        let Some(kind) = self.reading.read_event(self.framing, event) else {
            return false;
        };
        self.events += 1;
        self.state = self.state.after(kind);
        self.strip && kind == EventKind::UsageOnly
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
