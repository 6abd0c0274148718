//! Compares a body with a schema, in one pass without a tree.

use std::fmt;

use crate::json::{JsonError, Scanner, Text, Value};

/// What a value may be.
pub(super) enum Schema {
    /// Anything.
    Any,
    /// A string.
    Text,
    /// A string that is not empty.
    Name,
    /// `true` or `false`.
    Flag,
    /// A number in this range.
    Number(f64, f64),
    /// A whole number in this range.
    Whole(f64, f64),
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A list of so many elements.
    List(&'static Schema, usize, usize),
    /// An object; other members are allowed.
    Object(&'static [Member]),
    /// An object whose members depend on one of them.
    Tagged {
        /// That member.
        tag: &'static str,
        /// Its values, and what then belongs to the object.
        cases: &'static [(&'static str, &'static [Member])],
        /// Without it, the object is this case; `None`: it must be there.
        default: Option<&'static str>,
        /// Whether other values are allowed.
        open: bool,
    },
    /// Any of these, by the kind of the value.
    Either(&'static [Schema]),
}

/// A member of an object.
pub(super) struct Member {
    pub name: &'static str,
    pub schema: &'static Schema,
    pub required: bool,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Wrong {
    /// It is not there.
    Missing,
    /// It is something else than this.
    Type(&'static str),
    /// It is no number from the first to the second.
    Range(f64, f64),
    /// It is none of these.
    Choice(Vec<&'static str>),
    /// It has fewer elements.
    Few(usize),
    /// It has more elements.
    Many(usize),
    /// It has no characters.
    Empty,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Missing => write!(f, "is missing"),
            Wrong::Type(wanted) => write!(f, "must be {wanted}"),
            Wrong::Range(least, most) if *most >= f64::MAX => write!(f, "must be at least {least}"),
            Wrong::Range(least, most) => write!(f, "must be from {least} to {most}"),
            Wrong::Choice(names) => write!(f, "must be one of {}", names.join(", ")),
            Wrong::Few(1) => write!(f, "must not be empty"),
            Wrong::Few(least) => write!(f, "must have at least {least} elements"),
            Wrong::Many(most) => write!(f, "must have at most {most} elements"),
            Wrong::Empty => write!(f, "must not be empty"),
        }
    }
}

/// A step to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Name(&'static str),
    Index(usize),
}

/// The first problem of a body. It has nothing of what the client wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    steps: Vec<Step>,
    /// What is wrong.
    pub wrong: Wrong,
}

impl Problem {
    /// Where it is, such as `messages[2].content[0].type`.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Name(name) if path.is_empty() => path.push_str(name),
                Step::Name(name) => path.extend([".", name]),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }

    /// The same without numbers, such as `messages.content.type`: one of as many as the schemas have.
    pub fn field(&self) -> String {
        let names = self.steps.iter().filter_map(|step| match step {
            Step::Name(name) => Some(*name),
            Step::Index(_) => None,
        });
        names.collect::<Vec<_>>().join(".")
    }

    /// The body's field with it.
    pub fn first(&self) -> Option<&'static str> {
        self.steps.iter().find_map(|step| match step {
            Step::Name(name) => Some(*name),
            Step::Index(_) => None,
        })
    }
}

/// The first problem of a body. One that is not JSON has none: others say so.
pub(super) fn check(schema: &Schema, body: &[u8]) -> Option<Problem> {
    let mut walk = Walk { steps: Vec::new(), problem: None };
    let mut scanner = Scanner::new(body);
    walk.value(schema, &mut scanner).ok()?;
    walk.problem
}

struct Walk {
    steps: Vec<Step>,
    problem: Option<Problem>,
}

/// The JSON kind of a value, by its first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum JsonKind {
    Null,
    Flag,
    Number,
    Text,
    List,
    Object,
}

fn kind(byte: Option<u8>) -> JsonKind {
    match byte {
        Some(b'"') => JsonKind::Text,
        Some(b'{') => JsonKind::Object,
        Some(b'[') => JsonKind::List,
        Some(b't' | b'f') => JsonKind::Flag,
        Some(b'n') | None => JsonKind::Null,
        Some(_) => JsonKind::Number,
    }
}

impl Schema {
    fn takes(&self, kind: JsonKind) -> bool {
        match self {
            Schema::Any => true,
            Schema::Text | Schema::Name | Schema::Choice(_) => kind == JsonKind::Text,
            Schema::Flag => kind == JsonKind::Flag,
            Schema::Number(..) | Schema::Whole(..) => kind == JsonKind::Number,
            Schema::List(..) => kind == JsonKind::List,
            Schema::Object(_) | Schema::Tagged { .. } => kind == JsonKind::Object,
            Schema::Either(schemas) => schemas.iter().any(|schema| schema.takes(kind)),
        }
    }

    fn described(&self) -> &'static str {
        match self {
            Schema::Any => "a value",
            Schema::Text | Schema::Name | Schema::Choice(_) => "a string",
            Schema::Flag => "true or false",
            Schema::Number(..) => "a number",
            Schema::Whole(..) => "a whole number",
            Schema::List(..) => "a list",
            Schema::Object(_) | Schema::Tagged { .. } => "an object",
            Schema::Either(schemas) => match (schemas.first(), schemas.get(1)) {
                (Some(Schema::Text | Schema::Name | Schema::Choice(_)), Some(Schema::List(..))) => "a string or a list",
                (Some(Schema::Text | Schema::Name | Schema::Choice(_)), Some(_)) => "a string or an object",
                (Some(Schema::List(..)), Some(Schema::Object(_))) => "a list or an object",
                _ => "another kind of value",
            },
        }
    }
}

