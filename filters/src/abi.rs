//! What Envoy calls: the exports of the proxy-wasm ABI
//! (<https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>), and what they find for the contexts that Envoy
//! names by numbers.
//!
//! The ABI's Rust SDK has the same, but it panics when Envoy names what it does not know, which would take down every
//! filter of the worker, and exports callbacks that nobody needs: Envoy makes each call that is exported, for each
//! request.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;
use log::{Level, LevelFilter, Metadata, Record};

use crate::count;
use crate::guard;
use crate::host;
use crate::registry;
use crate::root::{self, Root};

/// What becomes of the part of a message that a callback was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// It goes on.
    Continue = 0,
    /// It is held; of a body, as much as Envoy keeps: what is more ends the stream with an error.
    Pause = 1,
}

/// One stream, as a filter sees it. `size` is how many bytes of a body there are, `end` whether they are the last.
pub trait HttpContext {
    /// The request's headers have come.
    fn on_http_request_headers(&mut self, _: usize, _end: bool) -> Action {
        Action::Continue
    }

    /// More of the request's body has come.
    fn on_http_request_body(&mut self, _size: usize, _end: bool) -> Action {
        Action::Continue
    }

    /// The request has ended with trailers.
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        Action::Continue
    }

    /// The answer's headers have come.
    fn on_http_response_headers(&mut self, _: usize, _end: bool) -> Action {
        Action::Continue
    }

    /// More of the answer's body has come.
    fn on_http_response_body(&mut self, _size: usize, _end: bool) -> Action {
        Action::Continue
    }

    /// The answer has ended with trailers.
    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        Action::Continue
    }

    /// The access log is about to be written.
    fn on_log(&mut self) {}

    /// The stream has ended, in whatever way.
    fn on_done(&mut self) {}
}

/// Numbers that count up: there is nothing to hide in them from a client, and all bits of a product with the golden
/// ratio differ (Knuth, The Art of Computer Programming, 6.4).
#[derive(Clone, Copy, Default)]
pub struct Number(u64);

impl Hasher for Number {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// What is found by a number.
pub type ByNumber<N, T> = HashMap<N, T, BuildHasherDefault<Number>>;

/// A stream; `None` while it is being called.
type Slot = Option<Box<dyn HttpContext>>;

thread_local! {
    static ROOTS: RefCell<ByNumber<u32, Root>> = RefCell::default();
    static STREAMS: RefCell<ByNumber<u32, Slot>> = RefCell::default();
    /// How many calls of Envoy's are under way, one within the other.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static LATE: RefCell<Vec<Late>> = const { RefCell::new(Vec::new()) };
    static IS_LATE: Cell<bool> = const { Cell::new(false) };
}

/// The end of a stream that comes while something else is being called.
enum Late {
    Log(u32),
    Delete(u32),
}

/// Whether the stream that is being told of its end had it within another call: then a filter, or Envoy's limits, have
/// ended it, and no upstream.
pub fn is_late() -> bool {
    IS_LATE.get()
}

/// Whether a stream has ended within the call under way. Nothing may be asked of Envoy for it any more.
pub fn is_ending(context: u32) -> bool {
    LATE.with_borrow(|late| {
        late.iter().any(|end| matches!(end, Late::Log(other) | Late::Delete(other) if *other == context))
    })
}

/// Runs a call of Envoy's. A filter may have Envoy do something that ends streams at once (too much in a buffer does);
/// since whoever asked for that is in the middle of its work, such ends wait until it has returned.
fn run<T>(context: u32, callback: impl FnOnce() -> T) -> T {
    registry::expect_no_more(context);
    DEPTH.set(DEPTH.get() + 1);
    let result = callback();
    let depth = DEPTH.get() - 1;
    if depth == 0 {
        IS_LATE.set(true);
        // one by one: an end may cause others
        while let Some(late) = LATE.with_borrow_mut(|late| (!late.is_empty()).then(|| late.remove(0))) {
            match late {
                Late::Log(context) => call(context, (), |stream| stream.on_log()),
                Late::Delete(context) => delete(context),
            }
        }
        IS_LATE.set(false);
    }
    DEPTH.set(depth);
    result
}

/// Has a stream's end wait if need be. Whether it has to.
fn is_postponed(late: Late) -> bool {
    let postponed = DEPTH.get() > 0;
    if postponed {
        LATE.with_borrow_mut(|waiting| waiting.push(late));
    }
    postponed
}

fn delete(context: u32) {
    let stream = STREAMS.with_borrow_mut(|streams| streams.remove(&context));
    match stream {
        Some(stream) => {
            if let Some(mut stream) = stream {
                stream.on_done();
            }
        }
        None => drop(ROOTS.with_borrow_mut(|roots| roots.remove(&context))),
    }
}

/// Calls a stream, of which nothing is borrowed meanwhile: what it asks of Envoy may call other streams.
fn call<T>(context: u32, otherwise: T, callback: impl FnOnce(&mut dyn HttpContext) -> T) -> T {
    let Some(mut stream) = STREAMS.with_borrow_mut(|streams| streams.get_mut(&context)?.take()) else {
        return otherwise;
    };
    let result = callback(stream.as_mut());
    STREAMS.with_borrow_mut(|streams| {
        if let Some(slot) = streams.get_mut(&context) {
            *slot = Some(stream);
        }
    });
    result
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
    if log::set_logger(&EnvoyLog).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// Says which ABI this is.
#[no_mangle]
pub extern "C" fn proxy_abi_version_0_2_1() {}

/// Where Envoy puts what it hands over: a boxed slice, whose owner is whoever asked for it.
#[no_mangle]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(Box::<[u8]>::new_uninit_slice(size)).cast()
}

/// A filter (whose own root is 0), or a stream of a filter.
#[no_mangle]
pub extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    if root == 0 {
        let filter = crate::root();
        ROOTS.with_borrow_mut(|roots| roots.insert(context, filter));
        return;
    }
    let stream = ROOTS.with_borrow(|roots| roots.get(&root).map(|root| root.open(context)));
    let stream = stream.unwrap_or_else(root::closed);
    STREAMS.with_borrow_mut(|streams| streams.insert(context, Some(stream)));
}

