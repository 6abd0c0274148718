//! The context of a text: its role, and its flow in a stream.

use super::PassageKind;
use crate::guard::Speaker;

/// The maximum nesting of blocks; no dialect needs more than ten. Below it every string counts, so nesting cannot hide
/// a text.
const MAX_BLOCKS: u8 = 12;

/// The role of a text, and its flow in a stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::guard) struct TextContext {
    pub speaker: Speaker,
    pub kind: PassageKind,
    /// OpenAI's choice, Gemini's candidate, Anthropic's block, OpenAI Responses' output item.
    pub choice: u32,
    /// The tool call in a message, the part in an item.
    pub part: u32,
    /// Whether it is complete: in a stream, no other event has a piece of it.
    pub whole: bool,
    blocks: u8,
}

impl TextContext {
    pub(super) fn of(speaker: Speaker) -> Self {
        TextContext { speaker, kind: PassageKind::Plain, choice: 0, part: 0, whole: false, blocks: 0 }
    }

    /// Signed content stays signed, whatever its kind.
    pub(super) fn kind(self, kind: PassageKind) -> Self {
        match self.kind {
            PassageKind::Signed | PassageKind::Given => self,
            PassageKind::Plain
            | PassageKind::Reasoning
            | PassageKind::Refusal
            | PassageKind::Arguments
            | PassageKind::Argument
            | PassageKind::Name => TextContext { kind, ..self },
        }
    }

    pub(super) fn speaker(self, speaker: Speaker) -> Self {
        TextContext { speaker, ..self }
    }

    pub(super) fn choice(self, choice: u32) -> Self {
        TextContext { choice, ..self }
    }

    pub(super) fn part(self, part: u32) -> Self {
        TextContext { part, ..self }
    }

    pub(super) fn whole(self) -> Self {
        TextContext { whole: true, ..self }
    }

    /// One block deeper; `None` if that is too deep.
    pub(super) fn inside(self) -> Option<Self> {
        (self.blocks < MAX_BLOCKS).then_some(TextContext { blocks: self.blocks + 1, ..self })
    }

    /// A separate text beside the message's.
    pub(super) fn apart(self, field: &str) -> Self {
        let hash = field.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        // calls count from 1, and `u32::MAX` is the transcript of speech
        self.part((hash | 1 << 31) & !1)
    }

    /// Arguments as JSON objects: each of their strings is a text.
    pub(super) fn argument(self) -> Self {
        self.kind(PassageKind::Argument).whole()
    }
}
