//! The guard itself.

mod large;
mod unchecked;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::ending::Ending;
use super::event::{Event, Extent};
use super::event_meta::Ends;
use super::flow::{Collected, Why};
use super::pieces::Pieces;
use super::queue::{Checked, Queue};
use super::writer::StreamWriter;
use super::{Flow, Limits, Mode, Replacement, Rewrite, Window};
use crate::endpoint::Endpoint;
use crate::guard::api::Failure;
use crate::guard::texts::PassageKind;
use crate::usage::{Boundaries, Framing};

/// The maximum number of flows that are collected at a time.
const MAX_FLOWS: usize = 1024;

/// The state of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamState {
    /// More of it is expected.
    Open,
    /// Its last byte has arrived; some of it waits.
    Ended,
    /// The gateway has ended it; the rest is swallowed.
    Blocked,
    /// Nothing more is shown.
    Finished,
}

/// A guard for one streamed answer.
///
/// It must get the usage meter's output, without a usage chunk that the client did not request. The meter must get
/// every byte, even of a blocked answer.
///
/// ```
/// use std::time::Duration;
/// use sluice::endpoint::Endpoint;
/// use sluice::guard::stream::{Limits, Mode, StreamGuard};
/// use sluice::usage::Framing;
///
/// let mut guard = StreamGuard::new(Endpoint::OllamaChat, Framing::Ndjson, Mode::Window, Limits::default());
/// let event = b"{\"message\":{\"content\":\"Hello.\"},\"done\":false}\n";
/// let now = Duration::from_secs(1);
/// assert!(guard.chunk(event, false, now).is_empty(), "it waits for more");
/// assert!(guard.ready().is_none());
///
/// guard.due(now + Duration::from_millis(500));
/// let window = guard.ready().unwrap();
/// assert_eq!(window.text, "Hello.");
/// assert_eq!(guard.release(window.id, &[]), event);
/// ```
pub struct StreamGuard {
    framing: Framing,
    mode: Mode,
    limits: Limits,
    state: StreamState,
    /// The current event.
    buffer: Vec<u8>,
    boundaries: Boundaries,
    queue: Queue,
    flows: BTreeMap<Flow, Collected>,
    ready: VecDeque<Window>,
    windows: u64,
    writer: StreamWriter,
    ending: Ending,
    /// Whether the rest of an event passes unread, or is swallowed.
    skipping: bool,
    /// Whether the current event is read in pieces.
    pieces: Option<Pieces>,
    /// The bytes that complete the last shown part of an event.
    closing: Vec<u8>,
    /// Why something was not checked, and whether that has been reported.
    failures: Vec<(Failure, bool)>,
}

