//! An answer of which nothing has reached the client yet.

use std::time::Duration;

use sluice::commit::{is_context_length_exceeded, is_whole, FirstEvent, Gate, MAX_HELD};
use sluice::contract::RETRY_HEADER;
use sluice::outcome::Outcome;

use crate::host::{self, text, Buffer, HeaderPairs};

/// What an answer's headers say, told in one pass.
#[derive(Default)]
pub(super) struct ResponseHead<'a> {
    /// Its status.
    pub status: u16,
    /// What it says it is.
    pub content_type: Option<&'a str>,
    /// How long it says it is, in bytes.
    pub length: Option<usize>,
    /// It comes in chunks.
    pub chunked: bool,
    /// Compressed, although the upstream was asked not to: nothing can be told from the bytes.
    pub encoded: bool,
    /// The upstream has set the mark that is this filter's own.
    pub asks_for_retry: bool,
}

impl<'a> ResponseHead<'a> {
    /// Reads the headers.
    pub fn of(pairs: &'a HeaderPairs) -> Self {
        let mut head = ResponseHead::default();
        for (name, value) in pairs.iter() {
            match name {
                b":status" => head.status = text(value).parse().unwrap_or(0),
                b"content-type" => head.content_type = Some(text(value)),
                b"content-length" => head.length = text(value).parse().ok(),
                b"transfer-encoding" => head.chunked = true,
                b"content-encoding" => head.encoded = value != b"identity",
                name => head.asks_for_retry |= name == RETRY_HEADER.as_bytes(),
            }
        }
        head
    }
}

/// An answer that is held.
pub(super) struct Held {
    /// Its status.
    pub status: u16,
    /// What for.
    pub until: Until,
    /// How many bytes of it have been looked at.
    pub seen: usize,
}

/// What an answer is held for.
pub(super) enum Until {
    /// A stream's first event.
    Event(FirstEvent),
    /// All of a JSON answer, if it is no longer than `limit`. Its end alone may not show that it is whole.
    Whole { limit: usize, verify: bool },
    /// The first event of a stream that is translated.
    Translated,
    /// All of a JSON answer that is translated, if it is no longer than `limit`.
    Document { limit: usize },
    /// All of an error that is translated.
    Foreign { retry_after: Option<Duration> },
    /// All of an error that may say that the request is too long for the model.
    Error,
}

/// What becomes of an answer that is held.
pub(super) enum Next {
    /// It is held on.
    Hold,
    /// It passes to the client.
    Pass,
    /// It is no answer; another target may try.
    Fail(Outcome),
    /// The request is too long for the model.
    TooLong,
}

impl Held {
    /// Looks at all of it so far, `size` bytes; `end`: that is all.
    pub fn look(&mut self, size: usize, end: bool) -> Next {
        let outcome_of_error = Outcome::of_status(self.status);
        let before = std::mem::replace(&mut self.seen, size);
        match &mut self.until {
            Until::Event(first) => {
                let bytes = match size.saturating_sub(before) {
                    0 => Vec::new(),
                    new => host::bytes_from(Buffer::ResponseBody, before, new).unwrap_or_default(),
                };
                match first.chunk(&bytes, end) {
                    Gate::Hold => Next::Hold,
                    Gate::Commit => Next::Pass,
                    Gate::Reject(_) => Next::Fail(Outcome::BadStream),
                }
            }
            Until::Whole { limit, verify } => match (end, size <= *limit) {
                (_, false) => Next::Pass,
                (false, true) => Next::Hold,
                (true, true) if *verify && !is_whole(&body(size)) => Next::Fail(Outcome::Reset),
                (true, true) => Next::Pass,
            },
            // these are looked at where they are translated
            Until::Translated | Until::Document { .. } | Until::Foreign { .. } => Next::Hold,
            Until::Error if !end && size <= MAX_HELD => Next::Hold,
            Until::Error if is_context_length_exceeded(&body(size)) => Next::TooLong,
            Until::Error => Next::Fail(outcome_of_error),
        }
    }
}

fn body(size: usize) -> Vec<u8> {
    host::bytes(Buffer::ResponseBody, size).unwrap_or_default()
}
