//! Meters one answer as it passes: bytes in, at most one partial event held, a usage record at the end.

mod verdict;

use std::ops::Range;

use super::closing::Closing;
use super::digest::Digest;
use super::estimate::Generated;
use super::events::{Boundaries, Framing};
use super::format::Format;
use super::large::LargeEvent;
use super::marks::EventKind;
use super::meter_state::MeterState;
use super::passage::{emptied, Pass, Passage};
use super::reading::UsageReading;
use super::skim::Skim;
use crate::endpoint::Endpoint;

/// The largest event that is held completely by readers of its text.
pub const MAX_EVENT: usize = 1 << 20;
/// A larger event passes at once, and its digest is read. A chunk to be stripped is never this large.
pub const LARGE_EVENT: usize = 64 << 10;
/// The maximum kept size of a JSON answer. Of a larger one, everything except long strings and rows of numbers is kept.
pub const MAX_JSON: usize = 4 << 20;
/// The size from which that applies.
const LARGE_JSON: usize = 1 << 20;
/// The kept size of a JSON answer even if memory is short, in bytes.
const ALWAYS_KEPT: usize = 16 << 10;

/// The meter of one answer.
#[derive(Debug)]
pub struct Meter {
    framing: Framing,
    strip: bool,
    /// The current event from earlier chunks; of JSON, the answer so far.
    held: Vec<u8>,
    boundaries: Boundaries,
    reading: UsageReading,
    /// The kept part of a large JSON answer, instead of all of it.
    digest: Option<Box<Digest>>,
    /// The current event, if it is large.
    large: Option<Box<LargeEvent>>,
    /// An event's digest could not be kept: it may have been the last event.
    unread: bool,
    /// The bytes after a JSON answer.
    closing: Closing,
    /// The last event was removed and ended in CR: a following LF must be removed, too.
    taken_to_cr: bool,
    /// The bytes so far end inside an event.
    within_event: bool,
    /// The last event of the stream is incomplete.
    broken_off: bool,
    state: MeterState,
    /// The replacement for a chunk.
    passage: Passage,
    /// The data lines of one event, if there are several.
    lines: Vec<u8>,
    skim: Skim,
    /// The basis of an estimate, if nothing is reported.
    generated: Generated,
    /// A JSON answer that reports an error: nothing was generated.
    refused: bool,
    /// The maximum size that may be kept for reading.
    most: usize,
    /// Judges whether a JSON text is a valid answer, if that is needed.
    judge: Option<Judge>,
    /// Its judgement of the whole answer.
    is_answer: Option<bool>,
}

/// An endpoint, and the function that judges its answers.
type Judge = (Endpoint, fn(Endpoint, &[u8]) -> bool);

impl Meter {
    /// A meter for an answer. `strip` removes the chunk that only has usage, for a client that did not request it.
    ///
    /// ```
    /// use sluice::usage::{Framing, Meter, Pass, UsageSource};
    ///
    /// let mut meter = Meter::new(Framing::Sse, true);
    /// let usage = b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n";
    /// assert_eq!(meter.chunk(usage, false), Pass::Replace(b""));
    /// assert_eq!(meter.chunk(b"data: [DONE]\n\n", true), Pass::Unchanged);
    /// let (tokens, source) = meter.finish();
    /// assert_eq!((tokens.input, tokens.output, source), (7, 2, UsageSource::Reported));
    /// ```
    pub fn new(framing: Framing, strip: bool) -> Self {
        Meter {
            framing,
            strip: strip && framing == Framing::Sse,
            held: Vec::new(),
            boundaries: Boundaries::default(),
            reading: UsageReading::default(),
            digest: None,
            large: None,
            unread: false,
            closing: Closing::default(),
            taken_to_cr: false,
            within_event: false,
            broken_off: false,
            state: MeterState::Open,
            passage: Passage::default(),
            lines: Vec::new(),
            skim: Skim::default(),
            generated: Generated::default(),
            refused: false,
            most: usize::MAX,
            judge: None,
            is_answer: None,
        }
    }

    /// Judges the answer to a JSON request once it has passed; `judge` returns whether a text is an answer of the
    /// endpoint. For a large answer it gets the kept part, in which long strings and rows of numbers are shortened.
    #[must_use]
    pub fn judged(mut self, endpoint: Endpoint, judge: fn(Endpoint, &[u8]) -> bool) -> Self {
        self.judge = Some((endpoint, judge));
        self
    }

    /// Sets how much more memory may be used for the kept part of the answer. If it does not suffice, nothing more is
    /// read.
    ///
    /// ```
    /// use sluice::usage::{Framing, Meter, UsageSource};
    ///
    /// let mut meter = Meter::new(Framing::Json, false);
    /// meter.leave_room(0);
    /// meter.chunk(&[b'['; 20_000], false);
    /// assert_eq!((meter.held(), meter.finish().1), (0, UsageSource::Partial));
    /// ```
    pub fn leave_room(&mut self, room: usize) {
        self.most = self.held().saturating_add(room).max(ALWAYS_KEPT);
    }

