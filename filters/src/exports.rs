//! The functions that Envoy calls: the exports of the proxy-wasm ABI
//! (<https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>), and the contexts for Envoy's numbers.
//!
//! The ABI's Rust SDK has the same, but it panics on numbers that it does not know, which would crash all filters of
//! the worker. It also exports callbacks that are not needed here, and Envoy makes every exported call for each
//! request.

use std::alloc::{alloc, Layout};
use std::cell::RefCell;
use std::ptr::{null_mut, NonNull};

use log::{Level, LevelFilter, Metadata, Record};

use crate::budget;
use crate::cache;
use crate::filter;
use crate::finished;
use crate::fleet;
use crate::guard;
use crate::host;
use crate::kinds;
use crate::metrics;
use crate::reentrancy::{self, is_postponed, Late};
use crate::registry;
use crate::root::Root;
use crate::shared_limits;
use crate::texts;
use crate::types::{Action, ByNumber, Event, HttpContext};

/// A stream; `None` while it is being called.
type Slot = Option<Box<dyn HttpContext>>;

thread_local! {
    static ROOTS: RefCell<ByNumber<u32, Root>> = RefCell::default();
    static STREAMS: RefCell<ByNumber<u32, Slot>> = RefCell::default();
}

/// Runs a call from Envoy.
fn run<T>(context: u32, callback: impl FnOnce() -> T) -> T {
    registry::expect_no_more(context);
    reentrancy::run(callback, |late| match late {
        Late::Log(context) => {
            call(context, Event::Log);
        }
        Late::Delete(context) => delete(context),
    })
}

fn delete(context: u32) {
    let stream = STREAMS.with_borrow_mut(|streams| streams.remove(&context));
    match stream {
        Some(stream) => {
            if let Some(mut stream) = stream {
                stream.on(Event::Done);
            }
        }
        None => {
            metrics::flush(); // there may be no further tick
            drop(ROOTS.with_borrow_mut(|roots| roots.remove(&context)));
        }
    }
}

/// Passes an event to a stream. `STREAMS` is not borrowed meanwhile: the stream's host calls may call other streams.
fn call(context: u32, event: Event) -> Action {
    let Some(mut stream) = STREAMS.with_borrow_mut(|streams| streams.get_mut(&context)?.take()) else {
        return event.unseen();
    };
    let action = stream.on(event);
    STREAMS.with_borrow_mut(|streams| {
        if let Some(slot) = streams.get_mut(&context) {
            *slot = Some(stream);
        }
    });
    action
}

/// A call from Envoy for a stream.
#[inline(never)] // so that its code is there once, and not in each of the exports
fn dispatch(context: u32, event: Event) -> Action {
    run(context, || call(context, event))
}

fn call_root<T>(context: u32, otherwise: T, callback: impl FnOnce(&mut Root) -> T) -> T {
    let Some(mut root) = ROOTS.with_borrow_mut(|roots| roots.remove(&context)) else {
        return otherwise;
    };
    let result = callback(&mut root);
    ROOTS.with_borrow_mut(|roots| roots.insert(context, root));
    result
}

extern "C" {
    fn __wasm_call_ctors();
}

/// Called first.
#[no_mangle]
pub extern "C" fn _initialize() {
    // SAFETY: a WASI reactor's host calls this once, before anything else.
    unsafe { __wasm_call_ctors() };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        host::log(host::LogLevel::Critical, &format!("sluice: panic at {place}"));
    }));
    log_to_host();
}

/// Sends the core's log lines to Envoy.
pub(crate) fn log_to_host() {
    if log::set_logger(&EnvoyLog).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// The version of the ABI.
#[no_mangle]
pub extern "C" fn proxy_abi_version_0_2_1() {}

/// Allocates memory for data from Envoy: a boxed slice, owned by the code that requested the data. Null if there is no
/// memory for it: then only the call that requested it fails.
#[no_mangle]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let Ok(layout) = Layout::array::<u8>(size) else {
        return null_mut();
    };
    match size {
        0 => NonNull::dangling().as_ptr(),
        _ if !budget::may_receive(size) => null_mut(),
        // SAFETY: the layout is not empty.
        _ => unsafe { alloc(layout) },
    }
}

