//! The only module that calls Envoy.
//!
//! The SDK's own wrappers panic on unexpected statuses, and a panic crashes the worker's VM. So the few needed
//! hostcalls are declared here, and every unexpected status becomes `None`, `false` or nothing. (ABI: proxy-wasm
//! v0.2.1, <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>.)

mod grpc;
mod handed;
mod headers;
mod metrics;
pub mod shared_data;

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use sluice::keys::Property;

pub use grpc::grpc_call;
use handed::{received, OK};
pub(crate) use headers::serialize;
pub use headers::{
    call_status, header, headers, remove_header, set_header, set_header_bytes, text, HeaderPairs, Headers,
};
pub use metrics::{define_counter, define_gauge, define_histogram, increment, metric, record};

/// A buffer.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Buffer {
    /// The request body that is passing.
    RequestBody = 0,
    /// The response body that is passing.
    ResponseBody = 1,
    /// The body of a callout's answer.
    CallResponseBody = 4,
    /// The message of a gRPC service's answer.
    GrpcMessage = 5,
    /// The filter's configuration.
    Configuration = 7,
}

/// A log level.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum LogLevel {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

thread_local! {
    static RECENT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

const NOT_FOUND: u32 = 1;
const REQUEST_STREAM: u32 = 0;
const RESPONSE_STREAM: u32 = 1;

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_get_property(path: *const u8, path_size: usize, value: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, size: usize) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, max: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_buffer_bytes(buffer: u32, start: usize, length: usize, data: *const u8, size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        result: *mut *mut u8,
        result_size: *mut usize,
    ) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
extern "C" {
    fn random_get(bytes: *mut u8, size: usize) -> u32;
}

/// A property; the parts of its path are separated by NUL. Unknown and empty ones are `None`.
pub fn property(path: &str) -> Option<Vec<u8>> {
    get_property(path).filter(|value| !value.is_empty())
}

/// Whether there is such a property, even an empty one. This is the cheapest check, because no data is passed.
pub fn has_property(path: &str) -> bool {
    get_property(path).is_some()
}

fn get_property(path: &str) -> Option<Vec<u8>> {
    // SAFETY: the pointers are valid for the duration of the call.
    received(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// The metadata of Envoy's `jwt_authn` under `name`, or at a path inside it. Clients cannot set it, because it is not a
/// header.
pub fn jwt_metadata(name: &str, path: &[&str]) -> Property {
    let mut full = format!("metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0{name}");
    for part in path {
        full.push('\0');
        full.push_str(part);
    }
    let mut status = OK;
    let value = received(|data, size| {
        // SAFETY: the pointers are valid for the duration of the call.
        status = unsafe { proxy_get_property(full.as_ptr(), full.len(), data, size) };
        status
    });
    match (value, status) {
        (Some(bytes), _) => Property::Is(bytes),
        (None, NOT_FOUND) => Property::Missing,
        (None, _) => Property::Unreadable,
    }
}

/// Sets filter state, which Envoy calls `wasm.{name}`.
pub fn set_filter_state(name: &str, value: &[u8]) -> bool {
    // SAFETY: the pointers are valid for the duration of the call.
    unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) == OK }
}

/// Declares, while the filter is configured, that this filter state will be a `google.protobuf.Struct`, whose fields
/// access logs and traces can name. Repeating it changes nothing.
pub fn declare_struct(name: &str) {
    // `DeclarePropertyArguments`: a name, a type (3: a protobuf message), its schema
    let schema = "type.googleapis.com/google.protobuf.Struct";
    let mut argument = vec![0x0a, name.len() as u8];
    argument.extend_from_slice(name.as_bytes());
    argument.extend_from_slice(&[0x18, 3, 0x22, schema.len() as u8]);
    argument.extend_from_slice(schema.as_bytes());
    call("declare_property", &argument);
}

/// Makes Envoy choose the route again when it next needs it.
pub fn clear_route_cache() -> bool {
    call("clear_route_cache", &[]).is_some()
}

/// Calls a function of Envoy that is not part of the ABI.
fn call(name: &str, argument: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: the pointers are valid for the duration of the call.
    received(|data, size| unsafe {
        proxy_call_foreign_function(name.as_ptr(), name.len(), argument.as_ptr(), argument.len(), data, size)
    })
}

/// A buffer's first `size` bytes.
pub fn bytes(buffer: Buffer, size: usize) -> Option<Vec<u8>> {
    bytes_from(buffer, 0, size)
}

/// At most `size` bytes of a buffer, from `start` on.
pub fn bytes_from(buffer: Buffer, start: usize, size: usize) -> Option<Vec<u8>> {
    // SAFETY: the pointers are valid for the duration of the call.
    received(|data, length| unsafe { proxy_get_buffer_bytes(buffer as u32, start, size, data, length) })
}

/// Inserts bytes at the start of a buffer.
pub fn prepend_bytes(buffer: Buffer, bytes: &[u8]) -> bool {
    replace_start(buffer, 0, bytes)
}

/// Replaces the first `length` bytes of a buffer.
pub fn replace_start(buffer: Buffer, length: usize, bytes: &[u8]) -> bool {
    // SAFETY: the pointers are valid for the duration of the call.
    unsafe { proxy_set_buffer_bytes(buffer as u32, 0, length, bytes.as_ptr(), bytes.len()) == OK }
}

/// Adds bytes at the end of a buffer.
pub fn append_bytes(buffer: Buffer, bytes: &[u8]) -> bool {
    // SAFETY: the pointers are valid for the duration of the call.
    unsafe { proxy_set_buffer_bytes(buffer as u32, usize::MAX, 0, bytes.as_ptr(), bytes.len()) == OK }
}

/// Replaces a whole buffer. `false` if the host refused: then the message must not be sent.
pub fn replace_bytes(buffer: Buffer, bytes: &[u8]) -> bool {
    replace_start(buffer, usize::MAX, bytes)
}

/// Answers the client. `details` appear in access logs as `%RESPONSE_CODE_DETAILS%`.
pub fn reply(status: u16, details: &str, headers: &[(&str, &str)], body: &[u8]) {
    let headers = serialize(headers);
    // SAFETY: the pointers are valid for the duration of the call.
    unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        );
    }
}

