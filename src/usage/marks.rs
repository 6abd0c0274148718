//! What an event is, by the marks that a reading meets in it.

use super::choices::Seen;
use crate::json::Value;

/// What an event is, besides the usage it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It carries a part of the answer.
    Content,
    /// It says that an answer has begun or is still wanted, and carries nothing of it: Anthropic's
    /// `message_start` and `ping`, OpenAI Responses' `response.created`, Azure's first chunk, which has no choices.
    Preliminary,
    /// It carries nothing but usage: OpenAI's extra chunk, `usage` with `"choices":[]`, with `null`, or without.
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
pub(super) struct Marks {
    pub(super) usage: bool,
    pub(super) choices: Seen,
    /// Nothing stands in it but usage and what each chunk repeats.
    pub(super) bare: bool,
    pub(super) preliminary: bool,
    pub(super) terminal: bool,
    pub(super) failure: bool,
    pub(super) error: bool,
    /// An event of an array has ended the answer: what follows it is none of it.
    pub(super) ended: bool,
}

impl Default for Marks {
    fn default() -> Self {
        Marks {
            usage: false,
            choices: Seen::None,
            bare: true,
            preliminary: false,
            terminal: false,
            failure: false,
            error: false,
            ended: false,
        }
    }
}

impl Marks {
    /// What the event is.
    pub(super) fn kind(&self) -> EventKind {
        let nothing = self.choices == Seen::Nothing;
        if self.error {
            EventKind::Error
        } else if self.failure {
            EventKind::Failure
        } else if self.terminal {
            EventKind::Terminal
        } else if self.usage && (nothing || self.choices == Seen::None && self.bare) {
            EventKind::UsageOnly
        } else if self.preliminary || nothing {
            EventKind::Preliminary
        } else {
            EventKind::Content
        }
    }

    /// What the `type` of Anthropic's and OpenAI Responses' events says, and of those of Cohere, Gemini's Interactions.
    pub(super) fn event_type(&mut self, value: Value<'_>) {
        let Value::String(name) = value else {
            return;
        };
        match name.raw() {
            b"message_stop" | b"response.completed" | b"response.incomplete" => {
                (self.terminal, self.ended) = (true, true);
            }
            b"transcript.text.done" | b"speech.audio.done" => self.terminal = true,
            b"image_generation.completed" | b"image_edit.completed" => self.terminal = true,
            b"message-end" | b"interaction.completed" | b"interaction.complete" => self.terminal = true,
            b"response.failed" => (self.failure, self.ended) = (true, true),
            b"error" => self.error = true,
            b"ping" | b"keepalive" | b"message_start" => self.preliminary = true,
            b"response.created" | b"response.in_progress" | b"response.queued" => self.preliminary = true,
            b"message-start" | b"interaction.created" | b"interaction.start" => self.preliminary = true,
            _ => {}
        }
    }
}

/// Whether a member of this name stands in each chunk, and says nothing of its own.
pub(super) fn is_envelope(name: &[u8]) -> bool {
    const ENVELOPE: [&[u8]; 11] = [
        b"id",
        b"object",
        b"created",
        b"model",
        b"choices",
        b"usage",
        b"system_fingerprint",
        b"service_tier",
        b"provider",
        b"x_groq",
        b"obfuscation",
    ];
    ENVELOPE.contains(&name)
}

/// Whether an event's data is `null` or an empty object, by which some servers keep a stream open.
pub(super) fn says_nothing(data: &[u8]) -> bool {
    let within = data.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
    data == b"null" || within.is_some_and(is_blank)
}

/// Whether nothing but JSON's white space is left.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
}
