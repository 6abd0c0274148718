//! JSON values in a text: read in place, and copied as written.
//!
//! A tree would cost an allocation per value, and would change the format of numbers and the order of fields. Each
//! access to an object scans it once; nothing recurses.

use std::borrow::Cow;

use crate::json::{Scanner, Value};

/// One JSON value, without the white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// A complete JSON text; `None` if it is invalid, or not UTF-8.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut scanner = Scanner::new(text.as_bytes());
        let (_, span) = scanner.spanned().ok()?;
        scanner.end().ok()?;
        text.get(span).map(Raw)
    }

    /// The value as written.
    pub fn json(self) -> &'a str {
        self.0
    }

    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    pub fn is_true(self) -> bool {
        self.0 == "true"
    }

    /// Whether it means "off": `false`, or an empty list or object.
    pub fn is_nothing(self) -> bool {
        self.0 == "false" || self.0.len() > 1 && self.0.bytes().all(|byte| b"[]{} \t\r\n".contains(&byte))
    }

    pub fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    pub fn is_array(self) -> bool {
        self.0.starts_with('[')
    }

    pub fn is_string(self) -> bool {
        self.0.starts_with('"')
    }

    pub fn is_number(self) -> bool {
        self.0.starts_with(|first: char| first == '-' || first.is_ascii_digit())
    }

    /// The string, with its escapes decoded.
    pub fn string(self) -> Option<Cow<'a, str>> {
        match Scanner::new(self.0.as_bytes()).value() {
            Ok(Value::String(text)) => Some(text.decode()),
            _ => None,
        }
    }

    /// The count.
    pub fn count(self) -> Option<u64> {
        Scanner::new(self.0.as_bytes()).value().ok()?.as_count()
    }

    /// The number as the nearest double.
    pub fn number(self) -> Option<f64> {
        self.0.parse().ok().filter(|_| self.is_number())
    }

    /// The values of these fields, if it is an object that has them; `null` counts as missing. If a field is repeated,
    /// the last value counts, as in the providers' parsers.
    pub fn fields<const N: usize>(self, names: [&str; N]) -> [Option<Raw<'a>>; N] {
        let mut found = [None; N];
        self.pick(&names, &mut found, &mut |_, _| {});
        found
    }

    /// The same, and calls `rest` with each other field that is not `null`.
    pub fn fields_and_rest<const N: usize>(
        self,
        names: [&str; N],
        mut rest: impl FnMut(&str, Raw<'a>),
    ) -> [Option<Raw<'a>>; N] {
        let mut found = [None; N];
        self.pick(&names, &mut found, &mut rest);
        found
    }

    /// Calls `each` with all members as they stand, also with those that are `null`.
    pub fn members(self, mut each: impl FnMut(&str, Raw<'a>)) {
        let mut scanner = Scanner::new(self.0.as_bytes());
        if self.is_object() {
            // the text has been parsed before, so it is valid JSON
            let _ = scanner.object(|key, scanner| {
                let (_, span) = scanner.spanned()?;
                if let Some(json) = self.0.get(span) {
                    each(&key.decode(), Raw(json));
                }
                Ok(())
            });
        }
    }

    /// One field.
    pub fn field(self, name: &str) -> Option<Raw<'a>> {
        let [value] = self.fields([name]);
        value
    }

    /// The string in a field.
    pub fn text(self, name: &str) -> Option<Cow<'a, str>> {
        self.field(name)?.string()
    }

    /// Calls `each` for the elements, if it is an array, until it fails.
    pub fn each<E>(self, mut each: impl FnMut(usize, Raw<'a>) -> Result<(), E>) -> Result<(), E> {
        let mut scanner = Scanner::new(self.0.as_bytes());
        let mut result = Ok(());
        let mut index = 0;
        if self.is_array() {
            // the text has been parsed before, so it is valid JSON
            let _ = scanner.array(|scanner| {
                let (_, span) = scanner.spanned()?;
                if let (Ok(()), Some(json)) = (&result, self.0.get(span)) {
                    result = each(index, Raw(json));
                }
                index += 1;
                Ok(())
            });
        }
        result
    }

    /// The elements, if it is an array.
    pub fn items(self, mut each: impl FnMut(Raw<'a>)) {
        let _: Result<(), ()> = self.each(|_, item| {
            each(item);
            Ok(())
        });
    }

    /// The first element.
    pub fn first(self) -> Option<Raw<'a>> {
        let mut first = None;
        self.items(|item| first = first.or(Some(item)));
        first
    }

    fn pick(self, names: &[&str], found: &mut [Option<Raw<'a>>], rest: &mut dyn FnMut(&str, Raw<'a>)) {
        let mut scanner = Scanner::new(self.0.as_bytes());
        if !self.is_object() {
            return;
        }
        let _ = scanner.object(|key, scanner| {
            let (_, span) = scanner.spanned()?;
            let Some(value) = self.0.get(span).map(Raw) else {
                return Ok(());
            };
            let place = names.iter().position(|name| key.is(name));
            match place.and_then(|place| found.get_mut(place)) {
                Some(place) => *place = Some(value).filter(|value| !value.is_null()),
                None if !value.is_null() => rest(&key.decode(), value),
                None => {}
            }
            Ok(())
        });
    }
}

/// The JSON object in a string of arguments; `{}` for anything else, since a tool without arguments may have an empty
/// string, and cut JSON is not an object. Some servers write the object itself.
pub(crate) fn arguments(value: Option<Raw<'_>>) -> Cow<'_, str> {
    const NONE: Cow<'static, str> = Cow::Borrowed("{}");
    let Some(value) = value else {
        return NONE;
    };
    if value.is_object() {
        return Cow::Borrowed(value.json());
    }
    match value.string() {
        Some(text) if Raw::parse(text.as_bytes()).is_some_and(Raw::is_object) => text,
        Some(_) | None => NONE,
    }
}
