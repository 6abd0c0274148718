//! The texts found so far.

use std::collections::BTreeMap;
use std::ops::Range;

use super::context::TextContext;
use super::how::Leaf;
use super::shapes::{is_numbered, is_plain_name};
use super::{PassageKind, MAX_PASSAGES};
use crate::guard::Speaker;
use crate::json::{Scanner, Text, Value};

/// The numbers of digits in a number to check: with fewer, nothing can be recognised.
const LONG_NUMBER: std::ops::RangeInclusive<usize> = 12..=19;

/// A text, and its context.
#[derive(Clone, Debug)]
pub(in crate::guard) struct Found {
    pub context: TextContext,
    /// The JSON string with quotes.
    pub span: Range<usize>,
    /// The strings that continue it, if an array has the pieces of a stream.
    pub more: Vec<Range<usize>>,
    /// The text; empty: it is long, and is still to be decoded.
    pub text: String,
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
    /// The longest text that is decoded as soon as it is found, in bytes.
    pub(super) at_once: usize,
}

/// Where texts are repeated token by token. If one of them changes, these must be removed.
#[derive(Clone, Debug)]
pub struct Echo {
    pub(in crate::guard) span: Range<usize>,
    list: bool,
}

impl Echo {
    /// The replacement.
    pub(in crate::guard) fn nothing(&self) -> String {
        if self.list { "[]" } else { "null" }.to_owned()
    }
}

impl Texts {
    /// Whether another one may be stored, beside this many.
    fn has_room(&mut self, count: usize) -> bool {
        self.too_many |= count >= MAX_PASSAGES;
        count < MAX_PASSAGES
    }

    /// A value that has been read.
    pub(super) fn take(&mut self, leaf: Leaf, value: Value<'_>, context: TextContext, span: Range<usize>) {
        match (leaf, value) {
            (Leaf::Text, Value::String(text)) => self.keep(context, span, &text),
            (Leaf::Unless(shape), Value::String(text)) if !shape.fits(text.raw()) => self.keep(context, span, &text),
            (Leaf::Name, Value::String(text))
                if !is_plain_name(text.raw()) || self.is_answer && is_numbered(text.raw()) =>
            {
                self.keep(context.kind(PassageKind::Name).whole(), span, &text);
            }
            (Leaf::Number, Value::Number(digits)) => self.number(context, span, digits),
            (Leaf::Echo, Value::Array { empty: false }) => self.echo(span, true),
            (Leaf::Echo, Value::Object) => self.echo(span, false),
            (Leaf::Skipped | Leaf::Text | Leaf::Unless(_) | Leaf::Name | Leaf::Number | Leaf::Echo, _) => {}
        }
    }

    fn keep(&mut self, context: TextContext, span: Range<usize>, text: &Text<'_>) {
        if !text.raw().is_empty() && self.has_room(self.found.len()) {
            // in an answer every text is the model's, whatever role it has
            let context = if self.is_answer { context.speaker(Speaker::Assistant) } else { context };
            let is_short = text.raw().len() <= self.at_once;
            let text = if is_short { text.decode().into_owned() } else { String::new() };
            self.found.push(Found { context, span, more: Vec::new(), text });
        }
    }

    /// A field name that may be personal data is a text.
    pub(super) fn odd_name(&mut self, name: &Text<'_>, scanner: &Scanner<'_>, context: TextContext) {
        if !is_plain_name(name.raw()) {
            self.keep(context, scanner.place_of(name), name);
        }
    }

    /// A number that may be a card number is a text: its replacement is a string.
    fn number(&mut self, context: TextContext, span: Range<usize>, digits: &[u8]) {
        let text = std::str::from_utf8(digits).unwrap_or_default();
        if LONG_NUMBER.contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && self.has_room(self.found.len())
        {
            self.found.push(Found { context, span, more: Vec::new(), text: text.to_owned() });
        }
    }

    fn echo(&mut self, span: Range<usize>, list: bool) {
        if self.has_room(self.echoes.len()) {
            self.echoes.push(Echo { span, list });
        }
    }

    /// A value that a message has only once.
    pub(super) fn only_once(&mut self, span: Range<usize>) {
        if self.has_room(self.once.len()) {
            self.once.push(span);
        }
    }

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
}
