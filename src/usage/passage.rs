//! The output for a chunk if something is removed from it or held back.

use std::ops::Range;

/// A buffer larger than this is freed once it is empty; smaller ones are reused.
const KEPT: usize = 64 << 10;

/// The output for a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass<'a> {
    /// Unchanged.
    Unchanged,
    /// These bytes instead.
    Replace(&'a [u8]),
}

/// The buffer for reuse.
pub(super) fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() > KEPT {
        return Vec::new();
    }
    buffer.clear();
    buffer
}

/// Collects the output for a chunk; copies nothing while everything passes.
#[derive(Debug, Default)]
pub(super) struct Passage {
    kept: Vec<u8>,
    /// The part of the chunk that is in `kept`, or was removed.
    copied: usize,
    /// The chunk does not pass unchanged.
    replaced: bool,
}

impl Passage {
    /// Its buffer's capacity.
    pub(super) fn reserved(&self) -> usize {
        self.kept.capacity()
    }

    /// `carried`: a part of the first event was held back from an earlier chunk.
    pub(super) fn begin(&mut self, carried: bool) {
        self.kept = emptied(std::mem::take(&mut self.kept));
        self.copied = 0;
        self.replaced = carried;
    }

    /// An event inside the chunk.
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

    /// `released`: the end of the part that passes; the rest is held back.
    pub(super) fn pass(&mut self, chunk: &[u8], released: usize) -> Pass<'_> {
        if !self.replaced && released == chunk.len() {
            return Pass::Unchanged;
        }
        self.kept.extend_from_slice(chunk.get(self.copied..released).unwrap_or_default());
        Pass::Replace(&self.kept)
    }
}
