//! An event that is too large to hold: it passes at once, and its digest is read at its end.

use memchr::memchr2;

use super::digest::Digest;
use super::events::{field_value, Framing};
use crate::eventstream;

/// The longest relevant name is `error`.
const MAX_NAME: usize = 64;
/// The maximum kept part of a binary message's prelude and headers.
const MAX_HEAD: usize = 4096;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The event so far.
#[derive(Debug)]
pub(super) struct LargeEvent {
    framing: Framing,
    line: Line,
    /// The start of the line, until its field is known.
    head: Vec<u8>,
    is_first_line: bool,
    has_data: bool,
    name: Option<Vec<u8>>,
    digest: Digest,
    /// The remaining bytes of a binary message's payload, once it has begun.
    payload: Option<usize>,
}

/// The position in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Head,
    /// Before the value, which may follow a space.
    Field(Field),
    Value(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Name,
    Other,
}

impl LargeEvent {
    pub(super) fn new(framing: Framing) -> Self {
        LargeEvent {
            framing,
            line: Line::Head,
            head: Vec::new(),
            is_first_line: true,
            has_data: false,
            name: None,
            digest: Digest::default(),
            payload: None,
        }
    }

    /// The value of its last `event` line, or a binary message's type.
    pub(super) fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

    /// The digest of its data; `None` if it has none.
    pub(super) fn data(&self) -> Option<&Digest> {
        self.has_data.then_some(&self.digest)
    }

    /// Its memory in bytes.
    pub(super) fn reserved(&self) -> usize {
        self.digest.reserved() + self.head.capacity() + self.name.as_ref().map_or(0, Vec::capacity)
    }

    /// Reads the next bytes.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        match self.framing {
            Framing::Sse => {}
            Framing::EventStream => return self.add_binary(bytes),
            Framing::Ndjson | Framing::Json => {
                self.has_data = true;
                return self.digest.add(bytes);
            }
        }
        while let Some(first) = bytes.first() {
            bytes = match self.line {
                Line::Head if matches!(first, b'\n' | b'\r') => {
                    self.end_line();
                    bytes.get(1..).unwrap_or_default()
                }
                Line::Head => {
                    self.head.push(*first);
                    self.tell_field();
                    bytes.get(1..).unwrap_or_default()
                }
                Line::Field(field) => {
                    self.line = Line::Value(field);
                    bytes.strip_prefix(b" ").unwrap_or(bytes)
                }
                Line::Value(field) => {
                    let end = memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
                    let (value, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
                    self.value(field, value);
                    if !rest.is_empty() {
                        self.line = Line::Head;
                        self.is_first_line = false;
                    }
                    rest.get(1..).unwrap_or_default()
                }
            };
        }
    }

    /// Reads the next bytes of a binary message: its payload is between its headers and its checksum.
    fn add_binary(&mut self, mut bytes: &[u8]) {
        while self.payload.is_none() {
            let Some((first, rest)) = bytes.split_first().filter(|_| self.head.len() < MAX_HEAD) else {
                return;
            };
            self.head.push(*first);
            bytes = rest;
            if let Some((name, payload)) = eventstream::beginning(&self.head) {
                (self.name, self.payload) = (Some(name.as_bytes().to_vec()), Some(payload));
                self.has_data = true;
            }
        }
        if let Some(rest) = &mut self.payload {
            let taken = bytes.get(..*rest).unwrap_or(bytes);
            *rest -= taken.len();
            self.digest.add(taken);
        }
    }

    /// A line that is too short to show its field: `data` alone is empty data.
    fn end_line(&mut self) {
        let field = match field_value(self.without_bom(), b"data") {
            Some(_) => Field::Data,
            None => Field::Other,
        };
        if field == Field::Data {
            self.begin_data();
        }
        self.head.clear();
        self.is_first_line = false;
    }

    fn tell_field(&mut self) {
        let head = self.without_bom();
        let field = match head {
            b"data:" => Field::Data,
            b"event:" => Field::Name,
            _ if b"data:".starts_with(head) || b"event:".starts_with(head) || BOM.starts_with(head) => return,
            _ => Field::Other,
        };
        match field {
            Field::Data => self.begin_data(),
            Field::Name => self.name = Some(Vec::new()),
            Field::Other => {}
        }
        self.head.clear();
        self.line = Line::Field(field);
    }

    fn without_bom(&self) -> &[u8] {
        let head = &self.head;
        head.strip_prefix(BOM).filter(|_| self.is_first_line).unwrap_or(head)
    }

    fn begin_data(&mut self) {
        if std::mem::replace(&mut self.has_data, true) {
            self.digest.add(b"\n");
        }
    }

    fn value(&mut self, field: Field, value: &[u8]) {
        match (field, &mut self.name) {
            (Field::Data, _) => self.digest.add(value),
            (Field::Name, Some(name)) => {
                let room = MAX_NAME.saturating_sub(name.len());
                name.extend_from_slice(value.get(..room).unwrap_or(value));
            }
            (Field::Name, None) | (Field::Other, _) => {}
        }
    }
}
