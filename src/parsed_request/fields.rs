//! A body's fields as written, before they are checked.
//!
//! If a name is repeated, some readers take the first value and some the last. So an equal repetition is removed from
//! the upstream request, and a different one is refused.

use std::ops::Range;

use super::layout::{Layout, UsageOption};
use super::members::{meaning, Meaning, Member, ParentObject, MEMBERS};
use crate::error::ApiError;
use crate::hash::stable;
use crate::json::{JsonError, Scanner, Value};
use crate::usage::{length_of_images, length_of_prompt, PromptLength};

/// The maximum number of removed repetitions in a body. More is not an accident.
const MAX_REPETITIONS: usize = 8;
/// An unknown field counts as text if it has at least this many bytes: schemas, documents.
const LONG: usize = 256;

/// The fields as written, before they are checked.
pub(super) struct Fields<'a> {
    pub model: Option<Value<'a>>,
    pub stream: Option<Value<'a>>,
    pub user: Option<u64>,
    pub cache_key: Option<u64>,
    pub max_tokens: Option<u64>,
    /// The name of the field that `max_tokens` comes from.
    pub output_field: Option<&'static str>,
    pub choices: Option<u64>,
    /// In thousandths.
    pub temperature: Option<u32>,
    pub layout: Layout,
    /// The number of bytes that do not count as text.
    pub data: u64,
    /// The first thing on which two readers would disagree.
    pub problem: Option<ApiError>,
    body: &'a [u8],
    seen: [Option<Seen>; MEMBERS],
}

