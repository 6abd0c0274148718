//! The contents of messages, items, blocks and parts: the shapes that requests and answers share.

use std::ops::Range;

use super::fields::{field, Field};
use super::shapes::{is_data, is_link, is_numbered, is_plain_name, is_word};
use super::{fold, look_ahead, Kind, Passage, Unreadable, MAX_PASSAGES};
use crate::guard::nested::{view, Nesting};
use crate::guard::Speaker;
use crate::json::{JsonError, Scanner, Text, Value};

/// The maximum nesting of blocks; no dialect needs more than ten. Below it every string counts, so nesting can neither
/// hide a text nor make the reading slow.
const MAX_BLOCKS: u8 = 12;

/// A text, and its place.
#[derive(Clone, Debug)]
pub(in crate::guard) struct Found {
    pub place: Place,
    /// The JSON string with quotes.
    pub span: Range<usize>,
    /// The strings that continue it, if an array has the pieces of a stream.
    pub more: Vec<Range<usize>>,
    pub text: String,
}

/// The role of a text, and its flow in a stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::guard) struct Place {
    pub speaker: Speaker,
    pub kind: Kind,
    /// OpenAI's choice, Gemini's candidate, Anthropic's block, OpenAI Responses' output item.
    pub choice: u32,
    /// The tool call in a message, the part in an item.
    pub part: u32,
    /// Whether it is complete: in a stream, no other event has a piece of it.
    pub whole: bool,
    blocks: u8,
}

impl Place {
    pub(super) fn of(speaker: Speaker) -> Self {
        Place { speaker, kind: Kind::Plain, choice: 0, part: 0, whole: false, blocks: 0 }
    }

    /// Signed content stays signed, whatever its kind.
    pub(super) fn kind(self, kind: Kind) -> Self {
        match self.kind {
            Kind::Signed | Kind::Given => self,
            Kind::Plain | Kind::Reasoning | Kind::Refusal | Kind::Arguments | Kind::Argument | Kind::Name => {
                Place { kind, ..self }
            }
        }
    }

    pub(super) fn choice(self, choice: u32) -> Self {
        Place { choice, ..self }
    }

    pub(super) fn part(self, part: u32) -> Self {
        Place { part, ..self }
    }

    pub(super) fn whole(self) -> Self {
        Place { whole: true, ..self }
    }

    /// A separate text beside the message's.
    fn apart(self, field: &str) -> Self {
        let hash = field.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        // calls count from 1, and `u32::MAX` is the transcript of speech
        self.part((hash | 1 << 31) & !1)
    }

    /// Arguments as JSON objects: each of their strings is a text.
    fn argument(self) -> Self {
        self.kind(Kind::Argument).whole()
    }

