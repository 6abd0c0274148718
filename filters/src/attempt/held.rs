//! An answer while nothing of it has reached the client.

use std::time::Duration;

use sluice::endpoint::Endpoint;
use sluice::health::Blame;
use sluice::memory_budget::Purpose;
use sluice::outcome::Outcome;
use sluice::response_gate::{is_context_length_exceeded, Document, Fault, FirstEvent, Gate, Refusal, MAX_HELD};
use sluice::routing::Ending;
use sluice::usage::{Format, Framing, Meter};
use sluice::wire_names::RETRY_HEADER;

use super::stalled::Released;
use crate::budget::{self, NoMemory};
use crate::host::{self, text, Buffer, HeaderPairs, Headers};

/// Answer headers about the gateway's own account, or with the provider's addresses: they must not reach the client.
const PRIVATE: [&str; 6] = [
    "location",
    "www-authenticate",
    "proxy-authenticate",
    "authentication-info",
    "proxy-authentication-info",
    RETRY_HEADER,
];

/// Prefixes of headers that only the gateway writes.
const OWN_HEADERS: &[u8] = b"x-sluice-";

/// Removes the gateway's own headers from an answer's trailers, which are rare.
pub(super) fn clean_trailers() {
    for (name, _) in host::headers(Headers::ResponseTrailers).iter().filter(|(name, _)| name.starts_with(OWN_HEADERS)) {
        host::remove_header(Headers::ResponseTrailers, text(name));
    }
}

/// An answer's headers, read in one pass.
#[derive(Default)]
pub(super) struct ResponseHead<'a> {
    /// Its status.
    pub status: u16,
    /// Its content type.
    pub content_type: Option<&'a str>,
    /// Its content length, in bytes.
    pub length: Option<usize>,
    /// Whether it is compressed, although the gateway asked for an uncompressed one: then its bytes cannot be read.
    pub encoded: bool,
    /// Those of its headers that must not reach the client: one bit each.
    private: u8,
    /// Further ones: headers that only the gateway writes.
    reserved: Vec<&'a str>,
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
                b"content-encoding" => head.encoded = value != b"identity",
                name => {
                    if let Some(bit) = PRIVATE.iter().position(|private| private.as_bytes() == name) {
                        head.private |= 1 << bit;
                    } else if name.starts_with(OWN_HEADERS) {
                        head.reserved.push(text(name));
                    }
                }
            }
        }
        head
    }

    /// Whether it says that it is JSON.
    pub fn is_json(&self) -> bool {
        self.content_type.is_some_and(|kind| Framing::of_content_type(kind) == Framing::Json && kind.contains("json"))
    }

    /// Whether it says that it is no stream.
    pub fn is_whole(&self) -> bool {
        self.content_type.is_some_and(|kind| Framing::of_content_type(kind) == Framing::Json)
    }

    /// Removes the headers that must not reach the client.
    pub fn remove_private(&self) {
        for name in &self.reserved {
            host::remove_header(Headers::Response, name);
        }
        for (bit, name) in PRIVATE.iter().enumerate() {
            if self.private >> bit & 1 == 1 {
                host::remove_header(Headers::Response, name);
            }
        }
    }
}

/// An answer that is held.
pub(super) struct Held {
    /// Its status.
    pub status: u16,
    /// The retry delay from the provider.
    pub retry_after: Option<Duration>,
    /// What it is held for.
    pub until: Until,
    /// How many of its bytes have been read.
    pub seen: usize,
    /// Whether it was released after the maximum time, if there is one.
    pub released: Option<Released>,
}

impl Held {
    /// Whether it was released.
    pub fn is_released(&self) -> bool {
        self.released.as_ref().is_some_and(|released| released.get())
    }
}

/// What an answer is held for.
pub(super) enum Until {
    /// A stream's first event.
    Event(FirstEvent),
    /// A complete JSON answer, if it is not longer than `limit`.
    /// `metered`: how its usage is read, if it is.
    Whole { limit: usize, endpoint: Endpoint, encoded: bool, metered: Option<Format> },
    /// The first event of a translated stream.
    Translated,
    /// A complete translated JSON answer, if it is not longer than `limit`.
    Document { limit: usize },
    /// A complete translated error.
    Foreign,
    /// A complete error: it may show its cause, or that the request is too long for the model.
    Error,
    /// A complete answer that is not a stream, although one was requested: it may be an error, with the same
    /// information.
    Unstreamed,
}

/// The decision about a held answer.
pub(super) enum HeldDecision {
    /// It stays held.
    Hold,
    /// It passes to the client.
    Pass,
    /// The same, and its usage has been read.
    PassMetered(Box<Meter>),
    /// The same, and it must be judged from the passing bytes.
    PassUnjudged,
    /// It is an error; another target can be tried. Without one, it passes to the client.
    Fail(Ending),
    /// It is unreadable for clients; another target can be tried.
    Discard(Ending),
    /// The request is too long for the model.
    TooLong,
}

