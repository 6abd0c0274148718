//! The members of an object that say what its other members are. They are read first, because they may come last.

use std::borrow::Cow;

use super::context::TextContext;
use super::how::Inside;
use super::{fold, PassageKind};
use crate::guard::work::Work;
use crate::guard::Speaker;
use crate::json::{Partial, Position, Scanner, Text, Value};

/// The longest label, in bytes. Longer ones have no meaning.
const MAX_LABEL: usize = 256;

/// The labels of an object.
#[derive(Debug)]
pub(super) struct Labels {
    of: Of,
    context: TextContext,
    signed: bool,
    index: Option<u32>,
}

/// The kind of object.
#[derive(Clone, Copy, Debug)]
enum Of {
    Block,
    /// A tool call, at this position of an array.
    Call(u32),
    Source {
        is_text: bool,
    },
    Answer {
        delta: Option<PassageKind>,
    },
    /// A choice, at this position of an array.
    Choice(u32),
}

/// A member that is a label.
#[derive(Clone, Copy, Debug)]
enum Label {
    Role,
    Thought,
    Signature,
    Type,
    Index,
    OutputIndex,
    PartIndex,
}

impl Label {
    fn of(name: &Text<'_>) -> Option<Self> {
        Some(match &*fold(name) {
            "role" => Label::Role,
            "thought" => Label::Thought,
            "signature" => Label::Signature,
            "type" => Label::Type,
            "index" => Label::Index,
            "outputindex" => Label::OutputIndex,
            "contentindex" | "summaryindex" => Label::PartIndex,
            _ => return None,
        })
    }
}

impl Labels {
    fn new(of: Of, context: TextContext) -> Self {
        Labels { of, context, signed: context.kind == PassageKind::Signed, index: None }
    }

    /// Of a message, an item, a block or a part.
    pub(super) fn of_block(context: TextContext) -> Self {
        Labels::new(Of::Block, context)
    }

    /// Of a tool call, at this position of an array.
    pub(super) fn of_call(context: TextContext, position: u32) -> Self {
        Labels::new(Of::Call(position), context.speaker(Speaker::Assistant))
    }

    /// Of a document's source.
    pub(super) fn of_source(context: TextContext) -> Self {
        Labels::new(Of::Source { is_text: false }, context)
    }

    /// Of an answer, or of an event: the part of the answer that it carries.
    pub(super) fn of_answer(context: TextContext) -> Self {
        Labels::new(Of::Answer { delta: Some(PassageKind::Plain) }, context)
    }

    /// Of a choice, at this position of an array.
    pub(super) fn of_choice(context: TextContext, position: u32) -> Self {
        Labels::new(Of::Choice(position), context)
    }

    /// Reads the labels of the next object, all at once. It is not consumed.
    pub(super) fn read(&mut self, scanner: &Scanner<'_>) -> usize {
        let mut ahead = scanner.clone();
        // invalid JSON is reported when it is read
        let _ = ahead.object(|name, ahead| {
            let label = Label::of(&name);
            let value = ahead.value()?;
            if let Some(label) = label {
                self.see(label, value);
            }
            Ok(())
        });
        ahead.position().saturating_sub(scanner.position())
    }

    fn see(&mut self, label: Label, value: Value<'_>) {
        match &mut self.of {
            Of::Block => self.block(label, value),
            Of::Call(_) => {
                if let Label::Index = label {
                    self.index = index(value);
                }
                if self.context.inside().is_some() {
                    self.block(label, value);
                }
            }
            Of::Source { is_text } => {
                *is_text |= matches!((label, value), (Label::Type, Value::String(kind)) if kind.is("text"));
            }
            Of::Answer { delta } => {
                let number = || index(value).unwrap_or(u32::MAX);
                match (label, value) {
                    (Label::Index | Label::OutputIndex, _) => self.context.choice = number(),
                    (Label::PartIndex, _) => self.context.part = number(),
                    (Label::Type, Value::String(name)) => *delta = meaning_of_delta(&short(&name)),
                    _ => {}
                }
            }
            Of::Choice(_) => {
                if let Label::Index = label {
                    self.index = index(value);
                }
            }
        }
    }

