//! Bodies of refused requests.
//!
//! Over HTTP/1 a client is answered at once, and reads the answer after it has sent its body. Over HTTP/2 Envoy resets
//! a stream that it has answered before its end, and clients that are still sending, such as curl, report the reset
//! instead of the answer. So there the body is read first and dropped.

use crate::host::{self, Buffer};
use crate::incoming::RefusedRequest;
use crate::reply;
use crate::types::Action;

/// Bodies up to this length arrive at once, before a client can be answered.
const SHORT: usize = 16 * 1024;
/// The longest body that is read; clients that send more are answered before its end.
const LONGEST: usize = 16 << 20;

/// A refused request whose body is still arriving.
pub struct RefusedBody {
    refusal: RefusedRequest,
    /// So much may still come.
    left: usize,
}

impl RefusedBody {
    /// Refuses a request at its headers: has its body come, and keeps what the client is told then; or, where none must be
    /// let come, answers the client at once and returns `None`.
    pub fn refuse(refusal: RefusedRequest, end: bool) -> Option<Self> {
        match RefusedBody::of(refusal, end) {
            Ok(body) => Some(body),
            Err(refusal) => {
                reply::error(&refusal.error, refusal.shape);
                None
            }
        }
    }

    /// The body of a request that is refused at its headers.
    ///
    /// # Errors
    /// There is none that must be let come; the client is to be answered at once.
    fn of(refusal: RefusedRequest, end: bool) -> Result<Self, RefusedRequest> {
        // over HTTP/2 a body may say nothing of its length
        let comes = !end && refusal.length.is_none_or(|length| (SHORT..=LONGEST).contains(&length));
        // if memory is short, the body is not read
        if !comes || refusal.error.status == 503 || is_http1() {
            return Err(refusal);
        }
        Ok(RefusedBody { refusal, left: LONGEST })
    }

    /// Drops further bytes; at the end it answers the client, and returns `true`.
    pub fn drop_part(&mut self, size: usize, end: bool) -> bool {
        if size > 0 {
            host::replace_bytes(Buffer::RequestBody, b"");
        }
        self.left = self.left.saturating_sub(size);
        let ends = end || self.left == 0;
        if ends {
            self.reply();
        }
        ends
    }

    /// Answers the client.
    pub fn reply(&self) -> Action {
        reply::error(&self.refusal.error, self.refusal.shape)
    }
}

fn is_http1() -> bool {
    host::property("request\0protocol").is_none_or(|protocol| protocol.starts_with(b"HTTP/1"))
}
