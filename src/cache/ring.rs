//! The memory store: a ring of blocks in shared data.
//!
//! Shared data never frees a key. So the names are fixed, and an entry takes as many consecutive blocks of the ring as it
//! needs, each under the name of its place. New entries overwrite the oldest. A position counts all blocks that were ever
//! written; each block begins with the position of its entry's first one, so that an overwritten entry is noticed.

/// The size of a block, in bytes. Most answers take one.
pub const BLOCK: usize = 4096;

/// Shared data with the position of the next entry.
pub const HEAD: &str = "sluice.cache.head";

/// The number of blocks for this many bytes of memory.
pub fn blocks(memory: usize) -> u64 {
    (memory / BLOCK).max(1) as u64
}

/// Shared data with the block at a position of a ring of so many blocks.
pub fn block_name(position: u64, blocks: u64) -> String {
    format!("sluice.cache.block.{}", position % blocks.max(1))
}

/// The number of blocks that an entry of this size takes.
pub fn needed(size: usize) -> u64 {
    size.div_ceil(BLOCK).max(1) as u64
}

/// The position after reserving blocks: the head's new bytes, and the position of the first. Bytes of another form begin
/// anew.
pub fn reserve(head: &[u8], needed: u64) -> (u64, [u8; 8]) {
    let position = head.try_into().map_or(0, u64::from_le_bytes);
    (position, position.wrapping_add(needed).to_le_bytes())
}

/// The bytes of each block of an entry at this position.
pub fn split(entry: &[u8], position: u64) -> impl Iterator<Item = (u64, Vec<u8>)> + '_ {
    let parts = entry.chunks(BLOCK).enumerate();
    parts.map(move |(index, part)| (position + index as u64, [&position.to_le_bytes(), part].concat()))
}

/// The part of the entry at this position in a block's bytes; `None` if it has been overwritten.
pub fn part(block: &[u8], position: u64) -> Option<&[u8]> {
    let (of, part) = block.split_first_chunk()?;
    (u64::from_le_bytes(*of) == position).then_some(part)
}
