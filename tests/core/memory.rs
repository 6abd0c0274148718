//! The filters' allocator on top of the system's: the core's tests can run it without Envoy.

#[path = "../../filters/src/memory.rs"]
mod by_size;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use by_size::BySize;
use proptest::prelude::*;

/// A block in use; each of its bytes is `mark`.
struct Block {
    start: *mut u8,
    layout: Layout,
    mark: u8,
}

impl Block {
    fn of(allocator: &impl GlobalAlloc, layout: Layout, mark: u8) -> Self {
        let start = unsafe { allocator.alloc(layout) };
        assert!(!start.is_null() && start.align_offset(layout.align()) == 0);
        unsafe { start.write_bytes(mark, layout.size()) };
        Block { start, layout, mark }
    }

    fn assert_untouched(&self, size: usize) {
        let bytes = unsafe { std::slice::from_raw_parts(self.start, size) };
        assert!(bytes.iter().all(|byte| *byte == self.mark));
    }

    /// Resizes it. The bytes in both sizes stay.
    fn resize(&mut self, allocator: &impl GlobalAlloc, size: usize) {
        let kept = self.layout.size().min(size);
        self.start = unsafe { allocator.realloc(self.start, self.layout, size) };
        self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
        assert!(!self.start.is_null() && self.start.align_offset(self.layout.align()) == 0);
        self.assert_untouched(kept);
        unsafe { self.start.write_bytes(self.mark, size) };
    }

    fn give_back(self, allocator: &impl GlobalAlloc) {
        self.assert_untouched(self.layout.size());
        unsafe { allocator.dealloc(self.start, self.layout) };
    }
}

/// Sizes around the largest cached one, and around the size steps.
fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![1..100_usize, 2_000..2_100_usize, 1..8_000_usize, 65_000..66_000_usize]
}

proptest! {
    #![proptest_config(crate::cases(200))]

    /// No two blocks overlap, for any order of allocations and frees.
    #[test]
    fn blocks_are_apart(steps in prop::collection::vec((0..4_u8, sizes(), 0..6_u32, any::<prop::sample::Index>()), 1..200)) {
        let allocator = BySize::new(System, System);
        let mut blocks: Vec<Block> = Vec::new();
        for (number, (step, size, align, index)) in steps.into_iter().enumerate() {
            match step {
                0 if !blocks.is_empty() => blocks.swap_remove(index.index(blocks.len())).give_back(&allocator),
                1 if !blocks.is_empty() => {
                    let place = index.index(blocks.len());
                    blocks[place].resize(&allocator, size);
                }
                _ => {
                    let layout = Layout::from_size_align(size, 1 << align).unwrap();
                    blocks.push(Block::of(&allocator, layout, number as u8));
                }
            }
        }
        blocks.into_iter().for_each(|block| block.give_back(&allocator));
        assert_eq!(allocator.used(), 0);
    }
}

thread_local! {
    static IN_USE: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which counts the bytes in use.
struct Counting;

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.set(IN_USE.get() + layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        IN_USE.set(IN_USE.get() - layout.size());
        unsafe { System.dealloc(block, layout) }
    }
}

#[test]
fn freed_memory_can_be_used_for_other_sizes() {
    let allocator = BySize::new(Counting, Counting);
    for size in (32..=2048).step_by(32) {
        let layout = Layout::from_size_align(size, 8).unwrap();
        let blocks: Vec<_> = (0..10_000).map(|_| unsafe { allocator.alloc(layout) }).collect();
        assert!(IN_USE.get() >= 10_000 * size);
        blocks.into_iter().for_each(|block| unsafe { allocator.dealloc(block, layout) });
    }
    let kept = IN_USE.get();
    assert!((1 << 20..5 << 20).contains(&kept), "{kept} bytes are kept");
}

#[test]
fn a_freed_block_is_reused() {
    let allocator = BySize::new(System, System);
    let block = |size| Block::of(&allocator, Layout::from_size_align(size, 1).unwrap(), 7);
    let first = block(33);
    let start = first.start;
    first.give_back(&allocator);
    let again = block(64); // of the same size step
    assert_eq!(again.start, start);
    let other = block(64);
    assert_ne!(other.start, start);
    again.give_back(&allocator);
    other.give_back(&allocator);
}

#[test]
fn used_bytes_are_counted() {
    let allocator = BySize::new(System, System);
    let mut block = Block::of(&allocator, Layout::from_size_align(33, 1).unwrap(), 7);
    assert_eq!(allocator.used(), 64); // small blocks count with their size step
    for size in [100_000, 3_000, 200_000, 64 << 10, 10] {
        block.resize(&allocator, size);
        assert_eq!(allocator.used(), if size == 10 { 32 } else { size });
    }
    block.give_back(&allocator);
    assert_eq!(allocator.used(), 0);
}

#[test]
fn large_blocks_are_apart() {
    let allocator = BySize::new(System, Counting);
    let before = IN_USE.get();
    let small = Block::of(&allocator, Layout::from_size_align((64 << 10) - 1, 1).unwrap(), 7);
    assert_eq!(IN_USE.get(), before);
    let mut large = Block::of(&allocator, Layout::from_size_align(64 << 10, 1).unwrap(), 7);
    assert_eq!(IN_USE.get(), before + (64 << 10));
    large.resize(&allocator, 1000); // the rest does not stay in the cache
    assert_eq!(IN_USE.get(), before);
    large.give_back(&allocator);
    small.give_back(&allocator);
}
