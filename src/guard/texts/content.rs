//! The contents of messages, items, blocks and parts: the shapes that requests and answers share.

use std::ops::Range;

use super::fields::{field, Field};
use super::shapes::{is_data, is_link, is_numbered, is_plain_name, is_word};
use super::{fold, look_ahead, Passage, PassageKind, Unreadable, MAX_PASSAGES};
use crate::guard::nested::{view, Nesting};
use crate::guard::Speaker;
use crate::json::{JsonError, Scanner, Text, Value};

/// The maximum nesting of blocks; no dialect needs more than ten. Below it every string counts, so nesting can neither
/// hide a text nor make the reading slow.
const MAX_BLOCKS: u8 = 12;

/// A text, and its context in the body.
#[derive(Clone, Debug)]
pub(in crate::guard) struct Found {
    pub context: TextContext,
    /// The JSON string with quotes.
    pub span: Range<usize>,
    /// The strings that continue it, if an array has the pieces of a stream.
    pub more: Vec<Range<usize>>,
    pub text: String,
}

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

    pub(super) fn choice(self, choice: u32) -> Self {
        TextContext { choice, ..self }
    }

    pub(super) fn part(self, part: u32) -> Self {
        TextContext { part, ..self }
    }

    pub(super) fn whole(self) -> Self {
        TextContext { whole: true, ..self }
    }

    /// A separate text beside the message's.
    fn apart(self, field: &str) -> Self {
        let hash = field.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        // calls count from 1, and `u32::MAX` is the transcript of speech
        self.part((hash | 1 << 31) & !1)
    }

    /// Arguments as JSON objects: each of their strings is a text.
    fn argument(self) -> Self {
        self.kind(PassageKind::Argument).whole()
    }

    fn tool(self) -> Self {
        TextContext { speaker: Speaker::Tool, ..self }
    }
}

/// The texts found so far.
#[derive(Debug, Default)]
pub(in crate::guard) struct Texts {
    pub found: Vec<Found>,
    /// Where texts are repeated token by token.
    pub echoes: Vec<Echo>,
    /// Strings that a message has only once, in any number of events: ids, names, roles.
    pub once: Vec<Range<usize>>,
    pub(super) too_many: bool,
    /// Whether they are an answer's.
    pub(super) is_answer: bool,
    /// They may stand in pieces, in one answer after the other of an array.
    pub(super) in_pieces: bool,
}

/// Where texts are repeated token by token. If one of them changes, these must be removed.
#[derive(Clone, Debug)]
pub(in crate::guard) struct Echo {
    pub span: Range<usize>,
    list: bool,
}

impl Echo {
    /// The replacement.
    pub fn nothing(&self) -> String {
        if self.list { "[]" } else { "null" }.to_owned()
    }
}

impl Texts {
    pub(super) fn finish(self) -> Result<Self, Unreadable> {
        match self.too_many {
            true => Err(Unreadable::TooMany),
            false => Ok(self),
        }
    }

    pub(super) fn passages(mut self) -> Result<Vec<Passage>, Unreadable> {
        if self.in_pieces {
            self.join();
        }
        let passage = |mut found: Found| {
            let view = view(Nesting::default(), &found.text);
            let said = std::mem::take(&mut found.text);
            let (text, source) = match view {
                Some(view) => (view, Some(said)),
                None => (said, None),
            };
            let Found { context: TextContext { speaker, kind, .. }, span, more, .. } = found;
            Passage { speaker, kind, span, more, text, source }
        };
        Ok(self.found.into_iter().map(passage).collect())
    }

    /// Whether another one may be stored, beside this many.
    pub(super) fn has_room(&mut self, count: usize) -> bool {
        self.too_many |= count >= MAX_PASSAGES;
        count < MAX_PASSAGES
    }

    /// A string is a text; other values are not.
    pub(super) fn string(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        let (value, span) = scanner.spanned()?;
        if let Value::String(text) = value {
            self.keep(context, span, &text);
        }
        Ok(())
    }

