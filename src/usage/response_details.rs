//! What traces tell of an answer besides its usage: its id, and why it ended.

use std::borrow::Cow;

use super::events::{event_data, Boundaries, Framing};
use crate::eventstream::Message;
use crate::json::{JsonError, Scanner, Value};

/// The largest event, or JSON answer, that is read. Of a larger one, nothing is known.
const MAX_HELD: usize = 64 << 10;
/// The longest id and reason, in bytes.
const MAX_TEXT: usize = 100;
/// The maximum number of reasons: one for each choice.
const MAX_REASONS: usize = 8;

/// What is read of an answer as it passes to the client, in any dialect.
///
/// ```
/// use sluice::usage::{Framing, ResponseDetails};
///
/// let mut details = ResponseDetails::new(Framing::Sse);
/// details.chunk(b"data: {\"id\":\"c-1\",\"choices\":[{\"index\":0,\"finish_re", false);
/// details.chunk(b"ason\":\"stop\"}]}\n\ndata: [DONE]\n\n", true);
/// assert_eq!((details.id(), details.finish_reasons().as_str()), (Some("c-1"), "stop"));
/// ```
#[derive(Debug)]
pub struct ResponseDetails {
    framing: Framing,
    boundaries: Boundaries,
    /// The current event from earlier chunks; of JSON, the answer so far.
    held: Vec<u8>,
    /// The current event is too large.
    skips: bool,
    found: Found,
}

/// What has been found.
#[derive(Debug, Default)]
struct Found {
    id: Option<String>,
    reasons: Vec<String>,
}

impl ResponseDetails {
    /// For an answer whose events are separated like this.
    pub fn new(framing: Framing) -> Self {
        ResponseDetails {
            framing,
            boundaries: Boundaries::default(),
            held: Vec::new(),
            skips: false,
            found: Found::default(),
        }
    }

    /// The answer's id.
    pub fn id(&self) -> Option<&str> {
        self.found.id.as_deref()
    }

    /// Why its choices ended, separated by commas; empty if none says so.
    pub fn finish_reasons(&self) -> String {
        self.found.reasons.join(",")
    }

    /// The next bytes of the answer; `end` with the last ones.
    pub fn chunk(&mut self, chunk: &[u8], end: bool) {
        let mut start = 0;
        while start < chunk.len() {
            let Some(next) = self.boundaries.next(self.framing, chunk) else {
                break;
            };
            self.hold(chunk.get(start..next).unwrap_or_default());
            self.event();
            start = next;
        }
        self.hold(chunk.get(start..).unwrap_or_default());
        self.boundaries.consume(chunk.len());
        if end {
            self.event(); // only the last one may lack its blank line
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.held.len() + bytes.len() > MAX_HELD {
            self.skips = true;
            self.held = Vec::new();
        }
        if !self.skips {
            self.held.extend_from_slice(bytes);
        }
    }

    /// The current event is complete.
    fn event(&mut self) {
        let event = std::mem::take(&mut self.held);
        if std::mem::take(&mut self.skips) {
            return;
        }
        let data = match self.framing {
            Framing::Sse => event_data(&event),
            Framing::Json | Framing::Ndjson => Some(Cow::Borrowed(event.as_slice())),
            Framing::EventStream => Message::parse(&event).map(|message| Cow::Borrowed(message.payload)),
        };
        if let Some(data) = data {
            // what is broken was not read to its end; what was found before stays
            let _ = self.found.answer(&mut Scanner::new(&data));
        }
    }
}

impl Found {
    /// Reads an event's data, or an answer: also the one inside of Anthropic's and OpenAI's events.
    fn answer(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        if scanner.peek() == Some(b'[') {
            // Gemini without `alt=sse`
            scanner.array(|scanner| self.answer(scanner))?;
            return Ok(());
        }
        scanner.object(|key, scanner| {
            match key.raw() {
                b"id" | b"responseId" => self.id(scanner.value()?),
                b"stop_reason" | b"stopReason" | b"done_reason" => self.reason(scanner.value()?),
                b"choices" | b"candidates" => self.choices(scanner)?,
                b"message" | b"response" | b"delta" => self.nested(scanner)?,
                _ => {
                    scanner.value()?;
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Anthropic's `message` and `delta`, and the `response` of OpenAI's Responses.
    fn nested(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.object(|key, scanner| {
            let value = scanner.value()?;
            match (key.raw(), value) {
                (b"id", value) => self.id(value),
                (b"stop_reason", value) => self.reason(value),
                (b"status", Value::String(status)) if !status.is("in_progress") && !status.is("queued") => {
                    self.reason(value);
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(())
    }

    fn choices(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.array(|scanner| {
            scanner.object(|key, scanner| {
                let value = scanner.value()?;
                if matches!(key.raw(), b"finish_reason" | b"finishReason") {
                    self.reason(value);
                }
                Ok(())
            })?;
            Ok(())
        })?;
        Ok(())
    }

    fn id(&mut self, value: Value<'_>) {
        if let (None, Some(id)) = (&self.id, short(value)) {
            self.id = Some(id);
        }
    }

    fn reason(&mut self, value: Value<'_>) {
        if self.reasons.len() < MAX_REASONS {
            self.reasons.extend(short(value));
        }
    }
}

/// A text that is neither empty nor long.
fn short(value: Value<'_>) -> Option<String> {
    match value {
        Value::String(text) => Some(text.decode().into_owned()).filter(|text| (1..=MAX_TEXT).contains(&text.len())),
        _ => None,
    }
}
