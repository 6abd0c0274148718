//! Reads a configuration tree and tracks the path of each value, so that every error names its place in the operator's
//! terms.

use crate::order::by_text;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::suggestion::suggestion;
use super::{protobuf_struct, units};
use crate::date::timestamp;

/// A mistake in the configuration: place, problem and fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    path: String,
    problem: String,
}

impl ConfigError {
    /// The path, such as `router.models[0].name`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The problem, and its fix.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Parses the bytes from Envoy: a Struct, or JSON. Empty input is an empty object.
pub(super) fn parse(root: &str, bytes: &[u8]) -> Result<Value, ConfigError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    let json = serde_json::from_slice(bytes);
    json.or_else(|error| protobuf_struct::decode(bytes).ok_or(error)).map_err(|error| ConfigError {
        path: root.to_owned(),
        problem: format!("neither a google.protobuf.Struct nor JSON ({error})"),
    })
}

/// One value of the tree, and its path.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Node<'a> {
    /// The tree's root, named after the filter.
    pub fn root(name: &str, value: &'a Value) -> Self {
        Node { path: name.to_owned(), value }
    }

    /// The value as JSON text.
    pub(super) fn to_json(&self) -> Vec<u8> {
        self.value.to_string().into_bytes()
    }

    /// An error about this value.
    pub fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError { path: self.path.clone(), problem: problem.into() }
    }

    /// The value as an object that may only have the fields `known`.
    ///
    /// # Errors
    /// Not an object, or an unknown field, with a suggestion.
    pub fn object(&self, known: &[&str]) -> Result<Object<'a>, ConfigError> {
        let object = self.open_object()?;
        for (name, _) in object.fields() {
            if !known.contains(&name.as_str()) {
                let fix = suggestion(name, known.iter().copied());
                return Err(object.child_error(name, format!("no such field{fix}")));
            }
        }
        Ok(object)
    }

    /// The value as an object whose names the operator chooses, in alphabetical order.
    ///
    /// # Errors
    /// Not an object.
    pub fn entries(&self) -> Result<Vec<(&'a str, Node<'a>)>, ConfigError> {
        let object = self.open_object()?;
        let mut entries: Vec<(&str, Node)> = object
            .fields()
            .map(|(name, value)| (name.as_str(), Node { path: object.child_path(name), value }))
            .collect();
        by_text(&mut entries, |(name, _)| name);
        Ok(entries)
    }

    fn open_object(&self) -> Result<Object<'a>, ConfigError> {
        match self.value {
            Value::Object(map) => Ok(Object { path: self.path.clone(), map: Some(map) }),
            other => Err(self.mismatch("an object", other)),
        }
    }

    /// The value as an object with any fields, if one field decides which others are allowed.
    ///
    /// # Errors
    /// Not an object.
    pub fn any_object(&self) -> Result<Object<'a>, ConfigError> {
        self.open_object()
    }

    /// The value, if it is a string, a number or a boolean.
    pub(super) fn scalar(&self) -> Option<&'a Value> {
        Some(self.value).filter(|value| value.is_string() || value.is_number() || value.is_boolean())
    }

    /// Whether the value is a string.
    pub fn is_text(&self) -> bool {
        self.value.is_string()
    }

    /// The value as a list.
    ///
    /// # Errors
    /// Not a list.
    pub fn list(&self) -> Result<Vec<Node<'a>>, ConfigError> {
        let Value::Array(values) = self.value else {
            return Err(self.mismatch("a list", self.value));
        };
        let node = |(index, value)| Node { path: format!("{}[{index}]", self.path), value };
        Ok(values.iter().enumerate().map(node).collect())
    }

    /// The value as a string that is not empty.
    ///
    /// # Errors
    /// Not a string, or an empty one.
    pub fn text(&self) -> Result<&'a str, ConfigError> {
        match self.value {
            Value::String(text) if text.is_empty() => Err(self.error("must not be empty")),
            Value::String(text) => Ok(text),
            other => Err(self.mismatch("a string", other)),
        }
    }

    /// The value as a list of strings.
    ///
    /// # Errors
    /// Not a list, or an element that is not a string.
    pub fn texts(&self) -> Result<Vec<String>, ConfigError> {
        self.list()?.iter().map(|node| node.text().map(str::to_owned)).collect()
    }

    /// The value as a boolean.
    ///
    /// # Errors
    /// Not a boolean.
    pub fn flag(&self) -> Result<bool, ConfigError> {
        match self.value {
            Value::Bool(flag) => Ok(*flag),
            other => Err(self.mismatch("true or false", other)),
        }
    }

    /// The value as a whole number from `min` to `max`. A Struct's numbers are doubles: `3`, `3.0` and
    /// `1e+06` are all whole.
    ///
    /// # Errors
    /// Not a number, a fraction, or out of range.
    pub fn integer(&self, min: u32, max: u32) -> Result<u32, ConfigError> {
        let number = match self.value {
            Value::Number(number) => number.as_f64(),
            // Envoy passes fractions on as strings
            Value::String(text) => text.parse().ok().filter(|number: &f64| number.fract() != 0.0),
            _ => None,
        };
        let Some(number) = number else {
            return Err(self.mismatch("a number", self.value));
        };
        if number.fract() != 0.0 || !(f64::from(min)..=f64::from(max)).contains(&number) {
            return Err(self.error(format!("{number} is not a whole number from {min} to {max}")));
        }
        Ok(number as u32)
    }

    /// The value as a whole number from 1 to 10^15, such as a month's tokens. A large one may be a string, because
    /// Envoy passes numbers above 32 bits on as strings.
    ///
    /// # Errors
    /// Not a number, a fraction, or out of range.
    pub fn count(&self) -> Result<u64, ConfigError> {
        let (number, written) = match self.value {
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                (number, number.to_string())
            }
            Value::String(text) => (text.parse::<u64>().map_or(f64::NAN, |number| number as f64), format!("{text:?}")),
            _ => return Err(self.mismatch("a number", self.value)),
        };
        if number.fract() != 0.0 || !(1.0..=1e15).contains(&number) {
            return Err(self.error(format!("{written} is not a whole number from 1 to 10^15")));
        }
        Ok(number as u64)
    }

    /// The value as an amount in dollars, such as `2.5`, in millionths of a dollar. A fraction may be a string, because
    /// Envoy passes some of a Struct's numbers on as strings.
    ///
    /// # Errors
    /// Not a number, less than a millionth of a dollar, or more than a billion dollars.
    pub fn microusd(&self) -> Result<u64, ConfigError> {
        self.money(1.0)
    }

    /// The value as a price in dollars, in millionths of a dollar; like [`Node::microusd`], but zero is allowed.
    ///
    /// # Errors
    /// Not a number, negative, or more than a billion dollars.
    pub fn price(&self) -> Result<u64, ConfigError> {
        self.money(0.0)
    }

    fn money(&self, least: f64) -> Result<u64, ConfigError> {
        let dollars = match self.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse::<f64>().ok(),
            _ => None,
        };
        let microusd = dollars.map_or(f64::NAN, |dollars| (dollars * 1e6).round());
        if !(least..=1e15).contains(&microusd) {
            return Err(self.error("must be an amount in dollars, such as 2.5"));
        }
        Ok(microusd as u64)
    }

    /// The value as a number from 0 to 1. It may be a string, because Envoy passes some of a Struct's numbers on as
    /// strings.
    ///
    /// # Errors
    /// Not a number, or out of range.
    pub fn share(&self) -> Result<f64, ConfigError> {
        let share = match self.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse::<f64>().ok(),
            _ => None,
        };
        share
            .filter(|share| (0.0..=1.0).contains(share))
            .ok_or_else(|| self.error("must be a number from 0 to 1, such as 0.5"))
    }

    /// The value as a number of bytes: a number, or a text such as `256KiB`. `wanted` describes it in the error.
    ///
    /// # Errors
    /// Not a size, or out of `range`.
    pub fn size(&self, range: RangeInclusive<usize>, wanted: &str) -> Result<usize, ConfigError> {
        let bytes = match self.value {
            Value::Number(number) => {
                number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as usize)
            }
            Value::String(text) => units::size(text),
            _ => None,
        };
        bytes.filter(|bytes| range.contains(bytes)).ok_or_else(|| self.error(wanted))
    }

    /// Whether the value is an object.
    pub fn is_object(&self) -> bool {
        self.value.is_object()
    }

    /// The value as a duration such as `500ms`, `30s` or `2m`.
    ///
    /// # Errors
    /// Not such a text, or not positive.
    pub fn duration(&self) -> Result<Duration, ConfigError> {
        let Value::String(text) = self.value else {
            return Err(self.mismatch("a duration such as 500ms, 30s or 2m", self.value));
        };
        let problem = "is not a duration from 1ms to 365d; write it like 500ms, 30s, 2m, 12h or 90d";
        units::duration(text).ok_or_else(|| self.error(format!("{text:?} {problem}")))
    }

    /// The value as a point in time such as `2027-01-31T00:00:00Z`, or `2027-01-31` for its first second, as the time
    /// since the epoch.
    ///
    /// # Errors
    /// Not such a text.
    pub fn timestamp(&self) -> Result<Duration, ConfigError> {
        let text = self.text()?;
        timestamp(text).ok_or_else(|| {
            self.error(format!("{text:?} is not a date; write it like 2027-01-31 or 2027-01-31T00:00:00Z"))
        })
    }

    /// One of the values of `choices`, by its name. A whole number is read as its digits.
    ///
    /// # Errors
    /// None of them, with a suggestion.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let number = self.value.as_f64().filter(|number| number.fract() == 0.0).map(|number| format!("{number:.0}"));
        let text = match &number {
            Some(digits) => digits,
            None if self.is_text() => self.text()?,
            None => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                return Err(self.mismatch(&format!("one of {}", names.join(", ")), self.value));
            }
        };
        let names = || choices.iter().map(|(name, _)| *name);
        match choices.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => Ok(*value),
            None => Err(self.error(format!("{text:?} is none of its values{}", suggestion(text, names())))),
        }
    }

    fn mismatch(&self, wanted: &str, found: &Value) -> ConfigError {
        let found = match found {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.error(format!("must be {wanted}, but is {found}"))
    }
}

/// An object of the tree, and its path.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    path: String,
    /// `None`: the object is missing, so it has no fields.
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Object<'a> {
    /// A missing object: all fields have their defaults.
    pub fn empty(path: &str) -> Self {
        Object { path: path.to_owned(), map: None }
    }

    fn fields(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.map.into_iter().flatten()
    }

    /// The field `name`, if it is there and not null.
    pub fn get(&self, name: &str) -> Option<Node<'a>> {
        let value = self.map?.get(name).filter(|value| !value.is_null())?;
        Some(Node { path: self.child_path(name), value })
    }

    /// The field `name`.
    ///
    /// # Errors
    /// It is not there.
    pub fn require(&self, name: &str) -> Result<Node<'a>, ConfigError> {
        self.get(name).ok_or_else(|| self.child_error(name, "missing".to_owned()))
    }

    /// An error about the object.
    pub fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError { path: self.path.clone(), problem: problem.into() }
    }

    fn child_path(&self, name: &str) -> String {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if plain {
            format!("{}.{name}", self.path)
        } else {
            format!("{}[{name:?}]", self.path)
        }
    }

    fn child_error(&self, name: &str, problem: String) -> ConfigError {
        ConfigError { path: self.child_path(name), problem }
    }
}