    pub(super) fn keep(&mut self, context: TextContext, span: Range<usize>, text: &Text<'_>) {
        if !text.raw().is_empty() && self.has_room(self.found.len()) {
            // in an answer every text is the model's, whatever role it has
            let speaker = if self.is_answer { Speaker::Assistant } else { context.speaker };
            let (context, text) = (TextContext { speaker, ..context }, text.decode().into_owned());
            self.found.push(Found { context, span, more: Vec::new(), text });
        }
    }

    /// A string, a message, a block, or several of them.
    pub(super) fn content(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        if context.blocks == MAX_BLOCKS {
            return self.strings(scanner, context);
        }
        let inside = TextContext { blocks: context.blocks + 1, ..context };
        match scanner.peek() {
            Some(b'{') => self.block(scanner, inside),
            Some(b'[') => scanner.array(|scanner| self.content(scanner, inside)).map(drop),
            _ => self.string(scanner, context),
        }
    }

    fn block(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        let context = labelled(scanner, context);
        scanner.object(|key, scanner| {
            let name = fold(&key);
            if matches!(&*name, "role" | "id" | "name") && self.has_room(self.once.len()) {
                let (_, span) = scanner.clone().spanned()?;
                self.once.push(span);
            }
            self.field(&name, scanner, context)
        })?;
        Ok(())
    }

    /// One field of a message, an item, a block or a part, by the table; see [`super::fields`].
    pub(super) fn field(
        &mut self,
        name: &str,
        scanner: &mut Scanner<'_>,
        context: TextContext,
    ) -> Result<(), JsonError> {
        match field(name) {
            Some(Field::Text) => self.content(scanner, context),
            Some(Field::Apart) | None => self.content(scanner, context.apart(name)),
            Some(Field::Whole) => self.content(scanner, context.whole()),
            Some(Field::Aloud) => self.content(scanner, context.part(u32::MAX)),
            Some(Field::Refusal) => self.content(scanner, context.kind(PassageKind::Refusal)),
            Some(Field::Reasoning) => self.content(scanner, context.kind(PassageKind::Reasoning)),
            Some(Field::Called) => self.content(scanner, TextContext { speaker: Speaker::Assistant, ..context }),
            Some(Field::Result) => self.content(scanner, context.tool()),
            Some(Field::Calls) => self.tool_calls(scanner, context),
            Some(Field::Arguments) => match scanner.peek() {
                Some(b'"') => self.string(scanner, context.kind(PassageKind::Arguments)),
                _ => self.strings(scanner, context.argument()),
            },
            Some(Field::Input) => match scanner.peek() {
                Some(b'"') => self.string(scanner, context),
                _ => self.strings(scanner, context.argument()),
            },
            Some(Field::Free) => self.strings(scanner, context.argument()),
            Some(Field::Schema) => self.schema(scanner, context.argument()),
            Some(Field::Described) => {
                self.unless(is_plain_name, scanner, TextContext { speaker: Speaker::System, ..context.whole() })
            }
            Some(Field::Name) => self.name(scanner, context),
            Some(Field::Source) => self.source(scanner, context),
            Some(Field::Echo) => self.echo(scanner),
            Some(Field::Word) => self.unless(is_word, scanner, context.whole()),
            Some(Field::Data) => self.unless(is_data, scanner, context.whole()),
            Some(Field::Link) => match scanner.peek() {
                Some(b'{') => self.source(scanner, context),
                _ => self.unless(is_link, scanner, context.whole()),
            },
            Some(Field::Signed | Field::Credential | Field::Count) => scanner.value().map(drop),
        }
    }

