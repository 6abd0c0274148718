//! What Envoy and a filter say to each other about a stream.

use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;

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
    /// What a filter has waited for is there: the request may go on. Envoy has no part in it.
    Resume,
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

    /// See [`Event::Resume`]. Who has waited for nothing holds what it holds.
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

    /// Does what is to be done on an event: what is called, where all others say what that does.
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
