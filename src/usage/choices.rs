//! OpenAI's choices: which have begun, and which have a finish reason.

use super::counts::Counts;
use super::format::Format;
use crate::json::{JsonError, Scanner, Value};

/// One bit each by their index; those beyond share the last bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choices {
    pub(super) begun: u32,
    /// Those with a finish reason.
    pub(super) ended: u32,
    /// One is an error instead of a text, or may be one.
    pub(super) failed: bool,
}

/// The choices of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChoicesSeen {
    /// It has no such member.
    None,
    /// An array without any, or null.
    Nothing,
    /// A part of an answer.
    Some,
    /// The end of a completion's text, and its bit. A completion may have several prompts.
    Ended(u32),
}

impl Choices {
    /// Whether choice 0, usually the only one, has begun.
    pub(super) fn first_begun(self) -> bool {
        self.begun & 1 == 1
    }

    /// Reads the choices of one chunk, and the usage that some servers put there.
    pub(super) fn read(&mut self, report: &mut Counts, scanner: &mut Scanner<'_>) -> Result<ChoicesSeen, JsonError> {
        if scanner.peek() == Some(b'n') {
            scanner.value()?;
            return Ok(ChoicesSeen::Nothing);
        }
        let mut seen = ChoicesSeen::Nothing;
        let is_array = scanner.array(|scanner| {
            let one = self.read_one(report, scanner)?;
            seen = if seen == ChoicesSeen::Nothing { one } else { ChoicesSeen::Some };
            Ok(())
        })?;
        Ok(if is_array { seen } else { ChoicesSeen::Some })
    }

    fn read_one(&mut self, report: &mut Counts, scanner: &mut Scanner<'_>) -> Result<ChoicesSeen, JsonError> {
        let (mut index, mut ended, mut is_text) = (0, false, false);
        scanner.object(|key, scanner| {
            match key.raw() {
                b"index" => index = scanner.value()?.as_count().unwrap_or(0),
                b"finish_reason" => ended = is_reason(scanner.value()?),
                b"error" => self.failed |= scanner.value()? != Value::Null,
                b"usage" => {
                    report.usage(Format::OpenAi, scanner)?;
                }
                name => {
                    is_text |= name == b"text";
                    scanner.value()?;
                }
            }
            Ok(())
        })?;
        let bit = 1 << index.min(31);
        self.begun |= bit;
        self.ended |= if ended { bit } else { 0 };
        Ok(if ended && is_text { ChoicesSeen::Ended(bit) } else { ChoicesSeen::Some })
    }
}

/// Whether a finish reason is given.
pub(super) fn is_reason(value: Value<'_>) -> bool {
    matches!(value, Value::String(reason) if !reason.raw().is_empty())
}
