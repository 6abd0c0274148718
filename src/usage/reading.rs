//! Reads usage out of one JSON text: a whole answer, or one event of a stream.
//!
//! The shapes do not collide, so one reader serves all dialects: OpenAI's and Anthropic's `usage`,
//! OpenAI Responses' `response.usage`, Anthropic's `message.usage`, Gemini's `usageMetadata`, Ollama's
//! `*_eval_count`. Names are compared as they are written: no provider escapes a letter of them.

use super::counts::Counts;
use super::estimate::Generated;
use super::events::{Fields, Framing};
use super::format::Format;
use super::skim::Skim;
use super::TokenUsage;
use crate::json::{JsonError, Scanner, Value};

/// What has been read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    format: Format,
    counts: Counts,
    choices: Choices,
}

/// OpenAI's choices, one bit each by their index; those beyond share the last bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Choices {
    begun: u32,
    /// Said why they ended.
    ended: u32,
}

/// What an event is, besides the usage it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It carries a part of the answer.
    Content,
    /// It says that an answer has begun or is still wanted, and carries nothing of it: Anthropic's
    /// `message_start` and `ping`, OpenAI Responses' `response.created`, Azure's first chunk, which has no choices.
    Preliminary,
    /// It carries nothing but usage: OpenAI's extra chunk, `"choices":[]` with `usage`.
    UsageOnly,
    /// The answer is complete with it.
    Terminal,
    /// The answer is complete with it, and has failed: OpenAI Responses' `response.failed`.
    Failure,
    /// OpenAI's `[DONE]`.
    Done,
    /// It reports an error.
    Error,
    /// It is not JSON.
    Garbage,
}

/// Marks seen on the way through an event.
#[derive(Default)]
struct Marks {
    usage: bool,
    no_choices: bool,
    preliminary: bool,
    terminal: bool,
    failure: bool,
    error: bool,
}

impl Reading {
    /// Reads the fields of one format only.
    pub fn of(format: Format) -> Self {
        Reading { format, ..Reading::default() }
    }

    /// What has been read was no part of an answer.
    pub(super) fn forget(&mut self) {
        *self = Reading::of(self.format);
    }

    /// Whether anything was reported.
    pub fn is_reported(&self) -> bool {
        self.counts.is_reported()
    }

    /// Whether every choice so far has said why it ended. Some servers that copy OpenAI's API send nothing
    /// after that, not even `[DONE]`.
    pub fn is_finished(&self) -> bool {
        self.choices.begun != 0 && self.choices.begun == self.choices.ended
    }

    /// The tokens, by the inclusive contract.
    pub fn tokens(&self) -> TokenUsage {
        self.counts.tokens(self.format)
    }

    /// Reads one event of a stream, as it was framed. `None` if it has no data: comments and blank lines are
    /// no events.
    ///
    /// ```
    /// use sluice::usage::{EventKind, Framing, Reading};
    ///
    /// let mut reading = Reading::default();
    /// assert_eq!(reading.read_event(Framing::Sse, b": ping\n\n"), None);
    /// assert_eq!(reading.read_event(Framing::Sse, b"event: error\ndata: overloaded\n\n"), Some(EventKind::Error));
    /// assert_eq!(reading.read_event(Framing::Ndjson, b"{\"done\":true}\n"), Some(EventKind::Terminal));
    /// ```
    pub fn read_event(&mut self, framing: Framing, event: &[u8]) -> Option<EventKind> {
        self.event(framing, event, &mut Vec::new(), Self::read)
    }

    /// The same for one who only wants the usage and the end: an event that surely says nothing of either is
    /// taken for [`EventKind::Content`] without being parsed. Its text is added to `generated`. Several data lines are joined
    /// in `lines`.
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

    fn event(
        &mut self,
        framing: Framing,
        event: &[u8],
        lines: &mut Vec<u8>,
        read: impl FnOnce(&mut Self, &[u8]) -> EventKind,
    ) -> Option<EventKind> {
        let (name, data) = match framing {
            Framing::Sse => {
                let fields = Fields::of(event, lines);
                (fields.name, fields.data(lines)?)
            }
            Framing::Ndjson | Framing::Json => (None, event),
        };
        match data.trim_ascii() {
            b"" => return None,
            b"[DONE]" => return Some(EventKind::Done),
            _ => {}
        }
        let kind = read(self, data);
        Some(match (name, kind) {
            (Some(b"error"), _) => EventKind::Error,
            (Some(b"ping"), EventKind::Content | EventKind::Garbage) => EventKind::Preliminary,
            (_, kind) => kind,
        })
    }

    /// Reads the data of one event, or a whole answer. What is broken changes nothing; of an array of answers
    /// that is cut short, those that are complete count.
    pub fn read(&mut self, data: &[u8]) -> EventKind {
        let mut next = *self;
        let mut complete = *self;
        let mut marks = Marks::default();
        let mut scanner = Scanner::new(data);
        let is_array = scanner.peek() == Some(b'[');
        let scanned = if is_array {
            // Gemini without `alt=sse` streams one array of answers
            scanner.array(|scanner| {
                next.answer(scanner, &mut marks)?;
                complete = next;
                Ok(())
            })
        } else {
            next.answer(&mut scanner, &mut marks)
        };
        match scanned.and_then(|shape| scanner.end().map(|()| shape)) {
            Ok(true) => {
                *self = next;
                marks.kind()
            }
            Err(JsonError::UnexpectedEnd) if is_array => {
                *self = complete;
                EventKind::Garbage
            }
            Ok(false) | Err(_) => EventKind::Garbage,
        }
    }

