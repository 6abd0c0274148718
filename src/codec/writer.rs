//! Writes a record.

use super::varint;

/// The usual maximum size of a record, in bytes.
const USUAL: usize = 64;

/// The bytes written so far.
#[derive(Debug)]
pub struct Writer(Vec<u8>);

impl Default for Writer {
    fn default() -> Self {
        Writer(Vec::with_capacity(USUAL))
    }
}

impl Writer {
    /// One byte.
    pub fn u8(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Two bytes.
    pub fn u16(&mut self, number: u16) {
        self.array(&number.to_le_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, number: u32) {
        self.array(&number.to_le_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, number: u64) {
        self.array(&number.to_le_bytes());
    }

    /// A number in as few bytes as possible.
    pub fn number(&mut self, number: u64) {
        varint::write(&mut self.0, number);
    }

    /// Bytes whose number the reader knows.
    pub fn array<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.0.extend_from_slice(bytes);
    }

    /// A text after its length in two bytes. Stored texts are far shorter than that; a longer one is written as an
    /// empty one.
    pub fn text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).unwrap_or(0);
        self.u16(length);
        self.0.extend_from_slice(text.as_bytes().get(..length.into()).unwrap_or_default());
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
