//! JSON of any shape, such as a tool's arguments and schemas: each string is a text.

use super::content::{Found, TextContext, Texts};
use super::shapes::{is_plain_name, is_word};
use crate::json::{JsonError, Scanner, Text, Value};

/// The minimum number of digits in a number to check: with fewer, nothing can be recognised.
const LONG_NUMBER: std::ops::RangeInclusive<usize> = 12..=19;
impl Texts {
    /// Every string of a value is a text, and so is every name and number that may be personal data.
    pub(super) fn strings(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'{') => scanner
                .object(|key, scanner| {
                    self.odd_name(&key, scanner, context);
                    self.strings(scanner, context)
                })
                .map(drop),
            Some(b'[') => scanner.array(|scanner| self.strings(scanner, context)).map(drop),
            Some(b'0'..=b'9') => self.number(scanner, context),
            _ => self.string(scanner, context),
        }
    }

    /// A field name that may be personal data is a text.
    fn odd_name(&mut self, key: &Text<'_>, scanner: &Scanner<'_>, context: TextContext) {
        if !is_plain_name(key.raw()) {
            self.keep(context, scanner.place_of(key), key);
        }
    }

    /// A number that may be a card number is a text: its replacement is a string.
    fn number(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        let (value, span) = scanner.spanned()?;
        if let Value::Number(digits) = value {
            let text = std::str::from_utf8(digits).unwrap_or_default();
            if LONG_NUMBER.contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && self.has_room(self.found.len())
            {
                self.found.push(Found { context, span, more: Vec::new(), text: text.to_owned() });
            }
        }
        Ok(())
    }

    /// A JSON schema: its keywords are not the client's words, and lists of fields repeat names from elsewhere.
    pub(super) fn schema(&mut self, scanner: &mut Scanner<'_>, context: TextContext) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'{') => scanner
                .object(|key, scanner| {
                    self.odd_name(&key, scanner, context);
                    let skips: fn(&[u8]) -> bool = match key.raw() {
                        b"type" | b"format" | b"$ref" | b"$schema" | b"$id" | b"contentEncoding"
                        | b"contentMediaType" => is_word,
                        b"required" | b"propertyOrdering" => is_plain_name,
                        b"enum" | b"const" | b"default" | b"examples" | b"example" => {
                            return self.strings(scanner, context)
                        }
                        _ => return self.schema(scanner, context),
                    };
                    self.keywords(skips, scanner, context)
                })
                .map(drop),
            Some(b'[') => scanner.array(|scanner| self.schema(scanner, context)).map(drop),
            _ => self.string(scanner, context),
        }
    }

    /// One keyword or a list of them; anything else is a field's schema.
    fn keywords(
        &mut self,
        skips: fn(&[u8]) -> bool,
        scanner: &mut Scanner<'_>,
        context: TextContext,
    ) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'"') => {
                let (value, span) = scanner.spanned()?;
                match value {
                    Value::String(text) if !skips(text.raw()) => self.keep(context, span, &text),
                    _ => {}
                }
                Ok(())
            }
            Some(b'[') => scanner.array(|scanner| self.keywords(skips, scanner, context)).map(drop),
            _ => self.schema(scanner, context),
        }
    }
}
