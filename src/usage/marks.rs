//! Classifies events by marks found while reading them.

use super::choices::ChoicesSeen;
use crate::json::Value;

/// The kind of an event, besides its usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It has a part of the answer.
    Content,
    /// It says that an answer has begun or is still running, without content: Anthropic's `message_start` and `ping`,
    /// OpenAI Responses' `response.created`, Azure's first chunk, which has no choices.
    Preliminary,
    /// It only has usage: OpenAI's extra chunk, with `usage` and `"choices":[]`, null or missing.
    UsageOnly,
    /// The last event of an answer.
    Terminal,
    /// The last event of an answer that failed: OpenAI Responses' `response.failed`.
    Failure,
    /// OpenAI's `[DONE]`.
    Done,
    /// It reports an error.
    Error,
    /// It is not JSON.
    Garbage,
}

/// Marks found in an event.
pub(super) struct Marks {
    pub(super) usage: bool,
    pub(super) choices: ChoicesSeen,
    /// It only has usage and members that each chunk repeats.
    pub(super) bare: bool,
    pub(super) preliminary: bool,
    pub(super) terminal: bool,
    pub(super) failure: bool,
    pub(super) error: bool,
    /// An element of an array has ended the answer: the rest does not belong to it.
    pub(super) ended: bool,
}

impl Default for Marks {
    fn default() -> Self {
        Marks {
            usage: false,
            choices: ChoicesSeen::None,
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
    /// The kind of the event.
    pub(super) fn kind(&self) -> EventKind {
        let nothing = self.choices == ChoicesSeen::Nothing;
        if self.error {
            EventKind::Error
        } else if self.failure {
            EventKind::Failure
        } else if self.terminal {
            EventKind::Terminal
        } else if self.usage && (nothing || self.choices == ChoicesSeen::None && self.bare) {
            EventKind::UsageOnly
        } else if self.preliminary || nothing {
            EventKind::Preliminary
        } else {
            EventKind::Content
        }
    }

    /// The meaning of the `type` of events of Anthropic, OpenAI Responses, Cohere and Gemini's Interactions.
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

/// Whether each chunk has a member with this name, without meaning.
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

/// Whether an event's data is `null` or an empty object, with which some servers keep a stream open.
pub(super) fn says_nothing(data: &[u8]) -> bool {
    let within = data.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
    data == b"null" || within.is_some_and(is_blank)
}

/// Whether only JSON white space is left.
pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'))
}
