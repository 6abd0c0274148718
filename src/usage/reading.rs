//! Reads usage from one JSON text: a complete answer, or one event of a stream.
//!
//! The shapes do not conflict, so one reader serves all dialects: OpenAI's and Anthropic's `usage`, OpenAI Responses'
//! `response.usage`, Anthropic's `message.usage`, Gemini's `usageMetadata`, Ollama's `*_eval_count`, and the places
//! that compatible servers use (`choices[].usage`, `x_groq.usage`, `timings`, `metrics`). Names are compared as
//! written: no provider escapes a letter of them.

use super::choices::{is_reason, Choices, ChoicesSeen};
use super::closing::Closing;
use super::counts::Counts;
use super::estimate::Generated;
use super::events::{Fields, Framing};
use super::format::Format;
use super::marks::{is_blank, is_envelope, says_nothing, EventKind, Marks};
use super::skim::Skim;
use super::TokenUsage;
use crate::eventstream::{Message, MessageKind};
use crate::json::{JsonError, Scanner, Value};

/// The usage read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageReading {
    format: Format,
    counts: Counts,
    choices: Choices,
    /// The prompts whose usage has been added, one bit each by index: TGI reports each prompt's with its last chunk.
    prompts: u32,
    /// Anthropic's message, or Converse's, has a stop reason.
    stopped: bool,
    /// The output was reported last before there was any, as Anthropic's `message_start` does.
    early: bool,
}

impl UsageReading {
    /// Only reads the fields of one format.
    pub fn of(format: Format) -> Self {
        UsageReading { format, ..UsageReading::default() }
    }

    /// The text was not part of an answer.
    pub(super) fn forget(&mut self) {
        *self = UsageReading::of(self.format);
    }

    /// Whether anything was reported, once there was something to report.
    pub fn is_reported(&self) -> bool {
        self.counts.is_reported() && !self.early
    }

    /// Whether the server seems to have counted its tokens.
    pub(super) fn says_all(&self) -> bool {
        let tokens = self.tokens();
        self.is_reported() && tokens.is_plausible() && tokens.total() > 0
    }

    /// Whether every choice so far, or Anthropic's message, has a finish reason. Some compatible servers send nothing
    /// after that, no `[DONE]` and no `message_stop`.
    pub fn is_finished(&self) -> bool {
        self.stopped || self.choices.begun != 0 && self.choices.begun == self.choices.ended
    }

    /// Whether there were choices, and all of them are parts of an answer. (`false` does not prove that there is no
    /// answer.)
    pub(super) fn has_good_choices(&self) -> bool {
        self.choices.begun != 0 && !self.choices.failed
    }

    /// The tokens, by the inclusive contract.
    pub fn tokens(&self) -> TokenUsage {
        self.counts.tokens(self.format)
    }

    /// Reads one event of a stream with its framing. `None` if it has no data: comments and blank lines are not events.
    ///
    /// ```
    /// use sluice::usage::{EventKind, Framing, UsageReading};
    ///
    /// let mut reading = UsageReading::default();
    /// assert_eq!(reading.read_event(Framing::Sse, b": ping\n\n"), None);
    /// assert_eq!(reading.read_event(Framing::Sse, b"event: error\ndata: overloaded\n\n"), Some(EventKind::Error));
    /// assert_eq!(reading.read_event(Framing::Ndjson, b"{\"done\":true}\n"), Some(EventKind::Terminal));
    /// ```
    pub fn read_event(&mut self, framing: Framing, event: &[u8]) -> Option<EventKind> {
        self.event(framing, event, &mut Vec::new(), Self::read)
    }

    /// The same for a caller that only needs the usage and the end: an event that certainly has neither counts as
    /// [`EventKind::Content`] without being parsed. Its text is added to `generated`. Several data lines are joined in
    /// `lines`.
    pub(super) fn skim_event(
        &mut self,
        framing: Framing,
        event: &[u8],
        skim: &mut Skim,
        generated: &mut Generated,
        lines: &mut Vec<u8>,
    ) -> Option<EventKind> {
        self.event(framing, event, lines, |reading, data| {
            generated.read(data);
            if skim.says_nothing(data, reading.choices.first_begun()) {
                return EventKind::Content;
            }
            let before = reading.tokens().output;
            let kind = reading.read(data);
            let tokens = reading.tokens();
            if tokens.output > before && tokens.is_plausible() {
                generated.report();
            }
            kind
        })
    }

    /// Reads an event from its data's digest.
    pub(super) fn read_digest(&mut self, framing: Framing, name: Option<&[u8]>, data: &[u8]) -> Option<EventKind> {
        if framing == Framing::EventStream {
            let kind = self.read(data);
            let name = std::str::from_utf8(name.unwrap_or_default()).unwrap_or_default();
            return Some(self.named(name, kind));
        }
        self.data(name, data, Self::read)
    }

