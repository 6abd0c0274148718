//! What stands inside messages, items, blocks and parts: the shapes that requests and answers share.

use std::ops::Range;

use super::{fold, look_ahead, Kind, Passage, Unreadable, MAX_PASSAGES};
use crate::guard::nested::{view, Nesting};
use crate::guard::Speaker;
use crate::json::{JsonError, Scanner, Value};

/// How deep blocks may stand in blocks; no dialect needs more than four. Further down every string counts, so that
/// no nesting hides a text, nor makes the reading slow.
const MAX_BLOCKS: u8 = 8;

/// A text, and what it belongs to.
#[derive(Clone, Debug)]
pub(in crate::guard) struct Found {
    pub place: Place,
    /// The JSON string, quotes and all.
    pub span: Range<usize>,
    pub text: String,
}

/// Whose text it is, and which flow of a stream it belongs to.
#[derive(Clone, Copy, Debug)]
pub(in crate::guard) struct Place {
    pub speaker: Speaker,
    pub kind: Kind,
    /// OpenAI's choice, Gemini's candidate, Anthropic's block, OpenAI Responses' output item.
    pub choice: u32,
    /// The tool's call within a message, the part within an item.
    pub part: u32,
    /// It is whole: in a stream, no piece of it comes in another event.
    pub whole: bool,
    blocks: u8,
}

impl Place {
    pub(super) fn of(speaker: Speaker) -> Self {
        Place { speaker, kind: Kind::Plain, choice: 0, part: 0, whole: false, blocks: 0 }
    }

    /// What is sealed stays so, whatever it is.
    pub(super) fn kind(self, kind: Kind) -> Self {
        match self.kind {
            Kind::Sealed => self,
            Kind::Plain | Kind::Reasoning | Kind::Refusal | Kind::Arguments | Kind::Argument => Place { kind, ..self },
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

    /// Arguments that stand as JSON: each of their strings is a text.
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
    /// Where the texts are said again, token by token.
    pub echoes: Vec<Range<usize>>,
    /// Strings that a message says once, however many events it takes: ids, names, roles.
    pub once: Vec<Range<usize>>,
    too_many: bool,
}

impl Texts {
    pub(super) fn finish(self) -> Result<Self, Unreadable> {
        match self.too_many {
            true => Err(Unreadable::TooMany),
            false => Ok(self),
        }
    }

    pub(super) fn passages(self) -> Result<Vec<Passage>, Unreadable> {
        let passage = |found: Found| {
            let view = view(Nesting::default(), &found.text);
            let (text, source) = match view {
                Some(view) => (view, Some(found.text)),
                None => (found.text, None),
            };
            Passage { speaker: found.place.speaker, kind: found.place.kind, span: found.span, text, source }
        };
        Ok(self.found.into_iter().map(passage).collect())
    }

    /// The texts are said again here.
    pub(super) fn echo(&mut self, span: Range<usize>) {
        if self.has_room(self.echoes.len()) {
            self.echoes.push(span);
        }
    }

    /// Whether one more may be kept, beside so many.
    fn has_room(&mut self, count: usize) -> bool {
        self.too_many |= count >= MAX_PASSAGES;
        count < MAX_PASSAGES
    }

    /// A string is a text; another value is none.
    pub(super) fn string(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        let (value, span) = scanner.spanned()?;
        if let Value::String(text) = value {
            if !text.raw().is_empty() && self.has_room(self.found.len()) {
                self.found.push(Found { place, span, text: text.decode().into_owned() });
            }
        }
        Ok(())
    }

    /// Every string of a value is a text, and so is every name and every number that may be more than that.
    pub(super) fn strings(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'{') => scanner
                .object(|key, scanner| {
                    if !is_plain_name(key.raw()) && self.has_room(self.found.len()) {
                        let span = scanner.place_of(&key);
                        self.found.push(Found { place, span, text: key.decode().into_owned() });
                    }
                    self.strings(scanner, place)
                })
                .map(drop),
            Some(b'[') => scanner.array(|scanner| self.strings(scanner, place)).map(drop),
            Some(b'0'..=b'9') => self.number(scanner, place),
            _ => self.string(scanner, place),
        }
    }

