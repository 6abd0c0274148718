//! The allocator. Most of a request's blocks are small and soon freed, and the next request needs the same sizes. So
//! some small blocks are cached by size, which takes a fifth of the time. All others come from another allocator.
//!
//! Large blocks have a separate heap. They are bodies and answers, and most are freed before the next one. If a small
//! block that stays were placed into a freed large block, the next large block could not use it, and the memory would
//! keep growing.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr::null_mut;

/// Sizes of small blocks are multiples of this, in bytes.
const STEP: usize = 32;
/// The number of sizes of small blocks: up to 2 KiB.
const SIZES: usize = 64;
/// How many bytes are cached for each size; further freed blocks can be used for other sizes.
const KEPT: usize = 64 * 1024;
/// The alignment of all small blocks.
const ALIGN: usize = 8;
/// The minimum size of a large block, in bytes.
pub const LARGE: usize = 64 * 1024;

/// An allocator that gets new blocks from `A`, and large blocks from `L`.
pub struct BySize<A, L> {
    others: A,
    large: L,
    free: [Kept; SIZES],
    /// The number of used bytes.
    used: Cell<usize>,
}

/// The free blocks of one size.
struct Kept {
    /// The first; each begins with the address of the next.
    first: Cell<*mut u8>,
    bytes: Cell<usize>,
}

// SAFETY: a VM of Envoy's has one thread.
unsafe impl<A, L> Sync for BySize<A, L> {}

impl<A: GlobalAlloc, L: GlobalAlloc> BySize<A, L> {
    /// With no block free.
    pub const fn new(others: A, large: L) -> Self {
        let free = [const { Kept { first: Cell::new(null_mut()), bytes: Cell::new(0) } }; SIZES];
        BySize { others, large, free, used: Cell::new(0) }
    }

    /// The number of used bytes.
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// The allocator of an uncached block.
    fn heap(&self, layout: Layout) -> &dyn GlobalAlloc {
        if layout.size() >= LARGE {
            &self.large
        } else {
            &self.others
        }
    }

    fn count(&self, block: *mut u8, size: usize) {
        if !block.is_null() {
            self.used.set(self.used.get() + size);
        }
    }

    /// The list of a small block's size, and its layout; `None` for other blocks.
    fn small(&self, layout: Layout) -> Option<(&Kept, Layout)> {
        let size = layout.size().wrapping_sub(1) / STEP;
        let kept = self.free.get(size).filter(|_| layout.align() <= ALIGN)?;
        // SAFETY: the alignment is a power of two, the size at most SIZES * STEP.
        Some((kept, unsafe { Layout::from_size_align_unchecked((size + 1) * STEP, ALIGN) }))
    }
}

// SAFETY: a small block is on its list or in use, never both; all others are the other allocator's.
unsafe impl<A: GlobalAlloc, L: GlobalAlloc> GlobalAlloc for BySize<A, L> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let small = self.small(layout);
        let first = small.map_or(null_mut(), |(kept, _)| kept.first.get());
        // SAFETY: the layout is not empty, as the caller promises; a free block holds the address of the next.
        let (block, size) = unsafe {
            match small {
                Some((kept, layout)) if !first.is_null() => {
                    kept.first.set(first.cast::<*mut u8>().read());
                    kept.bytes.set(kept.bytes.get() - layout.size());
                    (first, layout.size())
                }
                Some((_, layout)) => (self.others.alloc(layout), layout.size()),
                None => (self.heap(layout).alloc(layout), layout.size()),
            }
        };
        self.count(block, size);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let small = self.small(layout);
        let size = small.map_or(layout.size(), |(_, layout)| layout.size());
        self.used.set(self.used.get() - size);
        // SAFETY: the block has this layout, as the caller promises: it is another allocator's, or one that has room for an address.
        unsafe {
            match small {
                Some((kept, layout)) if kept.bytes.get() < KEPT => {
                    block.cast::<*mut u8>().write(kept.first.get());
                    kept.first.set(block);
                    kept.bytes.set(kept.bytes.get() + layout.size());
                }
                Some((_, layout)) => self.others.dealloc(block, layout),
                None => self.heap(layout).dealloc(block, layout),
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block has this layout, and the new size is not too large, as the caller promises.
        unsafe {
            let new = Layout::from_size_align_unchecked(size, layout.align());
            match (self.small(layout), self.small(new)) {
                (None, None) if (layout.size() >= LARGE) == (size >= LARGE) => {
                    let moved = self.heap(layout).realloc(block, layout, size);
                    if !moved.is_null() {
                        self.used.set(self.used.get() - layout.size() + size);
                    }
                    return moved;
                }
                (Some((_, old)), Some((_, new))) if old == new => return block,
                (Some(_) | None, _) => {}
            }
            let moved = self.alloc(new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
