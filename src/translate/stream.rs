//! Streams: a provider's events come in, cut at any place, and the client's events go out.

use super::failure::ProviderError;
use super::raw::Raw;
use super::writer::Writer;
use crate::eventstream::{Message, MessageKind};
use crate::response_gate::{Fault, Gate};
use crate::usage::{event_data, Boundaries, Framing};

/// The largest event that is read; it may contain an image.
pub const MAX_EVENT: usize = 8 << 20;
/// The part of an event that is stored even if memory is short, in bytes.
const ALWAYS_KEPT: usize = 16 << 10;
/// A larger buffer is freed once it is empty, in bytes.
const KEPT_BUFFER: usize = 64 << 10;

/// The translation of a pair's events.
pub(super) trait Machine: std::fmt::Debug {
    /// Translates one event's data.
    fn event(&mut self, event: Raw<'_>, out: &mut Writer) -> Said;
    /// The same for an event of a binary stream, whose type is only in its name.
    fn named(&mut self, _: &str, event: Raw<'_>, out: &mut Writer) -> Said {
        self.event(event, out)
    }
    /// Whether the provider has sent a finish reason, so that nothing is missing if the stream ends.
    fn is_finished(&self) -> bool;
    /// Writes the end of a complete stream.
    fn end(&mut self, out: &mut Writer);
    /// Writes an error event. Nothing follows.
    fn fail(&mut self, failure: &ProviderError<'_>, out: &mut Writer);
    /// Whether the answer ended with an unknown finish reason.
    fn unknown_reason(&self) -> bool;
    /// Its heap memory in bytes.
    fn reserved(&self) -> usize;
}

/// The meaning of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// No content yet.
    Nothing,
    /// A part of the answer, or a finish reason.
    Content,
    /// The stream is complete.
    End,
    /// The provider reports an error.
    Error,
}

/// The state of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamPhase {
    /// Nothing to commit to has arrived.
    Waiting,
    /// It is a valid answer.
    Answering,
    /// Its end has been written.
    Ended,
    /// An error has been written; nothing may follow. The fault, if it came before any content.
    Failed(Option<Fault>),
}

/// The translation of one stream.
#[derive(Debug)]
pub struct Stream {
    machine: Box<dyn Machine>,
    /// The framing of the provider's events.
    framing: Framing,
    /// The current event.
    held: Vec<u8>,
    boundaries: Boundaries,
    out: Writer,
    phase: StreamPhase,
    /// The maximum stored size of an event.
    most: usize,
    /// Whether it has ended because memory was short.
    starved: bool,
    /// Whether an answer without a last event is complete.
    lenient: bool,
    /// Whether the last event is incomplete.
    broken_off: bool,
}

impl Stream {
    pub(super) fn new(machine: Box<dyn Machine>, framing: Framing) -> Self {
        Stream {
            machine,
            framing,
            held: Vec::new(),
            boundaries: Boundaries::default(),
            out: Writer::default(),
            phase: StreamPhase::Waiting,
            most: MAX_EVENT,
            starved: false,
            lenient: false,
            broken_off: false,
        }
    }

    /// Sets how much more memory the current event may use. If it does not suffice, the stream ends with an error.
    pub fn leave_room(&mut self, room: usize) {
        self.most = self.held.len().saturating_add(room).clamp(ALWAYS_KEPT, MAX_EVENT);
    }

    /// Ends the stream with an error, because there is no memory for the next bytes. Returns the same as
    /// [`chunk`](Stream::chunk).
    pub fn starve(&mut self) -> Gate {
        if self.is_open() {
            self.starved = true;
            self.held = Vec::new();
            self.fail(&ProviderError::out_of_memory(), Fault::Garbage);
        }
        self.gate()
    }

    /// Whether it has ended because memory was short: that is not its server's fault.
    pub fn is_starved(&self) -> bool {
        self.starved
    }

    /// Must be called before the last bytes if this provider never sends a last event. Then an answer that has begun,
    /// and ends between two events, is complete.
    pub fn may_end_without_marker(&mut self) {
        self.lenient = true;
    }

    /// Translates the next bytes; `end` with the last ones. Returns whether to commit to the stream: after an error
    /// before the commit, another attempt is possible. Then the [written](Stream::written) bytes must be discarded;
    /// otherwise they go to the client.
    pub fn chunk(&mut self, bytes: &[u8], end: bool) -> Gate {
        if self.is_open() {
            self.held.extend_from_slice(bytes);
            self.events(end);
        }
        if end && self.is_open() {
            let unsaid = self.lenient && self.phase == StreamPhase::Answering && !self.broken_off;
            match unsaid || self.machine.is_finished() {
                true => self.finish(),
                false => self.fail(&ProviderError::interrupted(), Fault::EmptyStream),
            }
        }
        self.gate()
    }

