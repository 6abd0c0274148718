//! JSON of any shape, such as a tool's arguments and schemas: each string is a text.

use super::content::{Found, Place, Texts};
use super::shapes::{is_plain_name, is_word};
use crate::json::{JsonError, Scanner, Text, Value};

/// The minimum number of digits in a number to check: with fewer, nothing can be recognised.
const LONG_NUMBER: std::ops::RangeInclusive<usize> = 12..=19;
impl Texts {
    /// Every string of a value is a text, and so is every name and number that may be personal data.
    pub(super) fn strings(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'{') => scanner
                .object(|key, scanner| {
                    self.odd_name(&key, scanner, place);
                    self.strings(scanner, place)
                })
                .map(drop),
            Some(b'[') => scanner.array(|scanner| self.strings(scanner, place)).map(drop),
            Some(b'0'..=b'9') => self.number(scanner, place),
            _ => self.string(scanner, place),
        }
    }

    /// A field name that may be personal data is a text.
    fn odd_name(&mut self, key: &Text<'_>, scanner: &Scanner<'_>, place: Place) {
        if !is_plain_name(key.raw()) {
            self.keep(place, scanner.place_of(key), key);
        }
    }

    /// A number that may be a card number is a text: its replacement is a string.
    fn number(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        let (value, span) = scanner.spanned()?;
        if let Value::Number(digits) = value {
            let text = std::str::from_utf8(digits).unwrap_or_default();
            if LONG_NUMBER.contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && self.has_room(self.found.len())
            {
                self.found.push(Found { place, span, more: Vec::new(), text: text.to_owned() });
            }
        }
        Ok(())
    }

    /// A JSON schema: its keywords are not the client's words, and lists of fields repeat names from elsewhere.
    pub(super) fn schema(&mut self, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'{') => scanner
                .object(|key, scanner| {
                    self.odd_name(&key, scanner, place);
                    let skips: fn(&[u8]) -> bool = match key.raw() {
                        b"type" | b"format" | b"$ref" | b"$schema" | b"$id" | b"contentEncoding"
                        | b"contentMediaType" => is_word,
                        b"required" | b"propertyOrdering" => is_plain_name,
                        b"enum" | b"const" | b"default" | b"examples" | b"example" => {
                            return self.strings(scanner, place)
                        }
                        _ => return self.schema(scanner, place),
                    };
                    self.keywords(skips, scanner, place)
                })
                .map(drop),
            Some(b'[') => scanner.array(|scanner| self.schema(scanner, place)).map(drop),
            _ => self.string(scanner, place),
        }
    }

    /// One keyword or a list of them; anything else is a field's schema.
    fn keywords(&mut self, skips: fn(&[u8]) -> bool, scanner: &mut Scanner<'_>, place: Place) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'"') => {
                let (value, span) = scanner.spanned()?;
                match value {
                    Value::String(text) if !skips(text.raw()) => self.keep(place, span, &text),
                    _ => {}
                }
                Ok(())
            }
            Some(b'[') => scanner.array(|scanner| self.keywords(skips, scanner, place)).map(drop),
            _ => self.schema(scanner, place),
        }
    }
}