/// Whether a filter takes its configuration.
#[no_mangle]
pub extern "C" fn proxy_on_configure(context: u32, size: usize) -> bool {
    run(context, || call_root(context, false, |root| root.configure(size)))
}

/// Time has passed for a filter.
#[no_mangle]
pub extern "C" fn proxy_on_tick(context: u32) {
    run(context, || call_root(context, (), Root::on_tick));
}

/// See [`HttpContext::on_http_request_headers`].
#[no_mangle]
pub extern "C" fn proxy_on_request_headers(context: u32, count: usize, end: u32) -> Action {
    run(context, || call(context, Action::Pause, |stream| stream.on_http_request_headers(count, end != 0)))
}

/// See [`HttpContext::on_http_request_body`].
#[no_mangle]
pub extern "C" fn proxy_on_request_body(context: u32, size: usize, end: u32) -> Action {
    run(context, || call(context, Action::Pause, |stream| stream.on_http_request_body(size, end != 0)))
}

/// See [`HttpContext::on_http_request_trailers`].
#[no_mangle]
pub extern "C" fn proxy_on_request_trailers(context: u32, count: usize) -> Action {
    run(context, || call(context, Action::Pause, |stream| stream.on_http_request_trailers(count)))
}

/// See [`HttpContext::on_http_response_headers`].
#[no_mangle]
pub extern "C" fn proxy_on_response_headers(context: u32, count: usize, end: u32) -> Action {
    run(context, || call(context, Action::Continue, |stream| stream.on_http_response_headers(count, end != 0)))
}

/// See [`HttpContext::on_http_response_body`].
#[no_mangle]
pub extern "C" fn proxy_on_response_body(context: u32, size: usize, end: u32) -> Action {
    run(context, || call(context, Action::Continue, |stream| stream.on_http_response_body(size, end != 0)))
}

/// See [`HttpContext::on_http_response_trailers`].
#[no_mangle]
pub extern "C" fn proxy_on_response_trailers(context: u32, count: usize) -> Action {
    run(context, || call(context, Action::Continue, |stream| stream.on_http_response_trailers(count)))
}

/// A callout has been answered, or has failed: then there are no headers. Whoever has sent it knows its number.
#[no_mangle]
pub extern "C" fn proxy_on_http_call_response(context: u32, token: u32, headers: usize, size: usize, _: usize) {
    run(context, || {
        guard::answered(token, headers, size);
        count::answered(token, size);
    });
}

/// See [`HttpContext::on_log`].
#[no_mangle]
pub extern "C" fn proxy_on_log(context: u32) {
    if !is_postponed(Late::Log(context)) {
        run(context, || call(context, (), |stream| stream.on_log()));
    }
}

/// A stream has ended, or a filter. (That a stream is done needs no call of its own: it would come just before.)
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
