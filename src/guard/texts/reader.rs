//! Reads a body's JSON in parts, so that other work can run in between. What is open is on a list, not on the stack.

use super::answer::{member_of_answer, member_of_choice, member_of_response};
use super::content::{member, member_of_schema, member_of_source};
use super::context::TextContext;
use super::found::Texts;
use super::how::{How, Inside, Leaf};
use super::labels::{Ahead, Labels};
use super::opening::Opening;
use super::request::member_of_request;
use super::{fold, Unreadable};
use crate::guard::work::Work;
use crate::guard::Speaker;
use crate::json::{JsonError, Partial, Position, Scanner, Text};

/// The state of reading a body's texts.
#[derive(Debug)]
pub(in crate::guard) struct Reader {
    texts: Texts,
    position: Position,
    /// The open objects and arrays.
    open: Vec<Open>,
    pending: Pending,
}

/// An open object or array.
#[derive(Clone, Copy, Debug)]
struct Open {
    inside: Inside,
    context: TextContext,
    /// The number of its elements so far.
    elements: u32,
    /// Whether none of it has been read.
    is_new: bool,
}

/// What the reader continues with.
#[derive(Debug)]
enum Pending {
    /// The outermost value.
    Whole(How, TextContext),
    /// What follows a value or an opening bracket.
    Next,
    /// The labels of a large object.
    Labels(Box<Ahead>),
    /// The rest of a large value.
    Value(Box<(Expected, Partial)>),
    /// Nothing: everything has been read.
    Nothing,
}

/// A value that comes next.
#[derive(Clone, Copy, Debug)]
struct Next {
    how: How,
    context: TextContext,
    /// Its index in an array.
    position: u32,
    /// Whether a message has it only once.
    once: bool,
}

/// A value that is read in one piece.
#[derive(Clone, Copy, Debug)]
struct Expected {
    leaf: Leaf,
    context: TextContext,
    once: bool,
    start: usize,
}

impl Reader {
    pub(super) fn of_request() -> Self {
        Reader::new(Texts::default(), How::Request, Speaker::User)
    }

    pub(super) fn of_answer() -> Self {
        Reader::new(Texts { is_answer: true, ..Texts::default() }, How::Answers, Speaker::Assistant)
    }

    fn new(texts: Texts, how: How, speaker: Speaker) -> Self {
        let pending = Pending::Whole(how, TextContext::of(speaker));
        Reader { texts, position: Position::default(), open: Vec::new(), pending }
    }

    /// What has been found, after the last step.
    pub(super) fn take_texts(&mut self) -> Texts {
        std::mem::take(&mut self.texts)
    }

    /// Reads on; the body must be the same each time. Returns whether it has been read completely.
    ///
    /// # Errors
    /// It is no JSON, or has too many texts.
    pub(super) fn step(&mut self, body: &[u8], work: &mut Work) -> Result<bool, Unreadable> {
        let mut scanner = Scanner::resume(body, self.position);
        self.texts.at_once = work.left();
        let done = self.run(&mut scanner, work);
        self.position = scanner.pause();
        done
    }

    fn run(&mut self, scanner: &mut Scanner<'_>, work: &mut Work) -> Result<bool, Unreadable> {
        let mut known = scanner.position();
        let mut goes_on = match std::mem::replace(&mut self.pending, Pending::Next) {
            Pending::Next => true,
            Pending::Nothing => {
                self.pending = Pending::Nothing;
                return Ok(true);
            }
            Pending::Whole(how, context) => {
                self.value(&Next { how, context, position: 0, once: false }, scanner, work)?
            }
            Pending::Labels(ahead) => self.labels(ahead, scanner, work)?,
            Pending::Value(value) => self.rest(value, scanner, work)?,
        };
        while goes_on {
            if self.texts.too_many {
                return Err(Unreadable::TooMany);
            }
            work.spend(scanner.position().saturating_sub(known));
            known = scanner.position();
            if !work.is_left() {
                return Ok(false); // the next step goes on here
            }
            let Some(next) = self.next(scanner)? else {
                scanner.end()?;
                self.pending = Pending::Nothing;
                return Ok(true);
            };
            goes_on = self.value(&next, scanner, work)?;
        }
        Ok(false)
    }