    fn block(&mut self, label: Label, value: Value<'_>) {
        let context = &mut self.context;
        match (label, value) {
            (Label::Role, Value::String(role)) => context.speaker = speaker(&short(&role)),
            (Label::Thought, Value::Bool(true)) => context.kind = PassageKind::Reasoning,
            (Label::Signature, Value::String(signature)) => self.signed |= !signature.raw().is_empty(),
            (Label::Type, Value::String(kind)) => {
                let kind = short(&kind);
                if kind.starts_with("thinking") || kind.starts_with("redacted_thinking") {
                    context.speaker = Speaker::Assistant;
                    self.signed = true;
                } else if kind.starts_with("reasoning") {
                    context.speaker = Speaker::Assistant;
                    context.kind = PassageKind::Reasoning;
                } else if kind.ends_with("_call") || kind.ends_with("tool_use") {
                    context.speaker = Speaker::Assistant;
                } else if kind.ends_with("_call_output") || kind.ends_with("tool_result") {
                    context.speaker = Speaker::Tool;
                }
            }
            _ => {}
        }
    }

    /// How to read the object.
    pub(super) fn finish(self) -> (Inside, TextContext) {
        let Labels { of, mut context, signed, index } = self;
        if let Of::Call(position) = of {
            // part 0 is the message itself
            context.part = index.unwrap_or(position).saturating_add(1);
        }
        if let (Of::Block | Of::Call(_), true) = (of, signed) {
            context.kind = PassageKind::Signed;
        }
        match of {
            Of::Block => (Inside::Block, context),
            Of::Call(_) => context.inside().map_or((Inside::Strings, context), |inside| (Inside::Block, inside)),
            Of::Source { is_text } => (Inside::Source(is_text), context),
            Of::Answer { delta } => (Inside::Answer(delta), context),
            Of::Choice(position) => (Inside::Choice, context.choice(index.unwrap_or(position))),
        }
    }
}

/// Labels of a large object, which are read in parts.
#[derive(Debug)]
pub(super) struct Ahead {
    pub labels: Labels,
    position: Position,
    /// Whether nothing of the object has been read.
    first: bool,
    /// The member that is being read.
    member: Option<(Option<Label>, Partial)>,
}

impl Ahead {
    /// Of the next object.
    pub(super) fn new(labels: Labels, scanner: &Scanner<'_>) -> Self {
        let mut ahead = scanner.clone();
        // if it is too deep, that is reported when it is read
        let _ = ahead.open();
        Ahead { labels, position: ahead.pause(), first: true, member: None }
    }

    /// Goes on. Returns whether all labels are read.
    pub(super) fn step(&mut self, text: &[u8], work: &mut Work) -> bool {
        let mut scanner = Scanner::resume(text, self.position);
        while work.is_left() {
            let before = scanner.position();
            // invalid JSON is reported when it is read
            match self.member.take() {
                None => {
                    let Ok(Some(name)) = scanner.next_member(self.first) else {
                        return true;
                    };
                    self.member = Some((Label::of(&name), Partial::default()));
                    scanner.peek();
                }
                Some((label, mut partial)) => match (scanner.value_in_parts(&mut partial, work.left()), label) {
                    (Ok(None), label) => self.member = Some((label, partial)),
                    (Ok(Some(value)), Some(label)) => self.labels.see(label, value),
                    (Ok(Some(_)), None) => {}
                    (Err(_), _) => return true,
                },
            }
            self.first = false;
            work.spend(scanner.position().saturating_sub(before).max(1));
        }
        self.position = scanner.pause();
        false
    }
}

/// The number of an index, at most `u32::MAX`; `None` if it is no number.
fn index(value: Value<'_>) -> Option<u32> {
    value.as_count().map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn short<'a>(label: &Text<'a>) -> Cow<'a, str> {
    match label.raw().len() <= MAX_LABEL {
        true => label.decode(),
        false => Cow::Borrowed(""),
    }
}

fn speaker(role: &str) -> Speaker {
    match role {
        "system" | "developer" => Speaker::System,
        "assistant" | "model" => Speaker::Assistant,
        "tool" | "function" => Speaker::Tool,
        _ => Speaker::User,
    }
}

/// The meaning of the `delta` of an event with this type; `None`: it is not text.
fn meaning_of_delta(event_type: &str) -> Option<PassageKind> {
    let has = |word: &str| event_type.contains(word);
    if has("transcript") {
        Some(PassageKind::Plain)
    } else if has("audio") || has("image") {
        None // encoded sound or pixels
    } else if has("arguments") {
        Some(PassageKind::Arguments)
    } else if has("refusal") {
        Some(PassageKind::Refusal)
    } else if has("reasoning") {
        Some(PassageKind::Reasoning)
    } else {
        Some(PassageKind::Plain)
    }
}
