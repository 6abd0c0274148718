//! The VM's allocator: large blocks have a separate heap. Native builds do not use it, and count nothing.

#[cfg(target_family = "wasm")]
use crate::heap::{self, Heap};
#[cfg(target_family = "wasm")]
use crate::memory::BySize;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: BySize<Heap<16>, Heap<1>> = BySize::new(heap::heap(), heap::heap());

/// The used part of the VM's memory, in bytes.
#[cfg(target_family = "wasm")]
pub fn used() -> usize {
    ALLOCATOR.used()
}

/// The size of the VM's memory, in bytes.
#[cfg(target_family = "wasm")]
pub fn size() -> usize {
    heap::size()
}

#[cfg(not(target_family = "wasm"))]
pub fn used() -> usize {
    0
}

#[cfg(not(target_family = "wasm"))]
pub fn size() -> usize {
    0
}
