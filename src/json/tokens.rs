//! Values without nested values: strings, numbers and words.

use super::plain::plain_prefix;
use super::{JsonError, Scanner, Text};

impl<'a> Scanner<'a> {
    pub(super) fn string(&mut self) -> Result<Text<'a>, JsonError> {
        self.at += 1; // the opening quote
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_prefix(self.text.get(self.at..).unwrap_or_default());
            match self.text.get(self.at) {
                Some(b'"') => {
                    let raw = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Text::new(raw, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    // JSON in a string, and escaped letters, have many in a row
                    while self.text.get(self.at) == Some(&b'\\') {
                        self.escape()?;
                    }
                }
                Some(_) => return Err(JsonError::Unexpected { at: self.at }), // a bare control character
                None => return Err(JsonError::UnexpectedEnd),
            }
        }
    }

    pub(super) fn escape(&mut self) -> Result<(), JsonError> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6);
                if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    self.at += 6;
                    return Ok(());
                }
                for offset in 2..6 {
                    match self.text.get(self.at + offset) {
                        Some(digit) if digit.is_ascii_hexdigit() => {}
                        Some(_) => return Err(JsonError::Unexpected { at: self.at + offset }),
                        None => return Err(JsonError::UnexpectedEnd),
                    }
                }
            }
            Some(_) => return Err(JsonError::Unexpected { at: self.at + 1 }),
            None => return Err(JsonError::UnexpectedEnd),
        }
        Ok(())
    }

    pub(super) fn literal(&mut self, word: &'static [u8]) -> Result<(), JsonError> {
        for expected in word {
            match self.text.get(self.at) {
                Some(found) if found == expected => self.at += 1,
                Some(_) => return Err(JsonError::Unexpected { at: self.at }),
                None => return Err(JsonError::UnexpectedEnd),
            }
        }
        Ok(())
    }

    pub(super) fn number(&mut self) -> Result<&'a [u8], JsonError> {
        let start = self.at;
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        match (count, self.text.get(self.at)) {
            (1.., _) => Ok(()),
            (0, Some(_)) => Err(JsonError::Unexpected { at: self.at }),
            (0, None) => Err(JsonError::UnexpectedEnd),
        }
    }
}