    fn answer(&mut self, scanner: &mut Scanner<'_>, marks: &mut Marks) -> Result<bool, JsonError> {
        use Format::{Anthropic, Gemini, Ollama, OpenAi};
        let format = self.format;
        scanner.object(|key, scanner| {
            match key.raw() {
                b"usage" if format.reads(&[OpenAi, Anthropic]) => marks.usage |= self.counts.usage(format, scanner)?,
                b"usageMetadata" if format.reads(&[Gemini]) => marks.usage |= self.counts.usage_metadata(scanner)?,
                b"prompt_eval_count" if format.reads(&[Ollama]) => self.counts.prompt_eval(scanner)?,
                b"eval_count" if format.reads(&[Ollama]) => self.counts.eval(scanner)?,
                b"response" if format.reads(&[OpenAi]) => self.embedded(scanner)?,
                b"message" if format.reads(&[Anthropic]) => self.embedded(scanner)?,
                b"choices" if format.reads(&[OpenAi]) => marks.no_choices = self.choices.read(scanner)?,
                b"candidates" if format.reads(&[Gemini]) => marks.terminal |= finished(scanner)?,
                b"promptFeedback" if format.reads(&[Gemini]) => {
                    marks.terminal |= gives_reason(scanner, b"blockReason")?;
                }
                b"done" if format.reads(&[Ollama]) => marks.terminal |= scanner.value()? == Value::Bool(true),
                b"type" => marks.event_type(scanner.value()?),
                b"error" => marks.error |= is_error(scanner.value()?),
                // an error without the `error` around it, as vLLM may send it
                b"object" => marks.error |= matches!(scanner.value()?, Value::String(name) if name.raw() == b"error"),
                _ => {
                    scanner.value()?;
                }
            }
            Ok(())
        })
    }

    /// The answer inside an event: OpenAI Responses' `response`, Anthropic's `message`.
    fn embedded(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.object(|key, scanner| {
            if key.raw() == b"usage" {
                self.counts.usage(self.format, scanner)?;
            } else {
                scanner.value()?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Whether one of Gemini's candidates says why it ended.
fn finished(scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
    let mut finished = false;
    scanner.array(|scanner| {
        finished |= gives_reason(scanner, b"finishReason")?;
        Ok(())
    })?;
    Ok(finished)
}

/// Whether an object has this field, and a word in it.
fn gives_reason(scanner: &mut Scanner<'_>, name: &[u8]) -> Result<bool, JsonError> {
    let mut given = false;
    scanner.object(|key, scanner| {
        let value = scanner.value()?;
        given |= key.raw() == name && is_reason(value);
        Ok(())
    })?;
    Ok(given)
}

/// Some servers write `error` into every event, and mean none.
fn is_error(value: Value<'_>) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && !matches!(value, Value::String(text) if text.is(""))
}

fn is_reason(value: Value<'_>) -> bool {
    matches!(value, Value::String(reason) if !reason.raw().is_empty())
}

impl Marks {
    fn kind(&self) -> EventKind {
        if self.error {
            EventKind::Error
        } else if self.failure {
            EventKind::Failure
        } else if self.terminal {
            EventKind::Terminal
        } else if self.usage && self.no_choices {
            EventKind::UsageOnly
        } else if self.preliminary || self.no_choices {
            EventKind::Preliminary
        } else {
            EventKind::Content
        }
    }

    /// What the `type` of Anthropic's and OpenAI Responses' events says.
    fn event_type(&mut self, value: Value<'_>) {
        let Value::String(name) = value else {
            return;
        };
        match name.raw() {
            b"message_stop" | b"response.completed" | b"response.incomplete" => self.terminal = true,
            b"transcript.text.done" | b"speech.audio.done" => self.terminal = true,
            b"image_generation.completed" | b"image_edit.completed" => self.terminal = true,
            b"response.failed" => self.failure = true,
            b"error" => self.error = true,
            b"ping" | b"keepalive" | b"message_start" => self.preliminary = true,
            b"response.created" | b"response.in_progress" | b"response.queued" => self.preliminary = true,
            _ => {}
        }
    }
}

impl Choices {
    /// Whether the choice that most answers have alone has begun.
    fn first_begun(self) -> bool {
        self.begun & 1 == 1
    }

    /// Reads the choices of one chunk; `true` if it is an array without any.
    fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
        let mut empty = true;
        let is_array = scanner.array(|scanner| {
            empty = false;
            self.read_one(scanner)
        })?;
        Ok(is_array && empty)
    }

    fn read_one(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let mut index = 0;
        let mut ended = false;
        scanner.object(|key, scanner| {
            match key.raw() {
                b"index" => index = scanner.value()?.as_count().unwrap_or(0),
                b"finish_reason" => ended = is_reason(scanner.value()?),
                _ => {
                    scanner.value()?;
                }
            }
            Ok(())
        })?;
        let bit = 1 << index.min(31);
        self.begun |= bit;
        self.ended |= if ended { bit } else { 0 };
        Ok(())
    }
}