    /// Whether it has stopped reading: the answer exceeded the limits, or there was no memory for it.
    pub fn has_given_up(&self) -> bool {
        self.state == MeterState::Beyond
    }

    /// Only reads the fields of this format. Must be called before the first chunk.
    #[must_use]
    pub fn with_format(mut self, format: Format) -> Self {
        self.reading = UsageReading::of(format);
        self
    }

    /// The next bytes of the answer; `end` with the last ones.
    pub fn chunk(&mut self, chunk: &[u8], end: bool) -> Pass<'_> {
        if self.state == MeterState::Beyond {
            self.passage = Passage::default(); // the held bytes have passed
            return Pass::Unchanged;
        }
        match self.framing {
            Framing::Json => {
                self.json(chunk, end);
                Pass::Unchanged
            }
            Framing::Sse | Framing::Ndjson | Framing::EventStream => self.stream(chunk, end),
        }
    }

    /// How many bytes of the answer are held back or kept.
    pub fn held(&self) -> usize {
        self.kept().len()
    }

    fn kept(&self) -> &[u8] {
        self.digest.as_ref().map_or(&self.held, |digest| digest.bytes())
    }

    /// Its buffers' capacity.
    pub fn reserved(&self) -> usize {
        let digest = self.digest.as_ref().map_or(0, |digest| digest.reserved());
        let large = self.large.as_ref().map_or(0, |large| large.reserved());
        digest + large + self.held.capacity() + self.passage.reserved() + self.lines.capacity() + self.skim.reserved()
    }

    fn json(&mut self, chunk: &[u8], end: bool) {
        if self.state == MeterState::Complete {
            match self.closing.takes(chunk) {
                Some(closing) if closing.is_whole() || !end => self.closing = closing,
                Some(_) | None => {
                    self.forget(); // the bytes before are not an answer either
                    self.is_answer = Some(false);
                }
            }
            return;
        }
        let begins = self.held.is_empty() && self.digest.is_none();
        if begins && chunk.len() <= MAX_JSON && looks_whole(chunk) && self.is_document(chunk) {
            return;
        }
        if self.digest.is_none() && self.held.len() + chunk.len() > LARGE_JSON {
            let mut digest = Box::<Digest>::default();
            digest.add(&std::mem::take(&mut self.held));
            self.digest = Some(digest);
        }
        match &mut self.digest {
            Some(digest) => digest.add(chunk),
            None => self.held.extend_from_slice(chunk),
        }
        if self.held() > self.most || self.digest.as_ref().is_some_and(|digest| digest.is_beyond()) {
            self.forget();
        } else if end {
            let (digest, held) = (self.digest.take(), std::mem::take(&mut self.held));
            let generated = self.generated;
            let is_document = self.is_document(digest.as_ref().map_or(&held, |digest| digest.bytes()));
            if let (Some(digest), true) = (digest, is_document) {
                self.generated = generated;
                if !self.reading.says_all() {
                    self.generated.add(digest.texts());
                }
            }
        }
    }

    /// Gives up on a JSON answer: nothing is known, and nothing more is read.
    fn forget(&mut self) {
        self.reading.forget();
        self.stop();
    }

    /// Reads a complete answer; `false` if it is invalid, and may be the beginning of one.
    fn is_document(&mut self, text: &[u8]) -> bool {
        self.is_answer = self.judge.map(|(endpoint, judge)| judge(endpoint, text));
        let mut reading = self.reading;
        let kind = reading.read_document(text);
        self.reading = reading; // of a broken text, the complete parts are known
        if kind == EventKind::Garbage {
            return false;
        }
        self.state = MeterState::Complete;
        self.refused = kind == EventKind::Error;
        if !reading.says_all() {
            self.generated.read(text);
        }
        true
    }

    fn stream(&mut self, chunk: &[u8], end: bool) -> Pass<'_> {
        self.passage.begin(!self.held.is_empty());
        let mut start = 0;
        while start < chunk.len() || end && (!self.held.is_empty() || self.large.is_some()) {
            let next = self.boundaries.next(self.framing, chunk);
            self.within_event = next.is_none();
            let next = next.or(end.then_some(chunk.len())); // only the last event may lack its blank line
            let event = start..next.unwrap_or(chunk.len());
            start = event.end;
            if self.large.is_some() || self.is_large(chunk.get(event.clone()).unwrap_or_default()) {
                self.large_event(chunk.get(event).unwrap_or_default(), next.is_some());
            } else if next.is_some() {
                self.broken_off = self.within_event && self.is_broken(chunk.get(event.clone()).unwrap_or_default());
                self.event(chunk, event);
            } else {
                start = event.start;
                break;
            }
        }
        let rest = chunk.get(start..).unwrap_or_default();
        self.held.extend_from_slice(rest);
        self.boundaries.consume(chunk.len());
        if end {
            self.state = self.state.at_end(self.reading.is_finished());
            if self.unread && self.state == MeterState::Interrupted {
                self.state = MeterState::Beyond;
            }
        }
        self.pass(chunk, start)
    }

    /// Whether the stream's unfinished last event, with these further bytes, is incomplete.
    fn is_broken(&self, part: &[u8]) -> bool {
        let event = [&self.held, part].concat();
        match UsageReading::default().read_event(self.framing, &event) {
            Some(kind) => kind == EventKind::Garbage,
            None => !event.trim_ascii().is_empty() && !event.starts_with(b":"),
        }
    }

    /// Reads an event that ends in `chunk`, and passes or removes it.
    fn event(&mut self, chunk: &[u8], range: Range<usize>) {
        let part = chunk.get(range.clone()).unwrap_or_default();
        if self.held.is_empty() {
            let taken = self.is_taken(part);
            self.passage.event(taken, chunk, range);
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(part);
        let taken = self.is_taken(&held);
        if self.strip {
            self.passage.held_event(taken, &held, range.end);
        }
        self.held = emptied(held);
    }

    /// Reads one event; `true` if it is to be removed.
    fn is_taken(&mut self, event: &[u8]) -> bool {
        let rest_of_taken = std::mem::take(&mut self.taken_to_cr) && event == b"\n";
        let taken = rest_of_taken || self.is_usage_only(event);
        self.taken_to_cr = taken && event.ends_with(b"\r");
        taken
    }

    /// Reads one event; `true` if it only has usage and is to be stripped.
    fn is_usage_only(&mut self, event: &[u8]) -> bool {
        let Some(kind) =
            self.reading.skim_event(self.framing, event, &mut self.skim, &mut self.generated, &mut self.lines)
        else {
            return false;
        };
        self.state = self.state.after(kind);
        self.strip && kind == EventKind::UsageOnly
    }

    /// Whether an event is large with these bytes. This does not depend on the cuts: a LF may arrive separately.
    fn is_large(&self, part: &[u8]) -> bool {
        let lone = usize::from(self.framing == Framing::Sse && part.ends_with(b"\r\n"));
        self.held.len() + part.len() - lone > LARGE_EVENT
    }

    /// Reads a part of a large event, which passes; reads its digest at its end. Held bytes pass first.
    fn large_event(&mut self, part: &[u8], ends: bool) {
        let mut large = self.large.take().unwrap_or_else(|| Box::new(LargeEvent::new(self.framing)));
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            large.add(&held);
            if self.strip {
                self.passage.held_event(false, &held, 0);
            }
        }
        large.add(part);
        if !ends {
            self.large = Some(large);
            return;
        }
        self.taken_to_cr = false;
        let Some(digest) = large.data() else {
            return;
        };
        self.unread |= digest.is_beyond();
        self.generated.add(digest.texts());
        let before = self.reading.tokens().output;
        let kind = self.reading.read_digest(self.framing, large.name(), digest.bytes());
        self.broken_off = self.within_event && matches!(kind, None | Some(EventKind::Garbage));
        if let Some(kind) = kind {
            self.state = self.state.after(kind);
        }
        if self.reading.tokens().output > before && self.reading.says_all() {
            self.generated.report();
        }
    }

    /// `released`: the end of the part that passes; the rest is held back.
    fn pass(&mut self, chunk: &[u8], released: usize) -> Pass<'_> {
        match self.strip {
            true => self.passage.pass(chunk, released),
            false => Pass::Unchanged,
        }
    }

    /// Stops reading: the next bytes are unavailable. Returns the held bytes, which must pass before them.
    ///
    /// ```
    /// use sluice::usage::{Framing, Meter, Pass, UsageSource};
    ///
    /// let mut meter = Meter::new(Framing::Sse, true);
    /// meter.chunk(b"data: {\"choices\":[]", false);
    /// assert_eq!(meter.give_up(), b"data: {\"choices\":[]");
    /// assert_eq!(meter.chunk(b"}\n\n", true), Pass::Unchanged);
    /// assert_eq!(meter.finish().1, UsageSource::Partial);
    /// ```
    pub fn give_up(&mut self) -> Vec<u8> {
        let held = match self.strip {
            true => std::mem::take(&mut self.held),
            false => Vec::new(),
        };
        self.stop();
        held
    }

    fn stop(&mut self) {
        self.is_answer = None;
        self.state = MeterState::Beyond;
        self.held = Vec::new();
        self.digest = None;
        self.large = None;
        self.lines = Vec::new();
        self.skim = Skim::default();
    }
}

/// Whether a chunk may be a complete JSON answer, as most are.
fn looks_whole(chunk: &[u8]) -> bool {
    matches!(chunk.trim_ascii_end().last(), Some(b'}' | b']'))
}
