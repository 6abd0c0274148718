//! The types of events and actions between Envoy and a filter.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;

/// What Envoy does with the part of a message that a callback was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// It continues.
    Continue = 0,
    /// It is held; of a body, as much as Envoy buffers: more than that ends the stream with an error.
    Pause = 1,
}

/// A stream's event. `size` is the number of available body bytes, `end` whether nothing follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The request's headers have arrived.
    RequestHeaders { end: bool },
    /// Further bytes of the request's body have arrived.
    RequestBody { size: usize, end: bool },
    /// The request has ended with trailers.
    RequestTrailers,
    /// The event that a filter waited for: the request may continue. Envoy is not involved.
    Resume,
    /// The answer's headers have arrived.
    ResponseHeaders { end: bool },
    /// Further bytes of the answer's body have arrived.
    ResponseBody { size: usize, end: bool },
    /// The answer has ended with trailers.
    ResponseTrailers,
    /// The access log is about to be written.
    Log,
    /// The stream has ended, in any way.
    Done,
}

impl Event {
    /// The default action if the stream does not exist or is being called: no request passes that no filter has seen.
    pub fn unseen(self) -> Action {
        match self {
            Event::RequestHeaders { .. } | Event::RequestBody { .. } | Event::RequestTrailers | Event::Resume => {
                Action::Pause
            }
            Event::ResponseHeaders { .. }
            | Event::ResponseBody { .. }
            | Event::ResponseTrailers
            | Event::Log
            | Event::Done => Action::Continue,
        }
    }
}

/// One stream, as a filter sees it. A filter implements the events that it needs. There is one dispatch path with
/// events as values, which causes fewer instruction-cache misses.
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

    /// See [`Event::Resume`]. The default continues to hold.
    fn on_resume(&mut self) -> Action {
        Action::Pause
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

    /// Dispatches an event: the only place that maps events to methods.
    fn on(&mut self, event: Event) -> Action {
        match event {
            Event::RequestHeaders { end } => return self.on_http_request_headers(end),
            Event::RequestBody { size, end } => return self.on_http_request_body(size, end),
            Event::RequestTrailers => return self.on_http_request_trailers(),
            Event::Resume => return self.on_resume(),
            Event::ResponseHeaders { end } => return self.on_http_response_headers(end),
            Event::ResponseBody { size, end } => return self.on_http_response_body(size, end),
            Event::ResponseTrailers => return self.on_http_response_trailers(),
            Event::Log => self.on_log(),
            Event::Done => self.on_done(),
        }
        Action::Continue
    }
}

/// Consecutive numbers, which clients cannot choose. Multiplied by the golden ratio, all bits of them differ (Knuth,
/// The Art of Computer Programming, 6.4).
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

/// A map with numbers as keys.
pub type ByNumber<N, T> = HashMap<N, T, BuildHasherDefault<Number>>;