    fn tool(self) -> Self {
        Place { speaker: Speaker::Tool, ..self }
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
            let Found { place: Place { speaker, kind, .. }, span, more, .. } = found;
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
    pub(super) fn string(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        let (value, span) = scanner.spanned()?;
        if let Value::String(text) = value {
            self.keep(place, span, &text);
        }
        Ok(())
    }

    pub(super) fn keep(&mut self, place: Place, span: Range<usize>, text: &Text<'_>) {
        if !text.raw().is_empty() && self.has_room(self.found.len()) {
            // in an answer every text is the model's, whatever role it has
            let speaker = if self.is_answer { Speaker::Assistant } else { place.speaker };
            let (place, text) = (Place { speaker, ..place }, text.decode().into_owned());
            self.found.push(Found { place, span, more: Vec::new(), text });
        }
    }

    /// A string, a message, a block, or several of them.
    pub(super) fn content(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        if place.blocks == MAX_BLOCKS {
            return self.strings(scanner, place);
        }
        let inside = Place { blocks: place.blocks + 1, ..place };
        match scanner.peek() {
            Some(b'{') => self.block(scanner, inside),
            Some(b'[') => scanner.array(|scanner| self.content(scanner, inside)).map(drop),
            _ => self.string(scanner, place),
        }
    }

    fn block(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        let place = labelled(scanner, place);
        scanner.object(|key, scanner| {
            let name = fold(&key);
            if matches!(&*name, "role" | "id" | "name") && self.has_room(self.once.len()) {
                let (_, span) = scanner.clone().spanned()?;
                self.once.push(span);
            }
            self.field(&name, scanner, place)
        })?;
        Ok(())
    }

    /// One field of a message, an item, a block or a part, by the table; see [`super::fields`].
    pub(super) fn field(&mut self, name: &str, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        match field(name) {
            Some(Field::Text) => self.content(scanner, place),
            Some(Field::Apart) | None => self.content(scanner, place.apart(name)),
            Some(Field::Whole) => self.content(scanner, place.whole()),
            Some(Field::Aloud) => self.content(scanner, place.part(u32::MAX)),
            Some(Field::Refusal) => self.content(scanner, place.kind(Kind::Refusal)),
            Some(Field::Reasoning) => self.content(scanner, place.kind(Kind::Reasoning)),
            Some(Field::Called) => self.content(scanner, Place { speaker: Speaker::Assistant, ..place }),
            Some(Field::Result) => self.content(scanner, place.tool()),
            Some(Field::Calls) => self.tool_calls(scanner, place),
            Some(Field::Arguments) => match scanner.peek() {
                Some(b'"') => self.string(scanner, place.kind(Kind::Arguments)),
                _ => self.strings(scanner, place.argument()),
            },
            Some(Field::Input) => match scanner.peek() {
                Some(b'"') => self.string(scanner, place),
                _ => self.strings(scanner, place.argument()),
            },
            Some(Field::Free) => self.strings(scanner, place.argument()),
            Some(Field::Schema) => self.schema(scanner, place.argument()),
            Some(Field::Described) => {
                self.unless(is_plain_name, scanner, Place { speaker: Speaker::System, ..place.whole() })
            }
            Some(Field::Name) => self.name(scanner, place),
            Some(Field::Source) => self.source(scanner, place),
            Some(Field::Echo) => self.echo(scanner),
            Some(Field::Word) => self.unless(is_word, scanner, place.whole()),
            Some(Field::Data) => self.unless(is_data, scanner, place.whole()),
            Some(Field::Link) => match scanner.peek() {
                Some(b'{') => self.source(scanner, place),
                _ => self.unless(is_link, scanner, place.whole()),
            },
            Some(Field::Signed | Field::Credential | Field::Count) => scanner.value().map(drop),
        }
    }

    /// A string is a text unless its kind is not checked; lists and objects are read.
    pub(super) fn unless(
        &mut self,
        is: fn(&[u8]) -> bool,
        scanner: &mut Scanner<'_>,
        place: Place,
    ) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'"') => {
                let (value, span) = scanner.spanned()?;
                match value {
                    Value::String(text) if !is(text.raw()) => self.keep(place, span, &text),
                    _ => {}
                }
                Ok(())
            }
            Some(b'[') if place.blocks < MAX_BLOCKS => {
                let inside = Place { blocks: place.blocks + 1, ..place };
                scanner.array(|scanner| self.unless(is, scanner, inside)).map(drop)
            }
            _ => self.content(scanner, place),
        }
    }

    /// A name of a function or a speaker, or several.
    fn name(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'"') => {
                let (value, span) = scanner.spanned()?;
                match value {
                    Value::String(text) if !is_plain_name(text.raw()) || self.is_answer && is_numbered(text.raw()) => {
                        self.keep(place.kind(Kind::Name).whole(), span, &text);
                    }
                    _ => {}
                }
                Ok(())
            }
            Some(b'[') if place.blocks < MAX_BLOCKS => {
                let inside = Place { blocks: place.blocks + 1, ..place };
                scanner.array(|scanner| self.name(scanner, inside)).map(drop)
            }
            _ => self.content(scanner, place),
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
    fn source(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        if scanner.peek() != Some(b'{') || place.blocks == MAX_BLOCKS {
            return self.content(scanner, place.whole());
        }
        let mut is_text = false;
        look_ahead(scanner, |name, value| {
            is_text |= name == "type" && matches!(value, Value::String(kind) if kind.is("text"));
        });
        let place = Place { blocks: place.blocks + 1, ..place };
        scanner.object(|key, scanner| match (&*fold(&key), is_text) {
            ("data", true) => self.string(scanner, place),
            ("url" | "uri", _) => self.unless(is_link, scanner, place.whole()),
            (name, _) => self.field(name, scanner, place),
        })?;
        Ok(())
    }

    fn tool_calls(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        let mut position = 0;
        let is_array = scanner.peek() == Some(b'[');
        let mut call = |scanner: &mut Scanner<'_>| {
            let index = index(scanner, "index").unwrap_or(position);
            position = position.saturating_add(1);
            // part 0 is the message itself
            let place = Place { speaker: Speaker::Assistant, ..place.part(index.saturating_add(1)) };
            self.content(scanner, place)
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
fn labelled(scanner: &Scanner<'_>, mut place: Place) -> Place {
    let mut signed = place.kind == Kind::Signed;
    look_ahead(scanner, |name, value| match (name, value) {
        ("role", Value::String(role)) => place.speaker = speaker(&role.decode()),
        ("thought", Value::Bool(true)) => place.kind = Kind::Reasoning,
        ("signature", Value::String(signature)) => signed |= !signature.raw().is_empty(),
        ("type", Value::String(kind)) => {
            let kind = kind.decode();
            if kind.starts_with("thinking") || kind.starts_with("redacted_thinking") {
                place.speaker = Speaker::Assistant;
                signed = true;
            } else if kind.starts_with("reasoning") {
                place.speaker = Speaker::Assistant;
                place.kind = Kind::Reasoning;
            } else if kind.ends_with("_call") || kind.ends_with("tool_use") {
                place.speaker = Speaker::Assistant;
            } else if kind.ends_with("_call_output") || kind.ends_with("tool_result") {
                place.speaker = Speaker::Tool;
            }
        }
        _ => {}
    });
    if signed {
        place.kind = Kind::Signed;
    }
    place
}

fn speaker(role: &str) -> Speaker {
    match role {
        "system" | "developer" => Speaker::System,
        "assistant" | "model" => Speaker::Assistant,
        "tool" | "function" => Speaker::Tool,
        _ => Speaker::User,
    }
}
