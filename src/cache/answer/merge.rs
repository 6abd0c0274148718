//! The parts of a streamed object, put together.

use crate::json::write_string;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The maximum number of members and elements that are put together, because they are searched linearly.
const MAX_PARTS: usize = 256;

/// An object whose parts have arrived in several events.
#[derive(Default)]
pub struct Merged(Vec<(String, Part)>);

enum Part {
    /// A string, to which more is appended.
    Text(String),
    /// Elements, as JSON with commas between.
    List(String),
    /// An object.
    Object(Merged),
    /// Anything else, as JSON: the last one counts.
    Raw(String),
}

impl Merged {
    /// Adds an object's members: strings and lists are appended, objects are merged, and of all else the last one counts.
    /// `null` changes nothing, but is there. `set`: of these members, the last string counts. `None`: members of two types
    /// have one name, or there are too many.
    pub fn add(&mut self, object: Raw<'_>, set: &[&str]) -> Option<()> {
        let mut fits = object.is_object();
        object.members(|name, value| {
            fits = fits && self.member(name, value, set).is_some();
        });
        fits.then_some(())
    }

    /// Adds one member.
    pub fn member(&mut self, name: &str, value: Raw<'_>, set: &[&str]) -> Option<()> {
        if self.0.len() >= MAX_PARTS {
            return None;
        }
        let known = self.0.iter_mut().find(|(known, _)| known == name);
        let Some((_, part)) = known else {
            self.0.push((name.to_owned(), Part::of(value, set)?));
            return Some(());
        };
        match part {
            Part::Raw(json) if json == "null" => *part = Part::of(value, set)?,
            _ if value.is_null() => {}
            Part::Text(text) => match (value.string()?, set.contains(&name)) {
                (value, true) => *text = value.into_owned(),
                (value, false) => text.push_str(&value),
            },
            Part::List(list) => {
                let more = elements(value)?;
                if !list.is_empty() && !more.is_empty() {
                    list.push(',');
                }
                list.push_str(more);
            }
            Part::Object(object) => object.add(value, set)?,
            Part::Raw(json) => value.json().clone_into(json),
        }
        Some(())
    }

    /// Replaces a member.
    pub fn replace(&mut self, name: &str, json: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), Part::Raw(json.to_owned())));
    }

    /// Removes a member, and returns it as JSON.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        let (_, part) = self.0.remove(place);
        let mut out = Writer::default();
        part.write(&mut out);
        Some(out.into_string())
    }

    /// Whether it has a member.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Writes its members.
    pub fn write_members(&self, out: &mut Writer) {
        for (name, part) in &self.0 {
            out.key(name);
            part.write(out);
        }
    }
}

impl Part {
    fn of(value: Raw<'_>, set: &[&str]) -> Option<Self> {
        Some(match value {
            _ if value.is_string() => Part::Text(value.string()?.into_owned()),
            _ if value.is_array() => Part::List(elements(value)?.to_owned()),
            _ if value.is_object() => {
                let mut merged = Merged::default();
                merged.add(value, set)?;
                Part::Object(merged)
            }
            _ => Part::Raw(value.json().to_owned()),
        })
    }

    fn write(&self, out: &mut Writer) {
        match self {
            Part::Text(text) => {
                let mut json = String::with_capacity(text.len() + 2);
                write_string(&mut json, text);
                out.raw(&json);
            }
            Part::List(list) => out.array(|out| out.raw(list)),
            Part::Object(object) => out.object(|out| object.write_members(out)),
            Part::Raw(json) => out.raw(json),
        }
    }
}

/// What stands between an array's brackets.
fn elements(value: Raw<'_>) -> Option<&str> {
    value.json().strip_prefix('[')?.strip_suffix(']').map(str::trim)
}

/// Objects by their index.
#[derive(Default)]
pub struct Indexed(Vec<(u64, Merged)>);

impl Indexed {
    /// The object with an index; `None` if there are too many.
    pub fn at(&mut self, index: u64) -> Option<&mut Merged> {
        if let Some(place) = self.0.iter().position(|(known, _)| *known == index) {
            return self.0.get_mut(place).map(|(_, merged)| merged);
        }
        if self.0.len() >= MAX_PARTS {
            return None;
        }
        self.0.push((index, Merged::default()));
        self.0.last_mut().map(|(_, merged)| merged)
    }

    /// All, by index.
    pub fn sorted(mut self) -> impl Iterator<Item = (u64, Merged)> {
        self.0.sort_by_key(|(index, _)| *index);
        self.0.into_iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
