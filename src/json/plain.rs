//! Finds how far a string goes on without a special byte: most scanned bytes are prompts.

/// The number of 16-byte blocks that are checked one by one before a string counts as long.
const SHORT_BLOCKS: usize = 2;

/// The number of bytes before a quote, a backslash or a control character.
pub(crate) fn plain_prefix(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut blocks = 0;
    while let Some((block, tail)) = rest.split_first_chunk::<16>() {
        if let Some(plain) = plain_in_block(block) {
            return bytes.len() - rest.len() + plain;
        }
        rest = tail;
        blocks += 1;
        if blocks == SHORT_BLOCKS {
            rest = without_plain_blocks(rest);
        }
    }
    let plain = rest.iter().take_while(|byte| !is_special(**byte)).count();
    bytes.len() - rest.len() + plain
}

/// The rest of a long string, such as a prompt, after the blocks without a special byte. Without branches inside a
/// block, this compiles to vector instructions.
fn without_plain_blocks(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let Some((block, tail)) = rest.split_first_chunk::<64>() {
        if block.iter().fold(false, |special, byte| special | is_special(*byte)) {
            break;
        }
        rest = tail;
    }
    rest
}

/// Whether a byte must be escaped in a string.
fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// The index of a block's first special byte, if there is one.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn plain_in_block(block: &[u8; 16]) -> Option<usize> {
    use std::arch::wasm32::{u64x2, u8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, v128_or};

    let word = |half: Option<&[u8; 8]>| half.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let bytes = u64x2(word(block.first_chunk()), word(block.last_chunk())); // one load
    let quoted = v128_or(u8x16_eq(bytes, u8x16_splat(b'"')), u8x16_eq(bytes, u8x16_splat(b'\\')));
    let special = u8x16_bitmask(v128_or(quoted, u8x16_lt(bytes, u8x16_splat(0x20))));
    (special != 0).then_some(special.trailing_zeros() as usize)
}

/// The index of a block's first special byte, if there is one.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn plain_in_block(block: &[u8; 16]) -> Option<usize> {
    block.iter().position(|byte| is_special(*byte))
}
