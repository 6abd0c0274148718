//! An event's structure besides its texts: what ends with it, and what the gateway's own end must repeat.

use crate::json::{JsonError, Scanner, Value};

/// The flows that end with an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Ends {
    /// None.
    #[default]
    Nothing,
    /// These choices.
    Choices(Vec<u32>),
    /// All.
    All,
}

impl Ends {
    pub(super) fn has(&self, choice: u32) -> bool {
        match self {
            Ends::Nothing => false,
            Ends::Choices(choices) => choices.contains(&choice),
            Ends::All => true,
        }
    }

    /// The union of two parts of the same event.
    pub(super) fn add(&mut self, more: &Ends) {
        match (&mut *self, more) {
            (_, Ends::Nothing) | (Ends::All, _) => {}
            (_, Ends::All) | (Ends::Nothing, _) => *self = more.clone(),
            (Ends::Choices(choices), Ends::Choices(more)) => {
                let new: Vec<u32> = more.iter().copied().filter(|choice| !choices.contains(choice)).collect();
                choices.extend(new);
            }
        }
    }
}

/// An event's effect on the answer, for writing its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    /// None.
    #[default]
    Other,
    /// Anthropic's `content_block_start`.
    BlockStart(u32),
    /// Anthropic's `content_block_stop`.
    BlockStop(u32),
    /// It only has usage: OpenAI's extra chunk.
    UsageOnly,
    /// OpenAI's `[DONE]`.
    Done,
}

/// The relevant fields of an event.
#[derive(Debug, Default)]
pub(super) struct EventMeta<'a> {
    pub(super) ends: Ends,
    pub(super) step: Step,
    /// The choices it names.
    pub(super) choices: Vec<u32>,
    /// Its fields as written.
    pub(super) fields: Vec<(&'a [u8], &'a [u8])>,
    pub(super) sequence: Option<u64>,
}

impl<'a> EventMeta<'a> {
    /// OpenAI's `[DONE]`, which is not JSON.
    pub(super) fn done() -> Self {
        EventMeta { ends: Ends::All, step: Step::Done, ..EventMeta::default() }
    }

    pub(super) fn of(data: &'a [u8]) -> Result<Self, JsonError> {
        let mut meta = EventMeta::default();
        let mut ended = Vec::new();
        let (mut index, mut event_type) = (0, None);
        let (mut no_choices, mut usage, mut complete) = (false, false, false);
        let mut scanner = Scanner::new(data);
        scanner.object(|key, scanner| {
            let mut ahead = scanner.clone();
            let (value, span) = scanner.spanned()?;
            let number = || value.as_count().and_then(|count| u32::try_from(count).ok()).unwrap_or(u32::MAX);
            match key.raw() {
                b"choices" | b"candidates" => {
                    no_choices = value == Value::Array { empty: true };
                    read_choices(&mut ahead, &mut meta.choices, &mut ended)?;
                }
                b"index" | b"output_index" => index = number(),
                b"type" => event_type = string(value),
                b"sequence_number" => meta.sequence = value.as_count(),
                b"done" => complete |= value == Value::Bool(true),
                b"error" => complete |= !matches!(value, Value::Null | Value::Bool(false)),
                b"usage" => usage = value == Value::Object,
                _ => {}
            }
            meta.fields.push((key.raw(), data.get(span).unwrap_or_default()));
            Ok(())
        })?;
        match event_type {
            Some(b"content_block_start") => meta.step = Step::BlockStart(index),
            Some(b"content_block_stop") => {
                meta.step = Step::BlockStop(index);
                ended.push(index);
            }
            Some(
                b"message_delta"
                | b"message_stop"
                | b"error"
                | b"response.completed"
                | b"response.incomplete"
                | b"response.failed",
            ) => complete = true,
            Some(name) if name.starts_with(b"response.") && name.ends_with(b".done") => ended.push(index),
            Some(_) => {}
            None if no_choices && usage => meta.step = Step::UsageOnly,
            None => {}
        }
        meta.ends = match (complete, ended.is_empty()) {
            (true, _) => Ends::All,
            (false, false) => Ends::Choices(ended),
            (false, true) => Ends::Nothing,
        };
        Ok(meta)
    }
}

fn string<'a>(value: Value<'a>) -> Option<&'a [u8]> {
    match value {
        Value::String(text) => Some(text.raw()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array { .. } | Value::Object => None,
    }
}

/// The choices, and those with a finish reason.
fn read_choices(scanner: &mut Scanner<'_>, all: &mut Vec<u32>, ended: &mut Vec<u32>) -> Result<(), JsonError> {
    let mut position: u32 = 0;
    scanner.array(|scanner| {
        let mut index = position;
        let mut finished = false;
        scanner.object(|key, scanner| {
            let value = scanner.value()?;
            match key.raw() {
                b"index" => index = value.as_count().and_then(|count| u32::try_from(count).ok()).unwrap_or(u32::MAX),
                b"finish_reason" | b"finishReason" => finished = string(value).is_some_and(|reason| !reason.is_empty()),
                _ => {}
            }
            Ok(())
        })?;
        position = position.saturating_add(1);
        all.push(index);
        if finished {
            ended.push(index);
        }
        Ok(())
    })?;
    Ok(())
}
