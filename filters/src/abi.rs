//! What Envoy calls: the exports of the proxy-wasm ABI
//! (<https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>), and what they find for the contexts that Envoy
//! names by numbers.
//!
//! The ABI's Rust SDK has the same, but it panics when Envoy names what it does not know, which would take down every
//! filter of the worker, and exports callbacks that nobody needs: Envoy makes each call that is exported, for each
//! request.

use std::alloc::{alloc, Layout};
use std::cell::{Cell, RefCell};
use std::hash::{BuildHasherDefault, Hasher};
use std::ptr::{null_mut, NonNull};

use hashbrown::HashMap;
use log::{Level, LevelFilter, Metadata, Record};

use crate::budget;
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

/// What happens to a stream. `size` is how many bytes of a body there are, `end` whether nothing follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The request's headers have come.
    RequestHeaders { end: bool },
    /// More of the request's body has come.
    RequestBody { size: usize, end: bool },
    /// The request has ended with trailers.
    RequestTrailers,
    /// The answer's headers have come.
    ResponseHeaders { end: bool },
    /// More of the answer's body has come.
    ResponseBody { size: usize, end: bool },
    /// The answer has ended with trailers.
    ResponseTrailers,
    /// The access log is about to be written.
    Log,
    /// The stream has ended, in whatever way.
    Done,
}

impl Event {
    /// What becomes of the part if nobody can say, as there is no such stream or it is being called: no request goes on
    /// that no filter has seen.
    pub fn unseen(self) -> Action {
        match self {
            Event::RequestHeaders { .. } | Event::RequestBody { .. } | Event::RequestTrailers => Action::Pause,
            Event::ResponseHeaders { .. }
            | Event::ResponseBody { .. }
            | Event::ResponseTrailers
            | Event::Log
            | Event::Done => Action::Continue,
        }
    }
}

/// One stream, as a filter sees it. A filter says what it does on the events that it cares for; all are handed on as
/// values, for much of what is between Envoy and a filter is then the same code, which the processor need not fetch anew.
pub trait HttpContext {
    /// See [`Event::RequestHeaders`].
    fn on_http_request_headers(&mut self, _end: bool) -> Action {
        Action::Continue
    }

    /// See [`Event::RequestBody`].
    fn on_http_request_body(&mut self, _size: usize, _end: bool) -> Action {
        Action::Continue
    }

    /// See [`Event::RequestTrailers`].
    fn on_http_request_trailers(&mut self) -> Action {
        Action::Continue
    }

    /// See [`Event::ResponseHeaders`].
    fn on_http_response_headers(&mut self, _end: bool) -> Action {
        Action::Continue
    }

    /// See [`Event::ResponseBody`].
    fn on_http_response_body(&mut self, _size: usize, _end: bool) -> Action {
        Action::Continue
    }

    /// See [`Event::ResponseTrailers`].
    fn on_http_response_trailers(&mut self) -> Action {
        Action::Continue
    }

    /// See [`Event::Log`].
    fn on_log(&mut self) {}

    /// See [`Event::Done`].
    fn on_done(&mut self) {}

    /// Does what is to be done on an event: what is called, where all others say what that does.
    fn on(&mut self, event: Event) -> Action {
        match event {
            Event::RequestHeaders { end } => return self.on_http_request_headers(end),
            Event::RequestBody { size, end } => return self.on_http_request_body(size, end),
            Event::RequestTrailers => return self.on_http_request_trailers(),
            Event::ResponseHeaders { end } => return self.on_http_response_headers(end),
            Event::ResponseBody { size, end } => return self.on_http_response_body(size, end),
            Event::ResponseTrailers => return self.on_http_response_trailers(),
            Event::Log => self.on_log(),
            Event::Done => self.on_done(),
        }
        Action::Continue
    }
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
                Late::Log(context) => {
                    call(context, Event::Log);
                }
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
                stream.on(Event::Done);
            }
        }
        None => drop(ROOTS.with_borrow_mut(|roots| roots.remove(&context))),
    }
}

/// Tells a stream of an event. `STREAMS` is not borrowed meanwhile: what the stream asks of Envoy may call others.
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

/// A call of Envoy's that is for a stream.
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
    if log::set_logger(&EnvoyLog).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

/// Says which ABI this is.
#[no_mangle]
pub extern "C" fn proxy_abi_version_0_2_1() {}

/// Where Envoy puts what it hands over: a boxed slice, whose owner is whoever asked for it. Null if there is no memory
/// left for it: then the call that asked for it fails, and nothing else.
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

/// See [`Event::RequestHeaders`].
#[no_mangle]
pub extern "C" fn proxy_on_request_headers(context: u32, _: usize, end: u32) -> Action {
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

/// A callout has been answered, or has failed: then there are no headers. Whoever has sent it knows its number.
#[no_mangle]
pub extern "C" fn proxy_on_http_call_response(context: u32, token: u32, headers: usize, size: usize, _: usize) {
    run(context, || {
        guard::answered(token, headers, size);
        count::answered(token, size);
    });
}

/// See [`Event::Log`].
#[no_mangle]
pub extern "C" fn proxy_on_log(context: u32) {
    if !is_postponed(Late::Log(context)) {
        dispatch(context, Event::Log);
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