    fn event(
        &mut self,
        framing: Framing,
        event: &[u8],
        lines: &mut Vec<u8>,
        read: impl FnOnce(&mut Self, &[u8]) -> EventKind,
    ) -> Option<EventKind> {
        match framing {
            Framing::Sse => {
                let fields = Fields::of(event, lines);
                self.data(fields.name, fields.data(lines)?, read)
            }
            Framing::Ndjson | Framing::Json => self.data(None, event, read),
            Framing::EventStream => Some(match Message::parse(event) {
                Some(message) => self.message(&message, read),
                None => EventKind::Garbage,
            }),
        }
    }

    /// Reads a message of Converse's stream; its name is its type.
    fn message(&mut self, message: &Message<'_>, read: impl FnOnce(&mut Self, &[u8]) -> EventKind) -> EventKind {
        if message.kind != MessageKind::Event {
            return EventKind::Error;
        }
        let kind = read(self, message.payload);
        self.named(message.name, kind)
    }

    fn named(&mut self, name: &str, kind: EventKind) -> EventKind {
        match (name, kind) {
            (_, EventKind::Garbage) => EventKind::Garbage,
            ("metadata", _) => EventKind::Terminal,
            ("contentBlockStart" | "contentBlockDelta" | "contentBlockStop", _) => EventKind::Content,
            ("messageStop", _) => {
                self.stopped = true;
                EventKind::Content
            }
            (_, _) => EventKind::Preliminary,
        }
    }

    fn data(
        &mut self,
        name: Option<&[u8]>,
        data: &[u8],
        read: impl FnOnce(&mut Self, &[u8]) -> EventKind,
    ) -> Option<EventKind> {
        match data.trim_ascii() {
            b"" => return None,
            b"[DONE]" => return Some(EventKind::Done),
            _ => {}
        }
        let kind = read(self, data);
        Some(match (name, kind) {
            (Some(b"error"), _) => EventKind::Error,
            (_, EventKind::Content | EventKind::Garbage) if says_nothing(data.trim_ascii()) => EventKind::Preliminary,
            (Some(b"ping"), EventKind::Content | EventKind::Garbage) => EventKind::Preliminary,
            (_, kind) => kind,
        })
    }

    /// Reads the data of one event, or a complete answer. Broken data changes nothing; of an array that is cut, the
    /// complete elements count.
    pub fn read(&mut self, data: &[u8]) -> EventKind {
        self.read_with(data, is_blank)
    }

    /// The same for a complete answer, which some servers end like a stream.
    pub(super) fn read_document(&mut self, text: &[u8]) -> EventKind {
        self.read_with(text, |rest| Closing::default().takes(rest).is_some_and(Closing::is_whole))
    }

    fn read_with(&mut self, data: &[u8], may_follow: impl Fn(&[u8]) -> bool) -> EventKind {
        let mut next = *self;
        let mut complete = *self;
        let mut marks = Marks::default();
        let mut scanner = Scanner::new(data);
        let is_array = scanner.peek() == Some(b'[');
        let scanned = if is_array {
            // Gemini without `alt=sse` streams one array of answers
            scanner.array(|scanner| {
                if marks.ended {
                    return scanner.value().map(|_| ());
                }
                next.answer(scanner, &mut marks)?;
                complete = next;
                Ok(())
            })
        } else {
            next.answer(&mut scanner, &mut marks)
        };
        let rest = data.get(scanner.position()..).unwrap_or_default();
        match scanned {
            Ok(true) if may_follow(rest) => {
                *self = next;
                marks.kind()
            }
            Err(JsonError::UnexpectedEnd) if is_array => {
                *self = complete;
                EventKind::Garbage
            }
            Ok(_) | Err(_) => EventKind::Garbage,
        }
    }

    fn answer(&mut self, scanner: &mut Scanner<'_>, marks: &mut Marks) -> Result<bool, JsonError> {
        use Format::{Anthropic, Converse, Gemini, Ollama, OpenAi};
        let format = self.format;
        let mut report = Counts::default();
        let is_object = scanner.object(|key, scanner| {
            marks.bare &= is_envelope(key.raw());
            match key.raw() {
                b"usage" if format.reads(&[OpenAi, Anthropic, Converse]) => {
                    marks.usage |= report.usage(format, scanner)?
                }
                b"usageMetadata" if format.reads(&[Gemini]) => marks.usage |= report.usage_metadata(scanner)?,
                b"prompt_eval_count" if format.reads(&[Ollama]) => report.prompt_eval(scanner)?,
                b"eval_count" if format.reads(&[Ollama]) => report.eval(scanner)?,
                b"message" if format.reads(&[Anthropic]) => embedded(&mut report, format, scanner)?,
                b"delta" if format.reads(&[OpenAi, Anthropic]) => self.stopped |= delta(&mut report, format, scanner)?,
                b"additionalModelResponseFields" if format.reads(&[Converse]) => {
                    embedded(&mut report, format, scanner)?
                }
                b"interaction" if format.reads(&[Gemini]) => embedded(&mut report, OpenAi, scanner)?,
                b"candidates" if format.reads(&[Gemini]) => marks.terminal |= finished(scanner)?,
                b"promptFeedback" if format.reads(&[Gemini]) => {
                    marks.terminal |= gives_reason(scanner, b"blockReason")?;
                }
                b"done" if format.reads(&[Ollama]) => marks.terminal |= scanner.value()? == Value::Bool(true),
                b"type" | b"event_type" => marks.event_type(scanner.value()?),
                b"error" => marks.error |= is_error(scanner.value()?),
                // an error without the `error` around it, as vLLM may send it
                b"object" => marks.error |= matches!(scanner.value()?, Value::String(name) if name.raw() == b"error"),
                b"choices" if format.reads(&[OpenAi]) => marks.choices = self.choices.read(&mut report, scanner)?,
                name if format.reads(&[OpenAi]) => like_openai(&mut report, name, scanner, marks)?,
                _ => {
                    scanner.value()?;
                }
            }
            Ok(())
        })?;
        self.take_in(report, marks);
        Ok(is_object)
    }

