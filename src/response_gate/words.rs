//! An error body's codes and message.

use crate::json::{JsonError, Scanner, Text, Value};

/// How much of a body is read; errors are shorter.
const MAX_BODY: usize = 64 * 1024;
/// How much of a message is read: the reason comes first, and quotes may follow.
const MAX_MESSAGE: usize = 1024;
/// The maximum number of codes of one error: its own, and the reasons in its details.
const MAX_CODES: usize = 12;
/// The deepest code: in a list (Gemini), in `error`, in `details`, in one of them, in its `violations`.
const LEVELS: u8 = 6;

/// An error's words, in any dialect.
#[derive(Debug, Default)]
pub(super) struct Words<'a> {
    codes: [Option<Text<'a>>; MAX_CODES],
    message: Option<Text<'a>>,
    /// An HTTP status among the codes, as a number or as text.
    pub(super) status: Option<u16>,
    /// It lists findings in the request (OpenRouter's `flagged_input`).
    pub(super) moderated: bool,
    /// It names a quota of one model (Gemini's `quotaDimensions`), or it comes from one of several providers of a model
    /// (OpenRouter's `provider_name`).
    pub(super) model_quota: bool,
    /// The requested retry delay (Google's `RetryInfo`), such as `34s`.
    pub(super) retry_delay: Option<Text<'a>>,
}

impl<'a> Words<'a> {
    /// Reads a body; of a cut or broken body the part before.
    pub(super) fn of(body: &'a [u8]) -> Self {
        let mut words = Words::default();
        // ignore everything after a syntax error
        let _ = words.read(&mut Scanner::new(body.get(..MAX_BODY).unwrap_or(body)), LEVELS, false);
        words
    }

    /// Whether it has one of these codes (in lower case).
    pub(super) fn has_code(&self, codes: &[&str]) -> bool {
        self.codes.iter().flatten().any(|found| {
            codes
                .iter()
                .any(|code| found.raw().len() == code.len() && found.raw().eq_ignore_ascii_case(code.as_bytes()))
        })
    }

    /// Whether its message starts with one of these phrases (in lower case).
    pub(super) fn message_begins(&self, phrases: &[&str]) -> bool {
        let message = self.message().trim_ascii_start();
        phrases.iter().any(|phrase| {
            message.get(..phrase.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(phrase.as_bytes()))
        })
    }

    /// Whether its message contains one of these phrases (in lower case).
    pub(super) fn message_has(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| contains(self.message(), phrase.as_bytes()))
    }

    /// Whether its message contains the model's name as a separate word, since a short name is part of many words.
    pub(super) fn message_names(&self, model: &str) -> bool {
        let (message, model) = (self.message(), model.as_bytes());
        let stands_alone = |at: usize| {
            let before = at.checked_sub(1).and_then(|at| message.get(at));
            let after = message.get(at + model.len());
            !before.into_iter().chain(after).any(u8::is_ascii_alphanumeric)
        };
        let mut places = message.windows(model.len().max(1)).enumerate();
        !model.is_empty() && places.any(|(at, text)| text.eq_ignore_ascii_case(model) && stands_alone(at))
    }

    fn message(&self) -> &[u8] {
        let raw = self.message.as_ref().map_or(&b""[..], |text| text.raw());
        raw.get(..MAX_MESSAGE).unwrap_or(raw)
    }

    /// Reads one value. `is_error`: the value of `error`, where a text is the message.
    fn read(&mut self, scanner: &mut Scanner<'a>, levels: u8, is_error: bool) -> Result<(), JsonError> {
        match (scanner.peek(), levels.checked_sub(1)) {
            (Some(b'['), Some(levels)) => {
                scanner.array(|scanner| self.read(scanner, levels, is_error))?;
            }
            (Some(b'{'), Some(levels)) => {
                scanner.object(|key, scanner| self.field(key, scanner, levels))?;
            }
            _ => {
                if let (Value::String(text), true) = (scanner.value()?, is_error) {
                    self.message = self.message.or(Some(text));
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, key: Text<'a>, scanner: &mut Scanner<'a>, levels: u8) -> Result<(), JsonError> {
        match key.raw() {
            b"code" | b"type" | b"status" | b"reason" | b"error_code" | b"status_code" | b"statusCode" | b"__type"
            | b"quotaId" => {
                let value = scanner.value()?;
                self.code(value);
            }
            b"error" | b"errors" | b"detail" | b"message" | b"msg" | b"error_message" | b"error_msg" => {
                self.read(scanner, levels, true)?;
            }
            b"response" | b"details" | b"innererror" | b"violations" | b"metadata" | b"choices" => {
                self.read(scanner, levels, false)?;
            }
            b"flagged_input" => {
                self.moderated = true;
                scanner.value()?;
            }
            b"provider_name" => {
                self.model_quota |= matches!(scanner.value()?, Value::String(_));
            }
            b"retryDelay" => {
                if let Value::String(text) = scanner.value()? {
                    self.retry_delay = self.retry_delay.or(Some(text));
                }
            }
            b"quotaDimensions" => {
                scanner.object(|key, scanner| {
                    self.model_quota |= key.is("model");
                    scanner.value().map(|_| ())
                })?;
            }
            _ => {
                scanner.value()?;
            }
        }
        Ok(())
    }

    fn code(&mut self, value: Value<'a>) {
        let digits = match value {
            Value::String(text) => {
                if let Some(place) = self.codes.iter_mut().find(|place| place.is_none()) {
                    *place = Some(text);
                }
                text.raw()
            }
            Value::Number(digits) => digits,
            Value::Null | Value::Bool(_) | Value::Array { .. } | Value::Object => return,
        };
        let status = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        self.status = self.status.or(status.filter(|status| (400..600).contains(status)));
    }
}

fn contains(text: &[u8], phrase: &[u8]) -> bool {
    text.windows(phrase.len().max(1)).any(|words| words.eq_ignore_ascii_case(phrase))
}
