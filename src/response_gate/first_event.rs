//! Holds a streamed answer until its first event shows whether it is valid.

use std::ops::Range;

use super::Refusal;
use crate::endpoint::{Dialect, Endpoint};
use crate::usage::{event_data, Boundaries, EventKind, Framing, UsageReading};

/// The maximum number of bytes that are held. Errors are short and come early, so a longer first event is an answer (an
/// image, or a response that repeats its instructions).
pub const MAX_HELD: usize = 64 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The decision about the held bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Undecided.
    Hold,
    /// It is an answer: pass it to the client, with all following bytes.
    Commit,
    /// It has failed; another target can be tried.
    Reject(Fault),
}

/// Why a stream has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not a stream but a web page, or one JSON text.
    NotAStream,
    /// Its first event is an error.
    ErrorEvent,
    /// It ended, with or without `[DONE]`, before any event with content.
    EmptyStream,
    /// Its first event is not JSON, perhaps because it was cut.
    Garbage,
}

impl Fault {
    /// All faults.
    pub const ALL: [Fault; 4] = [Fault::NotAStream, Fault::ErrorEvent, Fault::EmptyStream, Fault::Garbage];

    /// The label in stats.
    pub fn label(self) -> &'static str {
        match self {
            Fault::NotAStream => "not_a_stream",
            Fault::ErrorEvent => "error_event",
            Fault::EmptyStream => "empty_stream",
            Fault::Garbage => "garbage",
        }
    }
}

/// Watches the start of one stream.
///
/// Comments, pings and other preliminaries are held too (Anthropic's `message_start`, OpenAI Responses'
/// `response.created`, chunks without choices), because overloaded servers send them before they fail. The first event
/// with a part of the answer, or a proper end, commits. That includes OpenAI's chunk with only the role: servers that
/// send it have begun to answer.
#[derive(Debug)]
pub struct FirstEvent {
    dialect: Dialect,
    declared: Option<Framing>,
    /// The unjudged bytes of the current event.
    held: Vec<u8>,
    /// How many bytes have arrived, held or judged.
    seen: usize,
    /// The error for which it was rejected.
    error: Vec<u8>,
    format: BodyFormat,
}

/// The kind of bytes.
#[derive(Debug)]
enum BodyFormat {
    /// Only white space so far.
    Beginning,
    /// Events, each with its own end.
    Events(Framing, Boundaries),
    /// Gemini's array of answers, or a single answer.
    Elements(FirstObject),
}

impl FirstEvent {
    /// Starts to watch an answer that should be a stream. `content_type` is its header; the first bytes show its kind.
    /// An answer with a `content-encoding` must not be watched, because its bytes are not readable.
    ///
    /// ```
    /// use sluice::response_gate::{Fault, FirstEvent, Gate};
    /// use sluice::endpoint::Endpoint;
    ///
    /// let mut first = FirstEvent::new(Endpoint::ChatCompletions, Some("text/event-stream"))?;
    /// assert_eq!(first.chunk(b": keep-alive\n\ndata: {\"err", false), Gate::Hold);
    /// assert_eq!(first.chunk(b"or\":{\"message\":\"Overloaded\"}}\n\n", false), Gate::Reject(Fault::ErrorEvent));
    ///
    /// let mut first = FirstEvent::new(Endpoint::ChatCompletions, Some("text/event-stream"))?;
    /// assert_eq!(first.chunk(b"data: {\"choices\":[{\"delta\":{}}]}\n\n", false), Gate::Commit);
    ///
    /// let web_page = FirstEvent::new(Endpoint::ChatCompletions, Some("text/html"));
    /// assert_eq!(web_page.err(), Some(Fault::NotAStream));
    /// # Ok::<(), Fault>(())
    /// ```
    ///
    /// # Errors
    /// [`Fault::NotAStream`] if the header says that it is a web page.
    pub fn new(endpoint: Endpoint, content_type: Option<&str>) -> Result<Self, Fault> {
        let dialect = endpoint.dialect();
        let content_type = content_type.filter(|content_type| !content_type.trim().is_empty());
        if content_type.is_some_and(is_web_page) {
            return Err(Fault::NotAStream);
        }
        let declared = content_type.map(Framing::of_content_type);
        Ok(FirstEvent {
            dialect,
            declared,
            held: Vec::new(),
            seen: 0,
            error: Vec::new(),
            format: BodyFormat::Beginning,
        })
    }

