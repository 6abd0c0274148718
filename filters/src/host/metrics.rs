//! Envoy's stats.

use super::handed::OK;

const COUNTER: u32 = 0;
const GAUGE: u32 = 1;
const HISTOGRAM: u32 = 2;

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
}

/// A counter's handle.
pub fn define_counter(name: &str) -> Option<u32> {
    define_metric(COUNTER, name)
}

/// A gauge's handle. All workers share a gauge.
pub fn define_gauge(name: &str) -> Option<u32> {
    define_metric(GAUGE, name)
}

/// A histogram's handle.
pub fn define_histogram(name: &str) -> Option<u32> {
    define_metric(HISTOGRAM, name)
}

fn define_metric(kind: u32, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: the pointers are valid for the duration of the call.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) };
    (status == OK).then_some(id)
}

/// Adds to a counter or gauge; a gauge may be decreased. (Envoy refuses to add zero.)
pub fn increment(metric: u32, by: i64) {
    if by != 0 {
        // SAFETY: takes no pointer.
        unsafe { proxy_increment_metric(metric, by) };
    }
}

/// Sets a gauge; records a value in a histogram.
pub fn record(metric: u32, value: u64) {
    // SAFETY: takes no pointer.
    unsafe { proxy_record_metric(metric, value) };
}

/// A metric's value over all workers; 0 if it does not exist.
pub fn metric(metric: u32) -> u64 {
    let mut value = 0;
    // SAFETY: the pointer is valid for the duration of the call.
    unsafe { proxy_get_metric(metric, &mut value) };
    value
}