impl Held {
    /// Judges the answer so far, `size` bytes; `end`: it is complete. `model`: the target's name of it. Without memory
    /// to read it, it passes unchanged.
    pub fn look(&mut self, size: usize, end: bool, model: &str) -> HeldDecision {
        let before = std::mem::replace(&mut self.seen, size);
        match &mut self.until {
            Until::Event(first) => {
                let Ok(bytes) = receive(before, size.saturating_sub(before)) else {
                    return HeldDecision::Pass;
                };
                match first.chunk(&bytes, end) {
                    Gate::Hold => HeldDecision::Hold,
                    Gate::Commit => HeldDecision::Pass,
                    Gate::Reject(Fault::NotAStream) => {
                        self.until = Until::Unstreamed;
                        self.look(size, end, model)
                    }
                    Gate::Reject(Fault::ErrorEvent) => {
                        let refusal = first.refusal(model);
                        HeldDecision::Fail(self.ending(refusal, Outcome::BadStream))
                    }
                    Gate::Reject(Fault::EmptyStream | Fault::Garbage) => {
                        HeldDecision::Discard(self.ending(None, Outcome::BadStream))
                    }
                }
            }
            Until::Whole { limit, endpoint, encoded, metered } => match (end, size <= *limit, *encoded) {
                (_, false, false) => HeldDecision::PassUnjudged,
                (_, false, true) | (true, true, true) => HeldDecision::Pass,
                (false, true, _) => HeldDecision::Hold,
                (true, true, false) => {
                    let Ok(body) = receive(0, size) else {
                        return HeldDecision::Pass;
                    };
                    let meter = metered.map(|format| meter(&body, format));
                    let document = match &meter {
                        Some(meter) => Document::judge_metered(*endpoint, &body, meter),
                        None => Document::judge(*endpoint, &body),
                    };
                    match document {
                        Document::Answer => meter.map_or(HeldDecision::Pass, HeldDecision::PassMetered),
                        Document::Error | Document::Broken => self.reported(&body, model, Outcome::BadResponse),
                    }
                }
            },
            // translated answers are judged in their own module
            Until::Translated | Until::Document { .. } | Until::Foreign => HeldDecision::Hold,
            Until::Unstreamed if !end && size <= MAX_HELD => HeldDecision::Hold,
            Until::Unstreamed => match receive(0, size.min(MAX_HELD)) {
                Ok(body) => self.reported(&body, model, Outcome::BadStream),
                Err(NoMemory) => HeldDecision::Pass,
            },
            Until::Error if !end && size <= MAX_HELD => HeldDecision::Hold,
            Until::Error => {
                let body = receive(0, size.min(MAX_HELD)).unwrap_or_default(); // without a body the status must do
                if matches!(self.status, 400 | 413) && is_context_length_exceeded(&body) {
                    return HeldDecision::TooLong;
                }
                let refusal = Refusal::judge(self.status, &body, model);
                HeldDecision::Fail(self.ending(Some(refusal), refusal.outcome))
            }
        }
    }

    /// Judges an invalid answer with status 200 by the error that it reports.
    fn reported(&self, body: &[u8], model: &str, otherwise: Outcome) -> HeldDecision {
        if is_context_length_exceeded(body) {
            return HeldDecision::TooLong;
        }
        let ending = self.ending(Refusal::judge_reported(body, model), otherwise);
        match ending.outcome {
            Outcome::ClientError => HeldDecision::Fail(ending),
            _ => HeldDecision::Discard(ending),
        }
    }

    /// The attempt's outcome; `otherwise`: if the answer does not show it. A stream that fails because of its server is
    /// a bad stream, whatever its error says.
    pub fn ending(&self, refusal: Option<Refusal>, otherwise: Outcome) -> Ending {
        let pause = refusal.and_then(|refusal| refusal.pause);
        let (outcome, blame) = match refusal {
            Some(refusal) => match (refusal.outcome, otherwise) {
                (Outcome::ServerError, Outcome::BadStream) => (Outcome::BadStream, refusal.blame),
                (outcome, _) => (outcome, refusal.blame),
            },
            None => (otherwise, Blame::Cluster),
        };
        Ending { outcome, status: self.status, retry_after: self.retry_after.or(pause), blame, connect: None }
    }
}

/// The meter of a complete JSON answer.
fn meter(body: &[u8], format: Format) -> Box<Meter> {
    let mut meter = Box::new(Meter::new(Framing::Json, false).with_format(format));
    meter.leave_room(budget::room(Purpose::Answer));
    meter.chunk(body, true);
    meter
}

fn receive(start: usize, size: usize) -> Result<Vec<u8>, NoMemory> {
    budget::receive(Purpose::Answer, Buffer::ResponseBody, start, size)
}