    /// A string is a text unless its kind is not checked; lists and objects are read.
    pub(super) fn unless(
        &mut self,
        is: fn(&[u8]) -> bool,
        scanner: &mut Scanner<'_>,
        context: TextContext,
    ) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'"') => {
                let (value, span) = scanner.spanned()?;
                match value {
                    Value::String(text) if !is(text.raw()) => self.keep(context, span, &text),
                    _ => {}
                }
                Ok(())
            }
            Some(b'[') if context.blocks < MAX_BLOCKS => {
                let inside = TextContext { blocks: context.blocks + 1, ..context };
                scanner.array(|scanner| self.unless(is, scanner, inside)).map(drop)
            }
            _ => self.content(scanner, context),
        }
    }

    /// A name of a function or a speaker, or several.
    fn name(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'"') => {
                let (value, span) = scanner.spanned()?;
                match value {
                    Value::String(text) if !is_plain_name(text.raw()) || self.is_answer && is_numbered(text.raw()) => {
                        self.keep(context.kind(PassageKind::Name).whole(), span, &text);
                    }
                    _ => {}
                }
                Ok(())
            }
            Some(b'[') if context.blocks < MAX_BLOCKS => {
                let inside = TextContext { blocks: context.blocks + 1, ..context };
                scanner.array(|scanner| self.name(scanner, inside)).map(drop)
            }
            _ => self.content(scanner, context),
        }
    }

    /// Texts are repeated token by token here.
    pub(super) fn echo(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let (value, span) = scanner.spanned()?;
        let list = match value {
            Value::Array { empty } => (!empty).then_some(true),
            Value::Object => Some(false),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        if let Some(list) = list.filter(|_| self.has_room(self.echoes.len())) {
            self.echoes.push(Echo { span, list });
        }
        Ok(())
    }

    /// The source of a document. Anthropic's may hold the text itself; other data is not text.
    fn source(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        if scanner.peek() != Some(b'{') || context.blocks == MAX_BLOCKS {
            return self.content(scanner, context.whole());
        }
        let mut is_text = false;
        look_ahead(scanner, |name, value| {
            is_text |= name == "type" && matches!(value, Value::String(kind) if kind.is("text"));
        });
        let context = TextContext { blocks: context.blocks + 1, ..context };
        scanner.object(|key, scanner| match (&*fold(&key), is_text) {
            ("data", true) => self.string(scanner, context),
            ("url" | "uri", _) => self.unless(is_link, scanner, context.whole()),
            (name, _) => self.field(name, scanner, context),
        })?;
        Ok(())
    }

    fn tool_calls(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        let mut position = 0;
        let is_array = scanner.peek() == Some(b'[');
        let mut call = |scanner: &mut Scanner<'_>| {
            let index = index(scanner, "index").unwrap_or(position);
            position = position.saturating_add(1);
            // part 0 is the message itself
            let context = TextContext { speaker: Speaker::Assistant, ..context.part(index.saturating_add(1)) };
            self.content(scanner, context)
        };
        match is_array {
            true => scanner.array(call).map(drop),
            false => call(scanner),
        }
    }
}

/// A numeric field of the next object.
pub(super) fn index(scanner: &Scanner<'_>, wanted: &str) -> Option<u32> {
    let mut index = None;
    look_ahead(scanner, |name, value| {
        if name == wanted {
            index = value.as_count().map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        }
    });
    index
}

/// The index of a block, from its own label.
fn labelled(scanner: &Scanner<'_>, mut context: TextContext) -> TextContext {
    let mut signed = context.kind == PassageKind::Signed;
    look_ahead(scanner, |name, value| match (name, value) {
        ("role", Value::String(role)) => context.speaker = speaker(&role.decode()),
        ("thought", Value::Bool(true)) => context.kind = PassageKind::Reasoning,
        ("signature", Value::String(signature)) => signed |= !signature.raw().is_empty(),
        ("type", Value::String(kind)) => {
            let kind = kind.decode();
            if kind.starts_with("thinking") || kind.starts_with("redacted_thinking") {
                context.speaker = Speaker::Assistant;
                signed = true;
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
    });
    if signed {
        context.kind = PassageKind::Signed;
    }
    context
}

fn speaker(role: &str) -> Speaker {
    match role {
        "system" | "developer" => Speaker::System,
        "assistant" | "model" => Speaker::Assistant,
        "tool" | "function" => Speaker::Tool,
        _ => Speaker::User,
    }
}
