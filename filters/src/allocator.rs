//! The VM's allocator: large blocks have a heap of their own. Natively there is none of that, and nothing to count.

#[cfg(target_family = "wasm")]
use crate::heap::{self, Heap};
#[cfg(target_family = "wasm")]
use crate::memory::BySize;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: BySize<Heap<16>, Heap<1>> = BySize::new(heap::heap(), heap::heap());

/// How much of the VM's memory is in use, in bytes.
#[cfg(target_family = "wasm")]
pub fn used() -> usize {
    ALLOCATOR.used()
}

/// How large the VM's memory is, in bytes.
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
