//! Writes JSON, and the events of a stream.

use crate::json::{write_number, write_string};

/// The room that is kept for what is written next, in bytes.
const KEPT: usize = 64 << 10;

/// Writes one JSON text after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    out: String,
    /// A value stands before what comes next, in the same object or array.
    comma: bool,
}

impl Writer {
    /// With room for this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Writer { out: String::with_capacity(bytes), comma: false }
    }

    /// What has been written.
    pub fn as_str(&self) -> &str {
        &self.out
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// What has been written, for good.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out.into_bytes()
    }

    /// What has been written, for good.
    pub fn into_string(self) -> String {
        self.out
    }

    /// Forgets what has been written; keeps the room, unless it is large.
    pub fn clear(&mut self) {
        self.out.clear();
        self.out.shrink_to(KEPT);
        self.comma = false;
    }

    /// How much memory it takes.
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

    /// A value that is JSON already; several, with commas between them; or nothing.
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

    /// A field whose value is JSON already.
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

    /// One server-sent event with an object as its data, with a name or without.
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

    /// Text that is no JSON: a whole event, or what stands between two.
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
