//! Edits a body: one pass finds what is there, and the changes are made where it stands.

use std::ops::Range;

use super::{Edits, Field, SystemMessage};
use crate::json::{write_string, JsonError, Scanner, Text, Value};
use crate::parsed_request::folds_to;
use crate::rewrite::BodyRewrite;

/// The body with these edits; `None` if it has all of them already.
///
/// # Errors
/// It is not JSON, or too complex.
pub fn edit(body: &[u8], edits: &Edits) -> Result<Option<Vec<u8>>, JsonError> {
    let mut editor = Editor::new(edits);
    let mut scanner = Scanner::new(body);
    editor.read(&mut scanner)?;
    scanner.end()?;
    let changes = editor.finish();
    Ok(BodyRewrite::of(changes, body.len()).chunk(body, true).unwrap_or_default())
}

/// The value of a field that no body may set, and that is not added.
const NULL: &str = "null";

/// The most objects and messages of one body that are edited. A body with more of them is refused.
const MAX_CHANGES: usize = 4096;

/// What a body has of a field, under any of its names.
#[derive(Clone, Default)]
struct Seen {
    /// It is there, or has been added.
    is_there: bool,
    /// One of them has a value.
    has_value: bool,
    /// The first one that is null: it asks for the default.
    null: Option<Range<usize>>,
}

impl Seen {
    /// It is there: a value is replaced or kept, and a null is filled at the end if there is no value.
    fn note(&mut self, field: &Field, value: Value<'_>, range: Range<usize>) -> Option<(Range<usize>, String)> {
        self.is_there = true;
        if value == Value::Null {
            self.null.get_or_insert(range);
            return None;
        }
        self.has_value = true;
        field.overrides.then(|| (range, field.value.clone()))
    }

    /// The null that gets the field's value.
    fn fill(&self, field: &Field) -> Option<(Range<usize>, String)> {
        let range = self.null.clone().filter(|_| !self.has_value)?;
        Some((range, field.value.clone()))
    }
}

struct Editor<'e> {
    edits: &'e Edits,
    /// Of each field.
    seen: Vec<Seen>,
    changes: Vec<(Range<usize>, String)>,
    first_field: usize,
    is_empty: bool,
    /// Whether the messages have a system prompt.
    has_system: bool,
}

impl<'e> Editor<'e> {
    fn new(edits: &'e Edits) -> Self {
        Editor {
            edits,
            seen: vec![Seen::default(); edits.fields.len()],
            changes: Vec::new(),
            first_field: 0,
            is_empty: true,
            has_system: false,
        }
    }

    fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.peek();
        self.first_field = scanner.position() + 1;
        scanner.object(|key, scanner| {
            self.is_empty = false;
            if self.changes.len() > MAX_CHANGES {
                return Err(JsonError::TooDeep);
            }
            let edits = self.edits;
            if let Some(system) = edits.system.as_ref().filter(|system| key.is(system.messages)) {
                return self.messages(system, scanner);
            }
            let fields = || edits.fields.iter().enumerate();
            if fields().any(|(_, field)| !field.parent.is_empty() && is_any(&key, &field.parent)) {
                return self.object(&key, scanner);
            }
            let (value, range) = scanner.spanned()?;
            for (index, field) in fields().filter(|(_, field)| field.parent.is_empty() && is_any(&key, &field.names)) {
                let change = self.seen.get_mut(index).and_then(|seen| seen.note(field, value, range.clone()));
                self.changes.extend(change);
            }
            Ok(())
        })?;
        Ok(())
    }

    /// An object in which some of the fields stand.
    fn object(&mut self, key: &Text<'_>, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let edits = self.edits;
        let own: Vec<(usize, &Field)> = edits
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| !field.parent.is_empty() && is_any(key, &field.parent))
            .collect();
        let mut seen = vec![Seen::default(); own.len()];
        scanner.peek();
        let start = scanner.position();
        let mut is_empty = true;
        let mut is_null = scanner.peek() == Some(b'n');
        let is_object = scanner.object(|key, scanner| {
            is_empty = false;
            let (value, range) = scanner.spanned()?;
            for ((_, field), seen) in own.iter().zip(&mut seen) {
                if is_any(&key, &field.names) {
                    self.changes.extend(seen.note(field, value, range.clone()));
                }
            }
            Ok(())
        })?;
        own.iter().for_each(|(index, _)| self.seen.get_mut(*index).into_iter().for_each(|seen| seen.is_there = true));
        self.changes.extend(own.iter().zip(&seen).filter_map(|((_, field), seen)| seen.fill(field)));
        if !is_object {
            is_null |= own.iter().any(|(_, field)| field.overrides);
            if is_null {
                let fields: Vec<&Field> = own.iter().map(|(_, field)| *field).collect();
                self.changes.push((start..scanner.position(), format!("{{{}}}", members(&fields))));
            }
            return Ok(());
        }
        let missing: Vec<&Field> =
            own.iter().zip(&seen).filter(|(_, seen)| !seen.is_there).map(|((_, field), _)| *field).collect();
        if !missing.is_empty() {
            let comma = if is_empty { "" } else { "," };
            self.changes.push((start + 1..start + 1, format!("{}{comma}", members(&missing))));
        }
        Ok(())
    }

    /// The messages, of which some may be system prompts.
    fn messages(&mut self, system: &SystemMessage, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.peek();
        let first = scanner.position() + 1;
        let mut elements: Vec<(Range<usize>, bool)> = Vec::new();
        let is_array = scanner.array(|scanner| {
            scanner.peek();
            let start = scanner.position();
            let mut is_system = false;
            scanner.object(|key, scanner| {
                let value = scanner.value()?;
                if let (true, Value::String(role)) = (folds_to(&key.decode(), "role"), value) {
                    is_system |= role.is("system") || role.is("developer");
                }
                Ok(())
            })?;
            self.has_system |= is_system;
            // without an override, only the first one's place counts
            if system.overrides || elements.is_empty() {
                elements.push((start..scanner.position(), is_system));
            }
            match elements.len() > MAX_CHANGES * 4 {
                true => Err(JsonError::TooDeep),
                false => Ok(()),
            }
        })?;
        if !is_array || self.has_system && !system.overrides {
            return Ok(());
        }
        // the first elements, if they are replaced, go with the commas after them, and later ones with those before them
        let leading =
            if system.overrides { elements.iter().take_while(|(_, is_system)| *is_system).count() } else { 0 };
        let kept = elements.get(leading).map(|(range, _)| range.start);
        let start = elements.first().map_or(first, |(range, _)| range.start);
        let end = kept.or(elements.last().map(|(range, _)| range.end)).unwrap_or(first);
        let comma = if kept.is_some() && !system.message.is_empty() { "," } else { "" };
        if leading > 0 || !system.message.is_empty() {
            self.changes.push((start..end, format!("{}{comma}", system.message)));
        }
        for pair in elements.get(leading..).unwrap_or_default().windows(2) {
            if let [(before, _), (range, true)] = pair {
                self.changes.push((before.end..range.end, String::new()));
            }
        }
        Ok(())
    }

    /// All changes, with what is missing.
    fn finish(mut self) -> Vec<(Range<usize>, String)> {
        let edits = self.edits;
        let spoken = self.has_system && !edits.system.as_ref().is_some_and(|system| system.overrides);
        let fields = edits.fields.iter().zip(&self.seen).enumerate();
        let wanted = fields.filter(|(index, _)| !(spoken && edits.system_field == Some(*index)));
        let mut groups: Vec<(Option<&str>, Vec<&Field>)> = Vec::new();
        for (_, (field, seen)) in wanted {
            if seen.is_there || field.value == NULL {
                self.changes.extend(seen.fill(field));
                continue;
            }
            let parent = field.parent.first().map(String::as_str);
            match groups.iter_mut().find(|(known, _)| *known == parent) {
                Some((_, fields)) => fields.push(field),
                None => groups.push((parent, vec![field])),
            }
        }
        let mut texts = Vec::new();
        for (parent, fields) in groups {
            texts.push(match parent {
                None => members(&fields),
                Some(parent) => {
                    let mut text = String::new();
                    write_string(&mut text, parent);
                    format!("{text}:{{{}}}", members(&fields))
                }
            });
        }
        if !texts.is_empty() {
            let comma = if self.is_empty { "" } else { "," };
            self.changes.insert(0, (self.first_field..self.first_field, format!("{}{comma}", texts.join(","))));
        }
        self.changes
    }
}

/// Members of an object.
fn members(fields: &[&Field]) -> String {
    let mut text = String::new();
    for field in fields {
        if !text.is_empty() {
            text.push(',');
        }
        write_string(&mut text, field.names.first().map_or("", String::as_str));
        text.push(':');
        text.push_str(&field.value);
    }
    text
}

/// Whether a key is one of these names, for any reader: some ignore its case.
fn is_any(key: &Text<'_>, names: &[String]) -> bool {
    let key = key.decode();
    names.iter().any(|name| *key == **name || folds_to(&key, name))
}
