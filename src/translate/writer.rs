//! Writes JSON, and a stream's events.

use crate::json::{write_number, write_string};

/// The reserved capacity for the next output, in bytes.
const KEPT: usize = 64 << 10;

/// Writes one JSON text after another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    out: String,
    /// Whether a value comes before the next one in the same object or array.
    comma: bool,
}

impl Writer {
    /// With a capacity of this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Writer { out: String::with_capacity(bytes), comma: false }
    }

    /// The output so far.
    pub fn as_str(&self) -> &str {
        &self.out
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The output, which ends the writer.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out.into_bytes()
    }

    /// The output, which ends the writer.
    pub fn into_string(self) -> String {
        self.out
    }

    /// Clears the output; keeps the buffer, unless it is large.
    pub fn clear(&mut self) {
        self.out.clear();
        self.out.shrink_to(KEPT);
        self.comma = false;
    }

    /// Its buffer's capacity.
    pub fn reserved(&self) -> usize {
        self.out.capacity()
    }

    pub fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.next();
        self.out.push('{');
        self.comma = false;
        fields(self);
        self.out.push('}');
        self.comma = true;
    }

    pub fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.next();
        self.out.push('[');
        self.comma = false;
        elements(self);
        self.out.push(']');
        self.comma = true;
    }

    /// A value that is already JSON; several, separated by commas; or nothing.
    pub fn raw(&mut self, json: &str) {
        if !json.is_empty() {
            self.next();
            self.out.push_str(json);
            self.comma = true;
        }
    }

    pub fn string(&mut self, text: &str) {
        self.next();
        write_string(&mut self.out, text);
        self.comma = true;
    }

    pub fn key(&mut self, name: &str) {
        self.next();
        write_string(&mut self.out, name);
        self.out.push(':');
        self.comma = false;
    }

    /// A field whose value is already JSON.
    pub fn put(&mut self, name: &str, json: &str) {
        self.key(name);
        self.raw(json);
    }

    pub fn put_string(&mut self, name: &str, text: &str) {
        self.key(name);
        self.string(text);
    }

    pub fn put_number(&mut self, name: &str, number: u64) {
        self.key(name);
        write_number(&mut self.out, number);
        self.comma = true;
    }

    pub fn put_object(&mut self, name: &str, fields: impl FnOnce(&mut Self)) {
        self.key(name);
        self.object(fields);
    }

    pub fn put_array(&mut self, name: &str, elements: impl FnOnce(&mut Self)) {
        self.key(name);
        self.array(elements);
    }

    /// One server-sent event with an object as its data, and an optional name.
    pub fn event(&mut self, name: Option<&str>, fields: impl FnOnce(&mut Self)) {
        self.comma = false;
        if let Some(name) = name {
            self.out.push_str("event: ");
            self.out.push_str(name);
            self.out.push('\n');
        }
        self.out.push_str("data: ");
        self.object(fields);
        self.text("\n\n");
    }

    /// Text that is not JSON: a whole event, or the text between two.
    pub fn text(&mut self, text: &str) {
        self.out.push_str(text);
        self.comma = false;
    }

    fn next(&mut self) {
        if self.comma {
            self.out.push(',');
        }
    }
}