    /// Judges the stream by the new bytes; `end` if they are the last ones. After any result except [`Gate::Hold`], it
    /// must not be called again.
    pub fn chunk(&mut self, bytes: &[u8], end: bool) -> Gate {
        let room = MAX_HELD.saturating_sub(self.seen);
        let too_long = bytes.len() > room;
        let bytes = bytes.get(..room).unwrap_or(bytes);
        self.seen += bytes.len();
        self.held.extend_from_slice(bytes);
        match self.judge(end && !too_long) {
            Gate::Hold if too_long => Gate::Commit,
            gate => gate,
        }
    }

    fn judge(&mut self, end: bool) -> Gate {
        if let BodyFormat::Beginning = self.format {
            let Some(first) = self.first_byte() else {
                return if end { Gate::Reject(Fault::EmptyStream) } else { Gate::Hold };
            };
            match self.framing(first) {
                Some(Framing::Json) => self.format = BodyFormat::Elements(FirstObject::default()),
                Some(framing) => self.format = BodyFormat::Events(framing, Boundaries::default()),
                None => return Gate::Reject(Fault::NotAStream),
            }
        }
        match &mut self.format {
            BodyFormat::Beginning => Gate::Hold,
            BodyFormat::Events(framing, boundaries) => {
                judge_events(*framing, boundaries, &mut self.held, &mut self.error, end)
            }
            BodyFormat::Elements(object) => judge_element(object, &self.held, &mut self.error, end),
        }
    }

    /// The error's meaning for which the stream was rejected; `None` if there is none, or it has no known code. `model`
    /// is the target's name for the model.
    pub fn refusal(&self, model: &str) -> Option<Refusal> {
        Refusal::judge_reported(&self.error, model)
    }

    /// The first byte that is neither white space nor part of a byte order mark; those are skipped.
    fn first_byte(&mut self) -> Option<u8> {
        loop {
            let blank = self.held.len() - self.held.trim_ascii_start().len();
            self.held.drain(..blank);
            if self.held.starts_with(BOM) {
                self.held.drain(..BOM.len());
            } else if BOM.starts_with(&self.held) {
                return None;
            } else {
                return self.held.first().copied();
            }
        }
    }

    /// The events' framing, from the header and the first byte; `None` if it is not a stream.
    fn framing(&self, first: u8) -> Option<Framing> {
        match (self.dialect, first) {
            // an object, or a proxy's `null` before it
            (Dialect::Ollama, b'{' | b'n') => Some(Framing::Ndjson),
            (Dialect::Gemini, b'[') if self.declared != Some(Framing::Sse) => Some(Framing::Json),
            (Dialect::Gemini, b'{') if !matches!(self.declared, Some(Framing::Sse | Framing::Ndjson)) => {
                Some(Framing::Json)
            }
            // no event field starts like this: it is JSON, or a web page
            (Dialect::Ollama, _) | (_, b'{' | b'[' | b'<') => None,
            (Dialect::Converse, _) => Some(Framing::EventStream),
            // the names of an event's fields, and a comment
            (_, b'd' | b'e' | b'i' | b'r' | b':') => Some(Framing::Sse),
            (Dialect::Gemini, _) if self.declared == Some(Framing::Json) => None,
            (Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini, _) => Some(Framing::Sse),
        }
    }
}

/// Whether an answer with this `content-type` cannot be a stream. Other types prove nothing, because proxies and
/// servers label their events as `text/plain`, `application/json`, and so on.
fn is_web_page(content_type: &str) -> bool {
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html")
}

