//! The texts of an answer: of a complete one, or of one event of a stream.

use std::collections::BTreeMap;

use super::content::{index, Found, TextContext, Texts};
use super::fields::field;
use super::shapes::is_plain_name;
use super::{fold, look_ahead, PassageKind, Unreadable};
use crate::guard::Speaker;
use crate::json::{JsonError, Scanner, Value};

/// The parts of the request that OpenAI Responses' answers repeat.
const GIVEN: &[&str] = &[
    "instructions",
    "metadata",
    "prompt",
    "promptcachekey",
    "reasoning",
    "safetyidentifier",
    "text",
    "toolchoice",
    "tools",
    "user",
];

/// An event's labels: the part of the answer that it carries.
#[derive(Clone, Copy, Debug, Default)]
struct Label {
    /// Anthropic's block, or OpenAI Responses' item.
    choice: u32,
    part: u32,
    /// The meaning of a `delta` that is a string; `None` if it is not text.
    delta: Option<PassageKind>,
}

pub(in crate::guard) fn read(data: &[u8]) -> Result<Texts, Unreadable> {
    let mut texts = Texts { is_answer: true, ..Texts::default() };
    let mut scanner = Scanner::new(data);
    match scanner.peek() {
        // Gemini without `alt=sse` streams one array of answers
        Some(b'[') => {
            scanner.array(|scanner| texts.answer(scanner))?;
            texts.in_pieces = true;
        }
        _ => texts.answer(&mut scanner)?,
    }
    scanner.end()?;
    texts.finish()
}

impl Texts {
    /// Makes one text of those that are pieces of it.
    pub(super) fn join(&mut self) {
        let mut flows = BTreeMap::new();
        let mut joined: Vec<Found> = Vec::new();
        for found in std::mem::take(&mut self.found) {
            let context = found.context;
            let flow =
                *flows.entry((context.choice, context.part, context.kind, context.whole)).or_insert(joined.len());
            match joined.get_mut(flow).filter(|_| !context.whole) {
                Some(first) => {
                    first.text.push_str(&found.text);
                    first.more.push(found.span);
                }
                None => joined.push(found),
            }
        }
        self.found = joined;
    }

    fn answer(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let label = Label::of(scanner);
        let model = TextContext::of(Speaker::Assistant);
        let labelled = model.choice(label.choice).part(label.part);
        scanner.object(|key, scanner| match &*fold(&key) {
            "choices" | "candidates" => self.choices(scanner, model),
            // Ollama's, and what Anthropic's `message_start` begins with
            "message" => self.content(scanner, model),
            "thinking" => self.content(scanner, model.kind(PassageKind::Reasoning)),
            "response" => match scanner.peek() {
                Some(b'"') => self.string(scanner, model),
                _ => self.response(scanner, model.whole()),
            },
            "output" | "content" => self.items(scanner, model.whole()),
            "delta" => match (scanner.peek(), label.delta) {
                (Some(b'"'), Some(kind)) => self.string(scanner, labelled.kind(kind)),
                (Some(b'"'), None) => scanner.value().map(drop),
                (_, _) => self.content(scanner, labelled),
            },
            "contentblock" => self.content(scanner, labelled),
            "item" | "part" | "transcript" | "input" | "code" => self.content(scanner, labelled.whole()),
            "refusal" => self.content(scanner, labelled.kind(PassageKind::Refusal).whole()),
            "arguments" => self.content(scanner, labelled.kind(PassageKind::Arguments).whole()),
            name => self.own(name, scanner, labelled),
        })?;
        Ok(())
    }

    /// A field of the answer itself, or of an event. Fields outside the conversation are complete.
    fn own(&mut self, name: &str, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        match (name, scanner.peek()) {
            ("text", Some(b'"')) => self.content(scanner, context.whole()),
            _ if GIVEN.contains(&name) => self.field(name, scanner, context.kind(PassageKind::Given).whole()),
            _ if field(name).is_none() => self.unknown(scanner, context.whole()),
            _ => self.field(name, scanner, context.whole()),
        }
    }

    fn choices(&mut self, scanner: &mut Scanner<'_>, model: TextContext) -> Result<(), JsonError> {
        let mut position = 0;
        scanner.array(|scanner| {
            let context = model.choice(index(scanner, "index").unwrap_or(position));
            position = position.saturating_add(1);
            scanner.object(|key, scanner| match &*fold(&key) {
                "delta" | "message" | "text" | "content" => self.content(scanner, context),
                name if field(name).is_none() => self.unknown(scanner, context.whole()),
                name => self.field(name, scanner, context.whole()),
            })?;
            Ok(())
        })?;
        Ok(())
    }

    /// An unknown field: a word that each event repeats is not the model's.
    fn unknown(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        self.unless(is_plain_name, scanner, context)
    }

    /// OpenAI Responses' complete answer, which its first and its last event contain.
    fn response(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        scanner.object(|key, scanner| match &*fold(&key) {
            "output" => self.items(scanner, context),
            name => self.own(name, scanner, context),
        })?;
        Ok(())
    }

    /// The items or blocks of a complete answer.
    fn items(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        if scanner.peek() != Some(b'[') {
            return self.content(scanner, context);
        }
        let mut position = 0;
        scanner.array(|scanner| {
            let context = context.choice(position);
            position = position.saturating_add(1);
            self.content(scanner, context)
        })?;
        Ok(())
    }
}

impl Label {
    fn of(scanner: &Scanner<'_>) -> Self {
        let mut label = Label { delta: Some(PassageKind::Plain), ..Label::default() };
        let number =
            |value: Value<'_>| value.as_count().and_then(|count| u32::try_from(count).ok()).unwrap_or(u32::MAX);
        look_ahead(scanner, |name, value| match (name, value) {
            ("index" | "outputindex", value) => label.choice = number(value),
            ("contentindex" | "summaryindex", value) => label.part = number(value),
            ("type", Value::String(name)) => label.delta = delta(&name.decode()),
            _ => {}
        });
        label
    }
}

/// The meaning of the `delta` of an event with this type.
fn delta(event_type: &str) -> Option<PassageKind> {
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