impl Walk {
    fn wrong(&mut self, wrong: Wrong) {
        if self.problem.is_none() {
            self.problem = Some(Problem { steps: self.steps.clone(), wrong });
        }
    }

    fn value(&mut self, schema: &Schema, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        if let (Schema::Any, _) | (_, true) = (schema, self.problem.is_some()) {
            return scanner.value().map(|_| ());
        }
        let kind = kind(scanner.peek());
        if !schema.takes(kind) {
            self.wrong(Wrong::Type(schema.described()));
            return scanner.value().map(|_| ());
        }
        match schema {
            Schema::Either(schemas) => match schemas.iter().find(|schema| schema.takes(kind)) {
                Some(schema) => self.value(schema, scanner),
                None => scanner.value().map(|_| ()),
            },
            Schema::List(of, least, most) => self.list(of, (*least, *most), scanner),
            Schema::Object(members) => self.object(members, scanner),
            Schema::Tagged { tag, cases, default, open } => {
                let found = tag_of(tag, scanner.clone())?;
                self.tagged((tag, cases, *open), found.or(default.map(str::to_owned)), scanner)
            }
            Schema::Any
            | Schema::Text
            | Schema::Name
            | Schema::Flag
            | Schema::Number(..)
            | Schema::Whole(..)
            | Schema::Choice(_) => {
                let value = scanner.value()?;
                if let Some(wrong) = plain(schema, value) {
                    self.wrong(wrong);
                }
                Ok(())
            }
        }
    }

    fn list(&mut self, of: &Schema, (least, most): (usize, usize), scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let mut count = 0;
        scanner.array(|scanner| {
            self.steps.push(Step::Index(count));
            let checked = self.value(of, scanner);
            self.steps.pop();
            count += 1;
            checked
        })?;
        if count < least {
            self.wrong(Wrong::Few(least));
        }
        if count > most {
            self.wrong(Wrong::Many(most));
        }
        Ok(())
    }

    fn tagged(
        &mut self,
        (tag, cases, open): (&'static str, &'static [(&'static str, &'static [Member])], bool),
        found: Option<String>,
        scanner: &mut Scanner<'_>,
    ) -> Result<(), JsonError> {
        let case = found.as_deref().and_then(|found| cases.iter().find(|(name, _)| *name == found));
        if let (None, true) = (case, !open || found.is_none()) {
            self.steps.push(Step::Name(tag));
            self.wrong(match found {
                None => Wrong::Missing,
                Some(_) => Wrong::Choice(cases.iter().map(|(name, _)| *name).collect()),
            });
            self.steps.pop();
        }
        match case {
            Some((_, members)) => self.object(members, scanner),
            None => scanner.value().map(|_| ()),
        }
    }

    fn object(&mut self, members: &'static [Member], scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let mut seen = 0_u64;
        scanner.object(|key, scanner| {
            let Some((index, member)) = members.iter().enumerate().find(|(_, member)| key.is(member.name)) else {
                return scanner.value().map(|_| ());
            };
            if scanner.peek() == Some(b'n') {
                return scanner.value().map(|_| ());
            }
            seen |= 1 << index.min(63);
            self.steps.push(Step::Name(member.name));
            let checked = self.value(member.schema, scanner);
            self.steps.pop();
            checked
        })?;
        for (index, member) in members.iter().enumerate().filter(|(_, member)| member.required) {
            if seen & 1 << index.min(63) == 0 {
                self.steps.push(Step::Name(member.name));
                self.wrong(Wrong::Missing);
                self.steps.pop();
            }
        }
        Ok(())
    }
}

/// The value of an object's tag. Of several, the last, as most readers do.
fn tag_of(tag: &str, mut scanner: Scanner<'_>) -> Result<Option<String>, JsonError> {
    let mut found = None;
    scanner.object(|key, scanner| {
        let value = scanner.value()?;
        if key.is(tag) {
            found = match value {
                Value::String(text) => Some(text.decode().into_owned()),
                Value::Null => None,
                // no case has such a name
                Value::Bool(_) | Value::Number(_) | Value::Array { .. } | Value::Object => Some(String::new()),
            };
        }
        Ok(())
    })?;
    Ok(found)
}

/// What is wrong with a value that has no others in it.
fn plain(schema: &Schema, value: Value<'_>) -> Option<Wrong> {
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok().and_then(|text| text.parse::<f64>().ok());
    match (schema, value) {
        (Schema::Number(least, most), Value::Number(digits)) => {
            let fits = number(digits).is_some_and(|number| (*least..=*most).contains(&number));
            (!fits).then_some(Wrong::Range(*least, *most))
        }
        (Schema::Whole(least, most), Value::Number(digits)) => match number(digits) {
            Some(number) if number.fract() != 0.0 => Some(Wrong::Type("a whole number")),
            Some(number) if (*least..=*most).contains(&number) => None,
            _ => Some(Wrong::Range(*least, *most)),
        },
        (Schema::Choice(names), Value::String(text)) => {
            let found = names.iter().any(|name| text.is(name));
            (!found).then(|| Wrong::Choice(names.to_vec()))
        }
        (Schema::Name, Value::String(text)) => is_empty(&text).then_some(Wrong::Empty),
        _ => None,
    }
}

fn is_empty(text: &Text<'_>) -> bool {
    text.raw().is_empty()
}
