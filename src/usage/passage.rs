//! What passes of a chunk where something is taken out of it or held back.

use std::ops::Range;

/// A buffer that has grown beyond this is given back once it is empty; smaller ones are used again.
const KEPT: usize = 64 << 10;

/// What becomes of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass<'a> {
    /// It goes on as it is.
    Unchanged,
    /// These bytes go on in its place.
    Replace(&'a [u8]),
}

/// The buffer, to be filled again.
pub(super) fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() > KEPT {
        return Vec::new();
    }
    buffer.clear();
    buffer
}

/// Collects what passes of a chunk; copies nothing while all of it does.
#[derive(Debug, Default)]
pub(super) struct Passage {
    kept: Vec<u8>,
    /// Up to where the chunk is in `kept`, or was taken out.
    copied: usize,
    /// The chunk does not pass as it is.
    replaced: bool,
}

impl Passage {
    /// How many bytes its buffer takes.
    pub(super) fn reserved(&self) -> usize {
        self.kept.capacity()
    }

    /// `carried`: a part of the first event was held back when an earlier chunk passed.
    pub(super) fn begin(&mut self, carried: bool) {
        self.kept = emptied(std::mem::take(&mut self.kept));
        self.copied = 0;
        self.replaced = carried;
    }

    /// An event that stands in the chunk.
    pub(super) fn event(&mut self, taken: bool, chunk: &[u8], range: Range<usize>) {
        if taken {
            self.kept.extend_from_slice(chunk.get(self.copied..range.start).unwrap_or_default());
            self.copied = range.end;
            self.replaced = true;
        }
    }

    /// An event that began in an earlier chunk, up to `end` in this one.
    pub(super) fn held_event(&mut self, taken: bool, event: &[u8], end: usize) {
        if !taken {
            self.kept.extend_from_slice(event);
        }
        self.copied = end;
    }

    /// `released`: up to where the chunk goes on; the rest is held back.
    pub(super) fn pass(&mut self, chunk: &[u8], released: usize) -> Pass<'_> {
        if !self.replaced && released == chunk.len() {
            return Pass::Unchanged;
        }
        self.kept.extend_from_slice(chunk.get(self.copied..released).unwrap_or_default());
        Pass::Replace(&self.kept)
    }
}