/// Judges the complete events, and drops those without content.
fn judge_events(
    framing: Framing,
    boundaries: &mut Boundaries,
    held: &mut Vec<u8>,
    error: &mut Vec<u8>,
    end: bool,
) -> Gate {
    let mut start = 0;
    while start < held.len() {
        let next = boundaries.next(framing, held);
        let Some(stop) = next.or(end.then_some(held.len())) else {
            break; // only the last event may lack its blank line
        };
        let event = held.get(start..stop).unwrap_or_default();
        let gate = judge_event(framing, event);
        if gate == Gate::Reject(Fault::ErrorEvent) {
            let data = if framing == Framing::Sse { event_data(event) } else { Some(event.into()) };
            error.extend_from_slice(&data.unwrap_or_default());
        }
        if gate != Gate::Hold {
            return gate;
        }
        start = stop;
    }
    boundaries.consume(start);
    held.drain(..start);
    if end {
        Gate::Reject(Fault::EmptyStream)
    } else {
        Gate::Hold
    }
}

fn judge_event(framing: Framing, event: &[u8]) -> Gate {
    match UsageReading::default().read_event(framing, event) {
        None | Some(EventKind::Preliminary | EventKind::UsageOnly) => Gate::Hold,
        Some(EventKind::Content | EventKind::Terminal) => Gate::Commit,
        Some(EventKind::Error | EventKind::Failure) => Gate::Reject(Fault::ErrorEvent),
        Some(EventKind::Done) => Gate::Reject(Fault::EmptyStream),
        Some(EventKind::Garbage) => Gate::Reject(Fault::Garbage),
    }
}

/// Judges the first answer of Gemini's array once it is complete. The array has no preliminaries.
fn judge_element(object: &mut FirstObject, held: &[u8], error: &mut Vec<u8>, end: bool) -> Gate {
    match object.search(held) {
        Some(Ok(span)) => match UsageReading::default().read(held.get(span.clone()).unwrap_or_default()) {
            EventKind::Error | EventKind::Failure => {
                error.extend_from_slice(held.get(span).unwrap_or_default());
                Gate::Reject(Fault::ErrorEvent)
            }
            EventKind::Garbage => Gate::Reject(Fault::Garbage),
            EventKind::Content
            | EventKind::Preliminary
            | EventKind::UsageOnly
            | EventKind::Terminal
            | EventKind::Done => Gate::Commit,
        },
        Some(Err(fault)) => Gate::Reject(fault),
        None if end => Gate::Reject(if object.start.is_some() { Fault::Garbage } else { Fault::EmptyStream }),
        None => Gate::Hold,
    }
}

/// Finds the first object of a JSON text, which may be an array of objects, without reading a byte twice. It only
/// counts brackets; the object is parsed once it is complete.
#[derive(Debug, Default)]
struct FirstObject {
    scanned: usize,
    start: Option<usize>,
    /// The number of open brackets.
    depth: usize,
    position: ScanPosition,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ScanPosition {
    #[default]
    Outside,
    String,
    /// After a backslash in a string.
    Escape,
}

impl FirstObject {
    /// The object's position in `text`, which has grown since the last call. `None` until it is complete.
    fn search(&mut self, text: &[u8]) -> Option<Result<Range<usize>, Fault>> {
        while let Some(byte) = text.get(self.scanned) {
            let at = self.scanned;
            self.scanned += 1;
            match self.start {
                None => match byte {
                    b'{' => {
                        self.start = Some(at);
                        self.depth = 1;
                    }
                    b'[' if at == 0 => {}
                    b' ' | b'\t' | b'\r' | b'\n' => {}
                    b']' => return Some(Err(Fault::EmptyStream)),
                    _ => return Some(Err(Fault::Garbage)),
                },
                Some(start) => {
                    self.step(*byte);
                    if self.depth == 0 {
                        return Some(Ok(start..self.scanned));
                    }
                }
            }
        }
        None
    }

    fn step(&mut self, byte: u8) {
        self.position = match (self.position, byte) {
            (ScanPosition::Outside, b'"') | (ScanPosition::Escape, _) => ScanPosition::String,
            (ScanPosition::String, b'"') => ScanPosition::Outside,
            (ScanPosition::String, b'\\') => ScanPosition::Escape,
            (position, _) => position,
        };
        match (self.position, byte) {
            (ScanPosition::Outside, b'{' | b'[') => self.depth += 1,
            (ScanPosition::Outside, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}