impl StreamGuard {
    /// A guard for an answer of this endpoint. [`Framing::Json`] is one JSON text: if it is blocked after a part of it
    /// was shown, that part is closed, so that it stays JSON.
    pub fn new(endpoint: Endpoint, framing: Framing, mode: Mode, limits: Limits) -> Self {
        StreamGuard {
            framing,
            mode,
            limits,
            state: StreamState::Open,
            buffer: Vec::new(),
            boundaries: Boundaries::default(),
            queue: Queue::default(),
            flows: BTreeMap::new(),
            ready: VecDeque::new(),
            windows: 0,
            writer: StreamWriter::new(framing, endpoint.dialect()),
            ending: Ending::new(endpoint, framing),
            skipping: false,
            pieces: None,
            closing: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Changes the texts before they are shown. Must be called before the first chunk.
    #[must_use]
    pub fn with_rewrite(mut self, rewrite: Box<dyn Rewrite>) -> Self {
        self.writer.rewrite(rewrite);
        self
    }

    /// Adds the next bytes of the answer, `end` with the last ones; returns the bytes to show now.
    pub fn chunk(&mut self, bytes: &[u8], end: bool, now: Duration) -> Vec<u8> {
        let mut out = Vec::new();
        match self.state {
            StreamState::Open | StreamState::Blocked => self.read(bytes, end, now, &mut out),
            StreamState::Ended | StreamState::Finished => {}
        }
        if end {
            self.end(&mut out);
        }
        self.due(now);
        out
    }

    /// The latest time to call [`StreamGuard::due`]; `None` if no text waits for its window to fill.
    pub fn deadline(&self) -> Option<Duration> {
        match self.mode {
            Mode::Window => self.flows.values().filter_map(|collected| collected.deadline(&self.limits)).min(),
            Mode::Final | Mode::Pass => None,
        }
    }

    /// Makes windows of the texts that have waited long enough.
    pub fn due(&mut self, now: Duration) {
        if self.mode == Mode::Window {
            let limits = self.limits;
            let due = |collected: &Collected| collected.deadline(&limits).is_some_and(|deadline| deadline <= now);
            self.cut(None, |_, collected| due(collected).then_some(Why::Now));
        }
    }

    /// The next window to check. Several may be checked at the same time, and released in any order.
    pub fn ready(&mut self) -> Option<Window> {
        self.ready.pop_front()
    }

    /// Releases a window, with `replacements` in its text; returns the bytes to show now. Replacements before the
    /// window's new text have no effect, because it has already been shown. In [`Mode::Final`] that is true of all
    /// text.
    pub fn release(&mut self, id: u64, replacements: &[Replacement]) -> Vec<u8> {
        let mut out = Vec::new();
        self.queue.release(id, replacements);
        while let Some(event) = self.queue.pop() {
            self.say(event, &mut out);
        }
        self.close(&mut out);
        out
    }

    /// Ends the answer for the client; returns the end that is shown instead. Later bytes must be passed in as before,
    /// and are swallowed, except for the usage and `[DONE]` of OpenAI's answers.
    pub fn block(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let is_ended = match self.state {
            StreamState::Open => false,
            StreamState::Ended => true,
            StreamState::Blocked | StreamState::Finished => return out,
        };
        let brackets = self.close_event(&mut out);
        self.writer.finish(&mut out);
        out.extend(self.ending.write(&brackets));
        for event in self.queue.give_up() {
            out.extend(self.ending.swallow(&event));
        }
        self.flows.clear();
        self.ready.clear();
        self.state = StreamState::Blocked;
        self.skipping |= self.pieces.take().is_some();
        if is_ended {
            self.end(&mut out);
        }
        out
    }

    /// Whether nothing more will be shown, so that the answer's end may pass.
    pub fn is_finished(&self) -> bool {
        self.state == StreamState::Finished
    }

    /// Whether [`StreamGuard::block`] or [`Unchecked::Block`] ended the answer, and more of it may arrive.
    pub fn is_blocked(&self) -> bool {
        self.state == StreamState::Blocked
    }

    /// Why something passed unchecked, or ended the answer because it could not be checked; once for each reason.
    pub fn unchecked(&mut self) -> Option<Failure> {
        let news = self.failures.iter_mut().find(|(_, told)| !told)?;
        news.1 = true;
        Some(news.0)
    }

    /// Whether that happened.
    pub fn is_unchecked(&self) -> bool {
        !self.failures.is_empty()
    }

    fn note(&mut self, failure: Failure) {
        if !self.failures.iter().any(|(known, _)| *known == failure) {
            self.failures.push((failure, false));
        }
    }

    /// The number of held bytes.
    pub fn held(&self) -> usize {
        let collected: usize = self.flows.values().map(Collected::len).sum();
        self.buffer.len() + self.queue.weight() + self.writer.held() + collected + self.ready_length()
    }

    /// The size of the events that wait for their checks, in bytes.
    pub fn waiting(&self) -> usize {
        self.queue.bytes()
    }

    /// The size of the windows that have not been taken yet, in bytes.
    fn ready_length(&self) -> usize {
        self.ready.iter().map(|window| window.text.len()).sum()
    }

    fn read(&mut self, bytes: &[u8], end: bool, now: Duration, out: &mut Vec<u8>) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(stop) = self.boundaries.next(self.framing, &buffer) {
            let event = buffer.get(start..stop).unwrap_or_default().to_vec();
            start = stop;
            match std::mem::take(&mut self.skipping) {
                true => self.skip(event, out),
                false => self.event(event, false, now, out),
            }
        }
        buffer.drain(..start);
        self.boundaries.consume(start);
        if self.skipping {
            self.boundaries.consume(buffer.len());
            self.skip(buffer, out);
        } else if !end && (self.pieces.is_some() || buffer.len() > self.limits.event) {
            self.read_part(buffer, now, out);
        } else if end && !buffer.is_empty() {
            self.event(buffer, end, now, out);
        } else {
            self.buffer = buffer;
        }
    }

    /// A complete event; `last`: nothing follows it, not even its blank line.
    fn event(&mut self, bytes: Vec<u8>, last: bool, now: Duration, out: &mut Vec<u8>) {
        if self.pieces.is_some() || self.state == StreamState::Open && bytes.len() > self.limits.event {
            self.read_pieces(&bytes, true, now, out);
            return;
        }
        if self.state == StreamState::Blocked {
            let (event, _) = Event::read(self.framing, bytes, |_| ());
            out.extend(self.ending.swallow(&event));
            return;
        }
        if self.state != StreamState::Open {
            return;
        }
        let (mut event, error) = Event::read(self.framing, bytes, |meta| self.ending.see(meta));
        if error.is_some_and(|error| self.refuses(error, out)) {
            return;
        }
        if last {
            event.ends = Ends::All;
        }
        self.take(event, now, out);
    }

    /// Passes a parsed event, or a part of one, or queues it for its checks.
    fn take(&mut self, mut event: Event, now: Duration, out: &mut Vec<u8>) {
        self.collect(&mut event, now);
        if self.queue.is_empty() && event.pending == 0 {
            self.say(event, out);
        } else {
            self.queue.push(event);
        }
        if self.queue.weight().max(self.ready_length()) > self.limits.held || self.flows.len() > MAX_FLOWS {
            self.give_up(out);
        }
    }

    /// Collects the event's texts, and makes windows of those to check now.
    fn collect(&mut self, event: &mut Event, now: Duration) {
        let waits = match self.mode {
            Mode::Pass => return,
            Mode::Window => true,
            Mode::Final => false,
        };
        let number = self.queue.next_number();
        let checked = event.said.iter().enumerate().filter(|(_, said)| said.flow.kind != PassageKind::Given);
        let mut pending = 0;
        for (position, said) in checked {
            pending += 1;
            let collected = self.flows.entry(said.flow).or_default();
            collected.add(said, said.flow.whole, waits.then_some((number, position)), now);
        }
        if !waits {
            let collected: usize = self.flows.values().map(Collected::len).sum();
            if collected >= self.limits.collected {
                self.cut(None, |_, _| Some(Why::Now));
            }
            return;
        }
        event.pending = pending;
        let limits = self.limits;
        let ends = &event.ends;
        let has_ended =
            |flow: &Flow, collected: &Collected| !collected.is_open() && (flow.whole || ends.has(flow.choice));
        let why = |flow: &Flow, collected: &Collected| match has_ended(flow, collected) {
            true => Some(Why::End),
            false => collected.is_full(&limits),
        };
        event.pending += self.cut(Some(number), why);
        self.flows.retain(|flow, collected| !has_ended(flow, collected));
    }

    /// Makes windows of the flows with a reason. Returns how many texts of the event with the number `latest`, which is
    /// not queued yet, continue in another window.
    fn cut(&mut self, latest: Option<u64>, why: impl Fn(&Flow, &Collected) -> Option<Why>) -> usize {
        let mut divided = 0;
        for (flow, collected) in &mut self.flows {
            let Some(why) = why(flow, collected) else {
                continue;
            };
            let overlap = if flow.whole && !collected.is_open() { 0 } else { self.limits.overlap };
            let begins = collected.fresh();
            let Some(cut) = collected.cut(overlap, why) else {
                continue;
            };
            self.windows += 1;
            let id = self.windows;
            self.ready.push_back(Window { id, flow: *flow, text: cut.text, fresh: cut.fresh });
            match cut.divided {
                Some(event) if Some(event) == latest => divided += 1,
                Some(event) => self.queue.divide(event),
                None => {}
            }
            if self.mode == Mode::Window {
                self.queue.check(Checked { id, written: cut.written, fresh: begins, pieces: cut.pieces });
            }
        }
        divided
    }

    fn say(&mut self, mut event: Event, out: &mut Vec<u8>) {
        self.ending.shown(&event);
        self.closing = match &mut event.extent {
            Extent::Piece { closing } => std::mem::take(closing),
            Extent::Whole | Extent::Last => Vec::new(),
        };
        self.writer.write(event, out);
    }

    /// The last byte has arrived.
    fn end(&mut self, out: &mut Vec<u8>) {
        match self.state {
            StreamState::Open => {
                self.state = StreamState::Ended;
                self.cut(None, |_, _| Some(Why::End));
                self.close(out);
            }
            StreamState::Blocked => {
                out.extend(self.ending.finish());
                self.state = StreamState::Finished;
            }
            StreamState::Ended | StreamState::Finished => {}
        }
    }

    /// Whether the last waiting event has been shown.
    fn close(&mut self, out: &mut Vec<u8>) {
        if self.state == StreamState::Ended && self.queue.is_empty() {
            self.writer.finish(out);
            self.state = StreamState::Finished;
        }
    }
}