/// Sends a request to a cluster. Returns the number of the call; `None` if Envoy cannot call.
pub fn http_call(cluster: &str, headers: &[(&str, &str)], body: &[u8], timeout: Duration) -> Option<u32> {
    let (headers, trailers) = (serialize(headers), serialize(&[]));
    let timeout = milliseconds(timeout);
    let mut token = 0;
    // SAFETY: the pointers are valid for the duration of the call.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout,
            &mut token,
        )
    };
    (status == OK).then_some(token)
}

/// A timeout for Envoy, to which 0 means that there is none.
fn milliseconds(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// Writes a line to Envoy's log.
pub fn log(level: LogLevel, message: &str) {
    // SAFETY: the pointers are valid for the duration of the call.
    unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// Makes the following hostcalls of this callback act on another stream. `false` if it has ended.
pub fn act_on(context: u32) -> bool {
    // SAFETY: takes no pointer.
    unsafe { proxy_set_effective_context(context) == OK }
}

/// Continues a held request.
pub fn continue_request() -> bool {
    // SAFETY: takes no pointer.
    unsafe { proxy_continue_stream(REQUEST_STREAM) == OK }
}

/// Continues a held answer.
pub fn continue_response() -> bool {
    // SAFETY: takes no pointer.
    unsafe { proxy_continue_stream(RESPONSE_STREAM) == OK }
}

/// Makes Envoy call the current filter's `on_tick` this often.
pub fn tick_every(period: Duration) {
    // SAFETY: takes no pointer.
    unsafe { proxy_set_tick_period_milliseconds(period.as_millis() as u32) };
}

/// Random bytes, for keys and secret names. `None` if the host has none.
pub fn random_bytes() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    // SAFETY: the pointer is valid for the duration of the call.
    let status = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
    (status == OK).then_some(bytes)
}

/// A random number that differs from VM to VM.
pub fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The time since the epoch.
pub fn now() -> Duration {
    let mut nanoseconds = 0;
    // SAFETY: the pointer is valid for the duration of the call.
    unsafe { proxy_get_current_time_nanoseconds(&mut nanoseconds) };
    let now = Duration::from_nanos(nanoseconds);
    RECENT.set(now);
    now
}

/// The time since the epoch at the last call: at most one tick old, and without a host call.
pub fn recent() -> Duration {
    match RECENT.get() {
        Duration::ZERO => now(),
        recent => recent,
    }
}