/// A member that has been read.
#[derive(Clone, PartialEq, Eq)]
struct Seen {
    name: &'static str,
    value: Range<usize>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Fields {
            model: None,
            stream: None,
            user: None,
            cache_key: None,
            max_tokens: None,
            output_field: None,
            choices: None,
            temperature: None,
            layout: Layout { length: body.len(), ..Layout::default() },
            data: 0,
            problem: None,
            body,
            seen: [const { None }; MEMBERS],
        }
    }

    /// Reads the whole body. `false`: it is not an object.
    pub(super) fn scan(&mut self) -> Result<bool, JsonError> {
        let mut scanner = Scanner::new(self.body);
        scanner.peek();
        self.layout.first_field = scanner.position() + 1;
        let fields = self.object(ParentObject::Top, &mut scanner)?;
        scanner.end()?;
        Ok(fields.is_some())
    }

    /// Reads an object, and returns its number of members; `None`: it is not an object.
    fn object(&mut self, level: ParentObject, scanner: &mut Scanner<'a>) -> Result<Option<usize>, JsonError> {
        let mut members = 0;
        let mut end_of_last = scanner.position();
        let is_object = scanner.object(|key, scanner| {
            members += 1;
            match meaning(&key, level) {
                Meaning::Is(member, name) => self.member(member, name, end_of_last, scanner)?,
                Meaning::LooksLike(name) => {
                    self.refuse(
                        name,
                        format!(
                            "`{}` is not `{name}`, but some servers read it as that: use the exact name.",
                            key.decode()
                        ),
                    );
                    scanner.value()?;
                }
                Meaning::Other => self.other(key.raw(), level, scanner)?,
            }
            end_of_last = scanner.position();
            Ok(())
        })?;
        Ok(is_object.then_some(members))
    }

    /// Reads a member if it is the first of its kind, otherwise compares it with the first.
    fn member(
        &mut self,
        member: Member,
        name: &'static str,
        end_of_last: usize,
        scanner: &mut Scanner<'a>,
    ) -> Result<(), JsonError> {
        scanner.peek();
        let start = scanner.position();
        let Some(first) = self.seen.get(member as usize).cloned().flatten() else {
            self.take(member, start, scanner)?;
            if let Some(seen) = self.seen.get_mut(member as usize) {
                *seen = Some(Seen { name, value: start..scanner.position() });
            }
            return Ok(());
        };
        scanner.value()?;
        if first.name != name {
            self.refuse(name, format!("`{}` and `{name}` mean the same: send one of them.", first.name));
        } else if !self.is_same(&first.value, &(start..scanner.position())) {
            self.refuse(name, format!("`{name}` is in the body twice, with different values: send it once."));
        } else if self.layout.repetitions.len() == MAX_REPETITIONS {
            self.refuse(name, format!("`{name}` is in the body too often: send it once."));
        } else {
            self.layout.repetitions.push(end_of_last..scanner.position());
        }
        Ok(())
    }

    fn take(&mut self, member: Member, start: usize, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        match member {
            Member::Model => {
                self.model = Some(scanner.value()?);
                self.layout.model = Some(start..scanner.position());
            }
            Member::Stream => self.stream = Some(scanner.value()?),
            Member::StreamOptions => {
                let fields = self.object(ParentObject::StreamOptions, scanner)?;
                let declared = &mut self.layout.usage_option;
                match (fields, &declared) {
                    (None, _) => *declared = UsageOption::NoObject(start..scanner.position()),
                    (Some(fields), UsageOption::Absent) => {
                        *declared = UsageOption::Unset { first_field: start + 1, empty: fields == 0 };
                    }
                    (Some(_), _) => {}
                }
            }
            Member::IncludeUsage => {
                let asked = scanner.value()? == Value::Bool(true);
                self.layout.usage_option = match asked {
                    true => UsageOption::Asked,
                    false => UsageOption::Declined(start..scanner.position()),
                };
            }
            Member::User => self.user = hashed(scanner.value()?),
            Member::PromptCacheKey => self.cache_key = hashed(scanner.value()?),
            Member::MaxTokens
            | Member::MaxCompletionTokens
            | Member::MaxOutputTokens
            | Member::NPredict
            | Member::NumPredict
            | Member::GeminiMaxOutputTokens => {
                let asked = scanner.value()?.as_count();
                if asked > self.max_tokens {
                    (self.max_tokens, self.output_field) = (asked, member.output_field());
                }
            }
            Member::N | Member::BestOf | Member::CandidateCount => {
                self.choices = self.choices.max(scanner.value()?.as_count());
            }
            Member::Options => drop(self.object(ParentObject::Options, scanner)?),
            Member::GenerationConfig => drop(self.object(ParentObject::GenerationConfig, scanner)?),
            Member::Messages | Member::Prompt | Member::Input | Member::Contents => {
                self.layout.prompt = start;
                self.add(length_of_prompt(scanner)?);
                if member == Member::Prompt && self.body.get(start) == Some(&b'{') {
                    self.layout.reference = Some(start..scanner.position());
                }
            }
            // members before the prompt
            Member::System | Member::Instructions | Member::SystemInstruction => {
                self.add(length_of_prompt(scanner)?);
            }
            Member::Tools | Member::Functions => {
                scanner.value()?;
                // their schemas are part of the prompt as written
                self.add(PromptLength::of_text((scanner.position() - start) as u64));
            }
            Member::Images => self.add(length_of_images(scanner)?),
        }
        Ok(())
    }

    /// A member without effect on the decision.
    fn other(&mut self, name: &[u8], level: ParentObject, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        let (value, span) = scanner.spanned()?;
        if name == b"temperature" && level != ParentObject::StreamOptions {
            self.temperature = thousandths(value);
        }
        if level == ParentObject::Top && span.len() >= LONG {
            self.add(PromptLength::of_text(span.len() as u64));
        }
        Ok(())
    }

    fn add(&mut self, length: PromptLength) {
        self.layout.text = self.layout.text.saturating_add(length.text);
        self.data = self.data.saturating_add(length.data);
    }

    /// Whether every reader sees two values as equal.
    fn is_same(&self, first: &Range<usize>, second: &Range<usize>) -> bool {
        let [first, second] = [first, second].map(|range| self.body.get(range.clone()).unwrap_or_default());
        let text = |bytes| match Scanner::new(bytes).value() {
            Ok(Value::String(text)) => Some(text.decode()),
            _ => None,
        };
        first == second || text(first).is_some_and(|first| text(second) == Some(first))
    }

    fn refuse(&mut self, name: &'static str, message: String) {
        if self.problem.is_none() {
            self.problem = Some(ApiError::bad_request("ambiguous_parameter", Some(name), message));
        }
    }
}

/// A number between 0 and 100, in thousandths.
fn thousandths(value: Value<'_>) -> Option<u32> {
    let Value::Number(digits) = value else {
        return None;
    };
    let number: f64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (0.0..=100.0).contains(&number).then_some((number * 1000.0).round() as u32)
}

fn hashed(value: Value<'_>) -> Option<u64> {
    match value {
        Value::String(text) => Some(stable(text.decode().as_bytes())),
        _ => None,
    }
}