    /// The next member or element, after whatever ends before it. `None`: the outermost value has ended.
    fn next(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<Next>, JsonError> {
        while let Some(open) = self.open.last_mut() {
            let is_new = std::mem::replace(&mut open.is_new, false);
            let (context, position) = (open.context, open.elements);
            match open.inside {
                Inside::Array(how) => {
                    open.elements = position.saturating_add(1);
                    if scanner.next_element(is_new)? {
                        return Ok(Some(Next { how, context, position, once: false }));
                    }
                }
                inside => {
                    if let Some(name) = scanner.next_member(is_new)? {
                        return Ok(Some(self.member(inside, context, &name, scanner)));
                    }
                }
            }
            self.open.pop();
        }
        Ok(None)
    }

    /// A member whose value comes next.
    fn member(&mut self, inside: Inside, context: TextContext, name: &Text<'_>, scanner: &mut Scanner<'_>) -> Next {
        let first = scanner.peek();
        let mut once = false;
        let (how, context) = match inside {
            Inside::Strings => {
                self.texts.odd_name(name, scanner, context);
                (How::Strings, context)
            }
            Inside::Schema => {
                self.texts.odd_name(name, scanner, context);
                member_of_schema(name.raw(), context)
            }
            Inside::Block => {
                let name = fold(name);
                once = matches!(&*name, "role" | "id" | "name");
                member(&name, first, context)
            }
            Inside::Source(is_text) => member_of_source(&fold(name), is_text, first, context),
            Inside::Request => member_of_request(&fold(name), first),
            Inside::Answer(delta) => member_of_answer(&fold(name), first, context, delta),
            Inside::Choice => member_of_choice(&fold(name), first, context),
            Inside::Response => member_of_response(&fold(name), first, context),
            Inside::Array(how) => (how, context), // its elements have no names
        };
        Next { how, context, position: 0, once }
    }

    /// Begins a value. Returns whether to go on with what follows.
    fn value(&mut self, next: &Next, scanner: &mut Scanner<'_>, work: &mut Work) -> Result<bool, JsonError> {
        match next.how.opening(scanner.peek(), next.context, next.position) {
            Opening::Leaf(leaf, context) => {
                let expected = Expected { leaf, context, once: next.once, start: scanner.position() };
                if scanner.rest() > work.left() {
                    return self.rest(Box::new((expected, Partial::default())), scanner, work);
                }
                let value = scanner.value()?;
                self.take(&expected, value, scanner);
            }
            Opening::Open(inside, context) => self.enter(inside, context, scanner)?,
            Opening::Labelled(mut labels) => {
                if scanner.rest() > work.left() {
                    return self.labels(Box::new(Ahead::new(labels, scanner)), scanner, work);
                }
                work.spend(labels.read(scanner));
                self.labelled(labels, scanner)?;
            }
        }
        Ok(true)
    }

    fn enter(&mut self, inside: Inside, context: TextContext, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.open()?;
        self.open.push(Open { inside, context, elements: 0, is_new: true });
        Ok(())
    }

    fn labelled(&mut self, labels: Labels, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let (inside, context) = labels.finish();
        self.enter(inside, context, scanner)
    }

    fn labels(&mut self, mut ahead: Box<Ahead>, scanner: &mut Scanner<'_>, work: &mut Work) -> Result<bool, JsonError> {
        if !ahead.step(scanner.text(), work) {
            self.pending = Pending::Labels(ahead);
            return Ok(false);
        }
        self.labelled(ahead.labels, scanner)?;
        Ok(true)
    }

    /// Goes on with a large value.
    fn rest(
        &mut self,
        mut value: Box<(Expected, Partial)>,
        scanner: &mut Scanner<'_>,
        work: &Work,
    ) -> Result<bool, JsonError> {
        let (expected, partial) = &mut *value;
        match scanner.value_in_parts(partial, work.left())? {
            Some(read) => {
                self.take(expected, read, scanner);
                Ok(true)
            }
            None => {
                self.pending = Pending::Value(value);
                Ok(false)
            }
        }
    }

    fn take(&mut self, expected: &Expected, value: crate::json::Value<'_>, scanner: &Scanner<'_>) {
        let span = expected.start..scanner.position();
        if expected.once {
            self.texts.only_once(span.clone());
        }
        self.texts.take(expected.leaf, value, expected.context, span);
    }
}

/// The texts of an answer, or of one event of a stream, in one step.
pub(in crate::guard) fn read_answer(data: &[u8]) -> Result<Texts, Unreadable> {
    read(Reader::of_answer(), data)
}

/// Reads a body in one step.
pub(super) fn read(mut reader: Reader, body: &[u8]) -> Result<Texts, Unreadable> {
    while !reader.step(body, &mut Work::new(usize::MAX))? {}
    Ok(reader.take_texts())
}