    fn gate(&self) -> Gate {
        match self.phase {
            StreamPhase::Waiting => Gate::Hold,
            StreamPhase::Failed(Some(fault)) => Gate::Reject(fault),
            StreamPhase::Answering | StreamPhase::Ended | StreamPhase::Failed(None) => Gate::Commit,
        }
    }

    /// The client's next bytes. [Clear](Stream::clear) them once they are sent.
    pub fn written(&self) -> &[u8] {
        self.out.as_str().as_bytes()
    }

    /// The written bytes have been sent.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Whether the stream has ended incomplete, with an error to the client.
    pub fn has_failed(&self) -> bool {
        matches!(self.phase, StreamPhase::Failed(_))
    }

    /// Whether the answer ended with an unknown finish reason.
    pub fn unknown_reason(&self) -> bool {
        self.machine.unknown_reason()
    }

    /// Its buffers' capacity.
    pub fn reserved(&self) -> usize {
        self.held.capacity() + self.out.reserved() + self.machine.reserved()
    }

    fn is_open(&self) -> bool {
        matches!(self.phase, StreamPhase::Waiting | StreamPhase::Answering)
    }

    fn events(&mut self, end: bool) {
        let held = std::mem::take(&mut self.held);
        let mut start = 0;
        while start < held.len() && self.is_open() {
            let next = self.boundaries.next(self.framing, &held);
            let Some(stop) = next.or(end.then_some(held.len())) else {
                break; // only the last event may lack its blank line
            };
            let event = held.get(start..stop).unwrap_or_default();
            if self.framing == Framing::EventStream {
                self.message(event, next.is_some());
                start = stop;
                continue;
            }
            let says_nothing = event.trim_ascii().is_empty() || event.starts_with(b":");
            self.broken_off = next.is_none() && !says_nothing && event_data(event).is_none();
            self.event(event);
            start = stop;
        }
        self.held = held;
        self.held.drain(..start.min(self.held.len()));
        self.boundaries.consume(start);
        if self.held.len() > MAX_EVENT {
            self.fail(&ProviderError::unreadable(), Fault::Garbage);
        } else if self.held.len() > self.most {
            self.starve();
        }
        if !self.is_open() || self.held.is_empty() && self.held.capacity() > KEPT_BUFFER {
            self.held = Vec::new();
        }
    }

    fn event(&mut self, event: &[u8]) {
        let Some(data) = event_data(event) else {
            return;
        };
        let data = data.trim_ascii();
        if data.is_empty() {
            return;
        }
        if data == b"[DONE]" {
            return match self.phase == StreamPhase::Answering || self.machine.is_finished() {
                true => self.finish(),
                false => self.fail(&ProviderError::interrupted(), Fault::EmptyStream),
            };
        }
        let Some(raw) = Raw::parse(data).filter(|raw| raw.is_object()) else {
            return self.fail(&ProviderError::unreadable(), Fault::Garbage);
        };
        let said = self.machine.event(raw, &mut self.out);
        self.go_on(said, raw);
    }

    /// A message of a binary stream.
    fn message(&mut self, bytes: &[u8], whole: bool) {
        if !whole {
            return self.fail(&ProviderError::interrupted(), Fault::EmptyStream);
        }
        let Some(message) = Message::parse(bytes) else {
            return self.fail(&ProviderError::unreadable(), Fault::Garbage);
        };
        if message.kind != MessageKind::Event {
            return self.fail(&ProviderError::of_message(&message), Fault::ErrorEvent);
        }
        let Some(raw) = Raw::parse(message.payload).filter(|raw| raw.is_object()) else {
            return self.fail(&ProviderError::unreadable(), Fault::Garbage);
        };
        let said = self.machine.named(message.name, raw, &mut self.out);
        self.go_on(said, raw);
    }

    fn go_on(&mut self, said: Said, event: Raw<'_>) {
        match said {
            Said::Nothing => {}
            Said::Content => self.phase = StreamPhase::Answering,
            Said::End => self.finish(),
            Said::Error => self.fail(&ProviderError::of_event(event), Fault::ErrorEvent),
        }
    }

    fn finish(&mut self) {
        self.machine.end(&mut self.out);
        self.phase = StreamPhase::Ended;
    }

    fn fail(&mut self, failure: &ProviderError<'_>, fault: Fault) {
        self.machine.fail(failure, &mut self.out);
        self.phase = StreamPhase::Failed((self.phase == StreamPhase::Waiting).then_some(fault));
    }
}
