//! Reads usage out of one JSON text: a whole answer, or one event of a stream.
//!
//! The shapes do not collide, so one reader serves all dialects: OpenAI's and Anthropic's `usage`,
//! OpenAI Responses' `response.usage`, Anthropic's `message.usage`, Gemini's `usageMetadata`, Ollama's
//! `*_eval_count`. Counts are cumulative wherever they repeat, so each is *set*, never added.

use super::events::{Fields, Framing};
use super::TokenUsage;
use crate::json::{JsonError, Scanner, Value};

/// What has been read so far, field by field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    input: Option<u64>,
    output: Option<u64>,
    /// Anthropic counts these beside `input`; all others within it.
    cache_creation: Option<u64>,
    cache_read: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
    audio_input: Option<u64>,
    audio_output: Option<u64>,
    /// Gemini counts these beside the candidates' and the prompt's tokens.
    thoughts: Option<u64>,
    tool_prompt: Option<u64>,
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
    /// Whether anything was reported.
    pub fn is_reported(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// Whether every choice so far has said why it ended. Some servers that copy OpenAI's API send nothing
    /// after that, not even `[DONE]`.
    pub fn is_finished(&self) -> bool {
        self.choices.begun != 0 && self.choices.begun == self.choices.ended
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
        let fields = match framing {
            Framing::Sse => Fields::of(event),
            Framing::Ndjson | Framing::Json => Fields { name: None, data: Some(event.into()) },
        };
        let data = fields.data?;
        match data.trim_ascii() {
            b"" => return None,
            b"[DONE]" => return Some(EventKind::Done),
            _ => {}
        }
        let kind = self.read(&data);
        Some(match (fields.name, kind) {
            (Some(b"error"), _) => EventKind::Error,
            (Some(b"ping"), EventKind::Content | EventKind::Garbage) => EventKind::Preliminary,
            (_, kind) => kind,
        })
    }

    /// Reads the data of one event, or a whole answer. What is broken changes nothing.
    pub fn read(&mut self, data: &[u8]) -> EventKind {
        let mut next = *self;
        let mut marks = Marks::default();
        let mut scanner = Scanner::new(data);
        let is_array = scanner.peek() == Some(b'[');
        let scanned = if is_array {
            // Gemini without `alt=sse` streams one array of answers
            scanner.array(|scanner| next.answer(scanner, &mut marks).map(|_| ()))
        } else {
            next.answer(&mut scanner, &mut marks)
        };
        match scanned.and_then(|shape| scanner.end().map(|()| shape)) {
            Ok(true) => *self = next,
            Ok(false) | Err(_) => return EventKind::Garbage,
        }
        marks.kind()
    }

    /// The tokens, by the inclusive contract.
    pub fn tokens(&self) -> TokenUsage {
        let sum = |counts: [Option<u64>; 4]| counts.into_iter().flatten().fold(0, u64::saturating_add);
        let count = |count: Option<u64>| count.unwrap_or(0);
        TokenUsage {
            input: sum([self.input, self.cache_creation, self.cache_read, self.tool_prompt]),
            output: sum([self.output, self.thoughts, None, None]),
            cached_input: count(self.cached.or(self.cache_read)),
            cache_write_input: count(self.cache_creation),
            reasoning_output: count(self.reasoning.or(self.thoughts)),
            audio_input: count(self.audio_input),
            audio_output: count(self.audio_output),
        }
    }

    fn answer(&mut self, scanner: &mut Scanner<'_>, marks: &mut Marks) -> Result<bool, JsonError> {
        scanner.object(|key, scanner| {
            match key.raw() {
                b"usage" => marks.usage |= self.usage(scanner)?,
                b"usageMetadata" => marks.usage |= self.usage_metadata(scanner)?,
                b"prompt_eval_count" => set(&mut self.input, scanner)?,
                b"eval_count" => set(&mut self.output, scanner)?,
                b"response" | b"message" => self.embedded(scanner)?,
                b"choices" => marks.no_choices = self.choices.read(scanner)?,
                b"candidates" => marks.terminal |= finished(scanner)?,
                b"promptFeedback" => marks.terminal |= gives_reason(scanner, "blockReason")?,
                b"done" => marks.terminal |= scanner.value()? == Value::Bool(true),
                b"type" => marks.event_type(scanner.value()?),
                b"error" => marks.error |= is_error(scanner.value()?),
                // an error without the `error` around it, as vLLM may send it
                b"object" => marks.error |= matches!(scanner.value()?, Value::String(object) if object.is("error")),
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
            if key.is("usage") {
                self.usage(scanner)?;
            } else {
                scanner.value()?;
            }
            Ok(())
        })?;
        Ok(())
    }

    fn usage(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
        scanner.object(|key, scanner| match key.raw() {
            b"prompt_tokens" | b"input_tokens" => set(&mut self.input, scanner),
            b"completion_tokens" | b"output_tokens" => set(&mut self.output, scanner),
            b"cache_creation_input_tokens" => set(&mut self.cache_creation, scanner),
            b"cache_read_input_tokens" => set(&mut self.cache_read, scanner),
            b"prompt_tokens_details" | b"input_tokens_details" => {
                details(scanner, &mut [("cached_tokens", &mut self.cached), ("audio_tokens", &mut self.audio_input)])
            }
            b"completion_tokens_details" | b"output_tokens_details" => details(
                scanner,
                &mut [("reasoning_tokens", &mut self.reasoning), ("audio_tokens", &mut self.audio_output)],
            ),
            _ => scanner.value().map(|_| ()),
        })
    }

    fn usage_metadata(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
        scanner.object(|key, scanner| match key.raw() {
            b"promptTokenCount" => set(&mut self.input, scanner),
            b"candidatesTokenCount" => set(&mut self.output, scanner),
            b"thoughtsTokenCount" => set(&mut self.thoughts, scanner),
            b"toolUsePromptTokenCount" => set(&mut self.tool_prompt, scanner),
            b"cachedContentTokenCount" => set(&mut self.cached, scanner),
            _ => scanner.value().map(|_| ()),
        })
    }
}

/// Sets a count, unless what stands there is none.
fn set(count: &mut Option<u64>, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    if let Some(value) = scanner.value()?.as_count() {
        *count = Some(value);
    }
    Ok(())
}

fn details(scanner: &mut Scanner<'_>, counts: &mut [(&str, &mut Option<u64>)]) -> Result<(), JsonError> {
    scanner.object(|key, scanner| match counts.iter_mut().find(|(name, _)| key.is(name)) {
        Some((_, count)) => set(count, scanner),
        None => scanner.value().map(|_| ()),
    })?;
    Ok(())
}

/// Whether one of Gemini's candidates says why it ended.
fn finished(scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
    let mut finished = false;
    scanner.array(|scanner| {
        finished |= gives_reason(scanner, "finishReason")?;
        Ok(())
    })?;
    Ok(finished)
}

/// Whether an object has this field, and a word in it.
fn gives_reason(scanner: &mut Scanner<'_>, name: &str) -> Result<bool, JsonError> {
    let mut given = false;
    scanner.object(|key, scanner| {
        let value = scanner.value()?;
        given |= key.is(name) && is_reason(value);
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
            b"response.failed" => self.failure = true,
            b"error" => self.error = true,
            b"ping" | b"keepalive" | b"message_start" => self.preliminary = true,
            b"response.created" | b"response.in_progress" | b"response.queued" => self.preliminary = true,
            _ => {}
        }
    }
}

impl Choices {
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
