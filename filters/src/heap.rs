//! The source of memory for the allocator's heaps.

use std::alloc::Layout;
use std::arch::wasm32::{memory_grow, memory_size};
use std::ptr::NonNull;

use talc::base::binning::Binning;
use talc::base::Talc;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

const PAGE: usize = 64 * 1024;

/// A heap that grows by at least `PAGES` pages at a time. Two heaps share the memory: after one has grown, the other
/// cannot grow contiguously, so a heap of small blocks grows seldom.
pub type Heap<const PAGES: usize> = TalcSyncCell<Grow<PAGES>, WasmBinning>;

/// A heap without memory.
pub const fn heap<const PAGES: usize>() -> Heap<PAGES> {
    TalcSyncCell::new_wasm(Grow { end: None })
}

/// The size of the VM's memory, in bytes. It never shrinks.
pub fn size() -> usize {
    memory_size::<0>() * PAGE
}

/// Grows the memory.
#[derive(Debug)]
pub struct Grow<const PAGES: usize> {
    /// The end of the heap.
    end: Option<NonNull<u8>>,
}

// SAFETY: no Rust allocator is called, and no type that allocates is used.
unsafe impl<const PAGES: usize> Source for Grow<PAGES> {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // the heap's own overhead is far less than a page
        let needed = layout.size().saturating_add(layout.align()).div_ceil(PAGE) + 1;
        let pages = needed.max(PAGES);
        let start = memory_grow::<0>(pages);
        if start == usize::MAX {
            return Err(());
        }
        let base = (start * PAGE) as *mut u8;
        let size = pages * PAGE;
        // SAFETY: these pages have just been added to the memory, and are unused.
        talc.source.end = unsafe {
            match talc.source.end.take().filter(|end| end.as_ptr() == base) {
                Some(end) => Some(talc.extend(end, base.wrapping_add(size))),
                None => talc.claim(base, size),
            }
        };
        Ok(())
    }
}