/// Creates a filter (with root 0), or a filter's stream.
#[no_mangle]
pub extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    if root == 0 {
        let filter = crate::root();
        ROOTS.with_borrow_mut(|roots| roots.insert(context, filter));
        return;
    }
    let stream = ROOTS.with_borrow(|roots| roots.get(&root).map(|root| root.open(context)));
    let stream = stream.unwrap_or_else(filter::closed);
    STREAMS.with_borrow_mut(|streams| streams.insert(context, Some(stream)));
}

/// Configures a filter; returns whether it accepts the configuration.
#[no_mangle]
pub extern "C" fn proxy_on_configure(context: u32, size: usize) -> bool {
    run(context, || call_root(context, false, |root| root.configure(size)))
}

/// A filter's tick.
#[no_mangle]
pub extern "C" fn proxy_on_tick(context: u32) {
    run(context, || call_root(context, (), Root::on_tick));
}

/// See [`Event::RequestHeaders`].
#[no_mangle]
pub extern "C" fn proxy_on_request_headers(context: u32, _: usize, end: u32) -> Action {
    #[cfg(feature = "trap")]
    crate::trap::on_demand();
    dispatch(context, Event::RequestHeaders { end: end != 0 })
}

/// See [`Event::RequestBody`].
#[no_mangle]
pub extern "C" fn proxy_on_request_body(context: u32, size: usize, end: u32) -> Action {
    dispatch(context, Event::RequestBody { size, end: end != 0 })
}

/// See [`Event::RequestTrailers`].
#[no_mangle]
pub extern "C" fn proxy_on_request_trailers(context: u32, _: usize) -> Action {
    dispatch(context, Event::RequestTrailers)
}

/// See [`Event::ResponseHeaders`].
#[no_mangle]
pub extern "C" fn proxy_on_response_headers(context: u32, _: usize, end: u32) -> Action {
    dispatch(context, Event::ResponseHeaders { end: end != 0 })
}

/// See [`Event::ResponseBody`].
#[no_mangle]
pub extern "C" fn proxy_on_response_body(context: u32, size: usize, end: u32) -> Action {
    dispatch(context, Event::ResponseBody { size, end: end != 0 })
}

/// See [`Event::ResponseTrailers`].
#[no_mangle]
pub extern "C" fn proxy_on_response_trailers(context: u32, _: usize) -> Action {
    dispatch(context, Event::ResponseTrailers)
}

/// A callout was answered, or it failed: then there are no headers. Its sender knows its number.
#[no_mangle]
pub extern "C" fn proxy_on_http_call_response(context: u32, token: u32, headers: usize, size: usize, _: usize) {
    run(context, || {
        guard::answered(token, headers, size);
        finished::answered(token, size);
        cache::answered(token, headers, size);
        kinds::answered(token, headers, size);
        fleet::answered(token, size);
        texts::answered(token, headers, size);
    });
}

/// A gRPC service has answered, with a message of this size.
#[no_mangle]
pub extern "C" fn proxy_on_grpc_receive(context: u32, token: u32, size: usize) {
    run(context, || shared_limits::answered(token, size));
}

/// A call of a gRPC service has failed, or has ended with this status.
#[no_mangle]
pub extern "C" fn proxy_on_grpc_close(context: u32, token: u32, status: u32) {
    run(context, || shared_limits::failed(token, status));
}

/// The service's headers have arrived. Envoy requires all four of these exports to make a call.
#[no_mangle]
pub extern "C" fn proxy_on_grpc_receive_initial_metadata(_: u32, _: u32, _: usize) {}

/// The service's trailers have arrived.
#[no_mangle]
pub extern "C" fn proxy_on_grpc_receive_trailing_metadata(_: u32, _: u32, _: usize) {}

/// See [`Event::Log`].
#[no_mangle]
pub extern "C" fn proxy_on_log(context: u32) {
    if !is_postponed(Late::Log(context)) {
        dispatch(context, Event::Log);
    }
}

/// A stream or a filter has ended. (A separate call for the end of a stream is not needed: it would come directly
/// before.)
#[no_mangle]
pub extern "C" fn proxy_on_delete(context: u32) {
    if !is_postponed(Late::Delete(context)) {
        run(context, || delete(context));
    }
}

/// Envoy's log.
struct EnvoyLog;

impl log::Log for EnvoyLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Trace => host::LogLevel::Trace,
            Level::Debug => host::LogLevel::Debug,
            Level::Info => host::LogLevel::Info,
            Level::Warn => host::LogLevel::Warn,
            Level::Error => host::LogLevel::Error,
        };
        host::log(level, &record.args().to_string());
    }

    fn flush(&self) {}
}
