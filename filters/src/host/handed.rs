//! Data that a host call returns.

use std::ptr::null_mut;

/// The status of a host call that succeeded.
pub(super) const OK: u32 = 0;

/// The bytes that the host has passed on, if `call` succeeded. The host allocates them with
/// `proxy_on_memory_allocate`, as a boxed slice of exactly `size` bytes, and gives up ownership.
pub(super) fn received(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<Vec<u8>> {
    let mut data = null_mut();
    let mut size = 0;
    if call(&mut data, &mut size) != OK {
        return None;
    }
    if data.is_null() {
        return Some(Vec::new());
    }
    // SAFETY: see above; `data` and `size` come from one successful hostcall.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}
