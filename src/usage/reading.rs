//! Reads usage out of one JSON text: a whole answer, or one event of a stream.
//!
//! The shapes do not collide, so one reader serves all dialects: OpenAI's and Anthropic's `usage`,
//! OpenAI Responses' `response.usage`, Anthropic's `message.usage`, Gemini's `usageMetadata`, Ollama's
//! `*_eval_count`. Counts are cumulative wherever they repeat, so each is *set*, never added.

use super::TokenUsage;
use crate::json::{JsonError, Scanner, Text, Value};

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
}

/// What an event is, besides the usage it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It carries a part of the answer.
    Content,
    /// It carries nothing but usage: OpenAI's extra chunk, `"choices":[]` with `usage`.
    UsageOnly,
    /// The answer is complete with it.
    Terminal,
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
    terminal: bool,
    error: bool,
}

impl Reading {
    /// Whether anything was reported.
    pub fn is_reported(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// Reads one event, or a whole answer. What is broken changes nothing.
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
        if marks.error {
            EventKind::Error
        } else if marks.terminal {
            EventKind::Terminal
        } else if marks.usage && marks.no_choices {
            EventKind::UsageOnly
        } else {
            EventKind::Content
        }
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
                b"choices" => marks.no_choices = scanner.value()? == Value::Array { empty: true },
                b"candidates" => marks.terminal |= finished(scanner)?,
                b"done" => marks.terminal |= scanner.value()? == Value::Bool(true),
                b"type" => marks.terminal |= matches!(scanner.value()?, Value::String(kind) if is_last(kind)),
                b"error" => marks.error |= scanner.value()? != Value::Null,
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

/// Whether an event of this `type` is a stream's last: Anthropic's, and OpenAI Responses'.
fn is_last(kind: Text<'_>) -> bool {
    ["message_stop", "response.completed", "response.incomplete", "response.failed"].iter().any(|last| kind.is(last))
}

/// Whether one of Gemini's candidates says why it ended.
fn finished(scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
    let mut finished = false;
    scanner.array(|scanner| {
        scanner.object(|key, scanner| {
            let value = scanner.value()?;
            finished |= key.is("finishReason") && matches!(value, Value::String(_));
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(finished)
}