    /// Adds one event's report. Its counts replace earlier ones, unless they belong to another prompt.
    fn take_in(&mut self, report: Counts, marks: &Marks) {
        if report.output_named || report.completion > 0 {
            self.early = marks.preliminary;
        }
        let prompt = match marks.choices {
            ChoicesSeen::Ended(prompt) if marks.usage => prompt,
            ChoicesSeen::Ended(_) | ChoicesSeen::Some | ChoicesSeen::Nothing | ChoicesSeen::None => 0,
        };
        let others = self.prompts & !prompt != 0;
        match (marks.choices, marks.usage && others) {
            (_, false) => self.counts.merge(&report),
            (ChoicesSeen::Ended(prompt), true) if self.prompts & prompt == 0 => self.counts.add(&report),
            (ChoicesSeen::Ended(_) | ChoicesSeen::Some, true) => {}
            (ChoicesSeen::Nothing | ChoicesSeen::None, true) => {
                self.counts = Counts::default(); // the server's own sum of all prompts
                self.counts.merge(&report);
            }
        }
        self.prompts |= prompt;
    }
}

/// Reads top-level members of OpenAI-compatible answers, and of answers with other shapes.
fn like_openai(
    report: &mut Counts,
    name: &[u8],
    scanner: &mut Scanner<'_>,
    marks: &mut Marks,
) -> Result<(), JsonError> {
    match name {
        b"response" | b"x_groq" | b"result" => embedded(report, Format::OpenAi, scanner),
        // Cohere's embeddings and ranks; LM Studio's own API
        b"meta" | b"stats" => report.usage(Format::OpenAi, scanner).map(|_| ()),
        b"timings" => report.timings(scanner),
        b"metrics" => report.metrics(scanner),
        b"tokens_evaluated" => report.prompt_eval(scanner),
        b"tokens_predicted" => report.eval(scanner),
        b"event" => llama_event(report, scanner, marks),
        b"data" | b"results" => {
            report.listed |= matches!(scanner.value()?, Value::Array { .. });
            Ok(())
        }
        _ => scanner.value().map(|_| ()),
    }
}

/// The answer inside an event: OpenAI Responses' `response`, Anthropic's `message`.
fn embedded(report: &mut Counts, format: Format, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    scanner.object(|key, scanner| {
        if key.raw() == b"usage" {
            report.usage(format, scanner)?;
        } else {
            scanner.value()?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Reads an event's addition to the answer; returns whether it has a stop reason (Anthropic's `message_delta`).
fn delta(report: &mut Counts, format: Format, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
    let mut stopped = false;
    scanner.object(|key, scanner| match key.raw() {
        b"usage" if format.reads(&[Format::OpenAi]) => report.usage(Format::OpenAi, scanner).map(|_| ()),
        b"stop_reason" => scanner.value().map(|value| stopped |= is_reason(value)),
        _ => scanner.value().map(|_| ()),
    })?;
    Ok(stopped)
}

/// The Llama API's `event`: `{"event_type":"complete",...}`, and then its metrics.
fn llama_event(report: &mut Counts, scanner: &mut Scanner<'_>, marks: &mut Marks) -> Result<(), JsonError> {
    scanner.object(|key, scanner| {
        match key.raw() {
            b"metrics" => report.metrics(scanner)?,
            b"event_type" => {
                marks.terminal |= matches!(scanner.value()?, Value::String(name) if name.raw() == b"complete");
            }
            _ => {
                scanner.value()?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Whether one of Gemini's candidates has a finish reason.
fn finished(scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
    let mut finished = false;
    scanner.array(|scanner| {
        finished |= gives_reason(scanner, b"finishReason")?;
        Ok(())
    })?;
    Ok(finished)
}

/// Whether an object has this field with a word in it.
fn gives_reason(scanner: &mut Scanner<'_>, name: &[u8]) -> Result<bool, JsonError> {
    let mut given = false;
    scanner.object(|key, scanner| {
        let value = scanner.value()?;
        given |= key.raw() == name && is_reason(value);
        Ok(())
    })?;
    Ok(given)
}

/// Some servers write an empty `error` into every event.
fn is_error(value: Value<'_>) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && !matches!(value, Value::String(text) if text.is(""))
}