    /// A number that may be a card's is a text: what takes its place is a string.
    fn number(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        let (value, span) = scanner.spanned()?;
        if let Value::Number(digits) = value {
            let text = std::str::from_utf8(digits).unwrap_or_default();
            if LONG_NUMBER.contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && self.has_room(self.found.len())
            {
                self.found.push(Found { place, span, text: text.to_owned() });
            }
        }
        Ok(())
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
        scanner.object(|key, scanner| self.field(&fold(&key), scanner, place))?;
        Ok(())
    }

    fn field(&mut self, name: &str, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        match name {
            "text" | "content" | "parts" | "output" | "outputs" | "code" | "function" | "custom" => {
                self.content(scanner, place)
            }
            "results" | "logs" | "title" | "context" | "citation" | "citations" | "citedtext" => {
                self.content(scanner, place.whole())
            }
            // what is said aloud beside the text
            "audio" | "transcript" => self.content(scanner, place.part(u32::MAX)),
            "refusal" => self.content(scanner, place.kind(Kind::Refusal)),
            "reasoning" | "reasoningcontent" | "reasoningdetails" | "thinking" | "summary" => {
                self.content(scanner, place.kind(Kind::Reasoning))
            }
            "source" => self.source(scanner, place),
            "toolcalls" => self.tool_calls(scanner, place),
            "functioncall" | "executablecode" => self.content(scanner, Place { speaker: Speaker::Assistant, ..place }),
            "functionresponse" | "codeexecutionresult" => self.content(scanner, place.tool()),
            "arguments" | "args" | "partialjson" => match scanner.peek() {
                Some(b'"') => self.string(scanner, place.kind(Kind::Arguments)),
                _ => self.strings(scanner, place.argument()),
            },
            "input" => match scanner.peek() {
                Some(b'"') => self.string(scanner, place),
                _ => self.strings(scanner, place.argument()),
            },
            "response" | "variables" => self.strings(scanner, place.argument()),
            "role" | "id" | "name" => {
                let (_, span) = scanner.spanned()?;
                if self.has_room(self.once.len()) {
                    self.once.push(span);
                }
                Ok(())
            }
            _ => scanner.value().map(drop),
        }
    }

    /// Where a document comes from. Anthropic's may hold the text itself; other data is none.
    fn source(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        let mut is_text = false;
        look_ahead(scanner, |name, value| {
            is_text |= name == "type" && matches!(value, Value::String(kind) if kind.is("text"));
        });
        scanner.object(|key, scanner| match (&*fold(&key), is_text) {
            ("data", true) => self.string(scanner, place),
            ("content", _) => self.content(scanner, place),
            (_, _) => scanner.value().map(drop),
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

/// The digits of numbers that are looked at: of those that fewer have, nothing can be told.
const LONG_NUMBER: std::ops::RangeInclusive<usize> = 12..=19;
/// The longest name of a field that says nothing of a person.
const MAX_PLAIN_NAME: usize = 32;

/// Whether a field's name is one of a program's, with few digits.
fn is_plain_name(name: &[u8]) -> bool {
    let digits = name.iter().filter(|byte| byte.is_ascii_digit()).count();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$');
    name.len() <= MAX_PLAIN_NAME && digits < 7 && name.iter().all(plain)
}

/// A number among the fields of the object that comes next.
pub(super) fn index(scanner: &Scanner<'_>, wanted: &str) -> Option<u32> {
    let mut index = None;
    look_ahead(scanner, |name, value| {
        if name == wanted {
            index = value.as_count().map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        }
    });
    index
}

/// The place of a block, by what it says of itself.
fn labelled(scanner: &Scanner<'_>, mut place: Place) -> Place {
    let mut sealed = place.kind == Kind::Sealed;
    look_ahead(scanner, |name, value| match (name, value) {
        ("role", Value::String(role)) => place.speaker = speaker(&role.decode()),
        ("thought", Value::Bool(true)) => place.kind = Kind::Reasoning,
        ("signature", Value::String(signature)) => sealed |= !signature.raw().is_empty(),
        ("type", Value::String(kind)) => {
            let kind = kind.decode();
            if kind.starts_with("thinking") || kind.starts_with("redacted_thinking") {
                place.speaker = Speaker::Assistant;
                sealed = true;
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
    if sealed {
        place.kind = Kind::Sealed;
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
