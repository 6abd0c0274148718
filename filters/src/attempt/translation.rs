//! The translation of a passing answer, with metering, and the judgement at its end.

use sluice::endpoint::Endpoint;
use sluice::memory_budget::Purpose;
use sluice::outcome::Outcome;
use sluice::response_gate::{FirstEvent, Gate};
use sluice::routing::HOLD_JSON;
use sluice::translate::{Dropped, Pair, Reply, Stream};
use sluice::wire_names::{stats, DROPPED_HEADER};

use super::held::{ResponseHead, Until};
use crate::budget::{self, NoMemory};
use crate::host::{self, Buffer, Headers};
use crate::registry::SharedExchange;
use crate::stream_ends;

/// The translation of an answer.
pub(super) struct Translation {
    pub pair: Pair,
    dropped: Dropped,
    pub reply: Reply,
    /// The stream's translation, if the answer is one.
    stream: Option<Stream>,
}

impl Translation {
    /// The translation for the answer to a request that `pair` has translated.
    pub fn new(pair: Pair, dropped: Dropped, reply: Reply) -> Self {
        Translation { pair, dropped, reply, stream: None }
    }

    /// What an answer with a status of success is held for.
    ///
    /// # Errors
    /// It is not a valid answer to such a request.
    pub fn until(&self, head: &ResponseHead<'_>, end: bool, stream: bool, hold: usize) -> Result<Until, Outcome> {
        let is_stream = || FirstEvent::new(self.pair.target(true), head.content_type).is_ok();
        let limit = hold.max(HOLD_JSON);
        if end || head.encoded || head.length.is_some_and(|length| !stream && length > limit) || stream && !is_stream()
        {
            return Err(Outcome::BadStream);
        }
        Ok(if stream { Until::Translated } else { Until::Document { limit } })
    }

    /// More of a stream passes.
    pub fn pass(&mut self, exchange: &SharedExchange, size: usize, end: bool) {
        let ending = end.then(|| self.pair.target(true));
        let Some(stream) = &mut self.stream else {
            return;
        };
        if ending.is_some_and(|endpoint| may_end_without_marker(exchange, endpoint)) {
            stream.may_end_without_marker();
        }
        let bytes = receive(0, size);
        feed(stream, bytes.as_deref().map_err(|error| *error), end);
        meter(exchange, &bytes.unwrap_or_default(), end, stream.has_failed());
        if let Some(endpoint) = ending {
            judge_end(exchange, endpoint);
        }
        if end && stream.unknown_reason() {
            count_unknown_reason(exchange);
        }
        if size > 0 || !stream.written().is_empty() {
            host::replace_bytes(Buffer::ResponseBody, stream.written());
        }
        stream.clear();
    }

    /// The stream's translation.
    pub fn stream(&mut self) -> &mut Stream {
        let (pair, reply) = (self.pair, &self.reply);
        self.stream.get_or_insert_with(|| pair.stream(reply))
    }

    pub fn write_head(&self, content_type: &str, length: Option<usize>) {
        host::set_header(Headers::Response, "content-type", content_type);
        match length {
            Some(length) => host::set_header(Headers::Response, "content-length", &length.to_string()),
            None => host::remove_header(Headers::Response, "content-length"),
        };
        if let Some(dropped) = self.dropped.header() {
            host::set_header(Headers::Response, DROPPED_HEADER, dropped);
        }
    }
}

/// Translates a stream, within the free memory.
pub(super) fn feed(stream: &mut Stream, bytes: Result<&[u8], NoMemory>, end: bool) -> Gate {
    let was_starved = stream.is_starved();
    stream.leave_room(budget::room(Purpose::Answer));
    match bytes {
        Ok(bytes) => {
            let gate = stream.chunk(bytes, end);
            if stream.is_starved() && !was_starved {
                budget::refuse(Purpose::Answer);
            }
            gate
        }
        Err(NoMemory) => stream.starve(),
    }
}

/// What of the provider's answer is metered.
pub(super) fn meter(exchange: &SharedExchange, bytes: &[u8], end: bool, failed: bool) {
    let mut exchange = exchange.borrow_mut();
    if let Some(meter) = exchange.provider_meter_mut() {
        meter.leave_room(budget::room(Purpose::Answer));
        meter.chunk(bytes, end);
    }
    if failed {
        exchange.interrupt();
    }
}

/// Whether a stream of the target's may end without saying that it is complete.
pub(super) fn may_end_without_marker(exchange: &SharedExchange, endpoint: Endpoint) -> bool {
    let exchange = exchange.borrow();
    exchange.upstream().is_some_and(|upstream| !stream_ends::is_strict(upstream, endpoint))
}

/// Judges a translated stream that has ended and has been metered. If it had its last event, remembers that this server
/// sends one. If it had none, and nothing interrupted it, the stream counts as complete.
pub(super) fn judge_end(exchange: &SharedExchange, endpoint: Endpoint) {
    let mut exchange = exchange.borrow_mut();
    let passes = !exchange.is_interrupted();
    let Some((upstream, meter)) = exchange.upstream_and_meter() else {
        return;
    };
    if meter.says_its_end() {
        stream_ends::learn(upstream, endpoint);
    } else if passes && meter.is_interrupted() {
        meter.take_for_whole(); // its translation is complete
        exchange.end_without_marker();
    }
}

/// This is rare, so the counter is not kept.
#[cold]
pub(super) fn count_unknown_reason(exchange: &SharedExchange) {
    let exchange = exchange.borrow();
    let (_, _, cluster) = exchange.labels();
    if let Some(counter) = host::define_counter(&stats::unknown_finish_reasons(cluster)) {
        host::increment(counter, 1);
    }
}

/// The received answer, from `start` on.
pub(super) fn receive(start: usize, size: usize) -> Result<Vec<u8>, NoMemory> {
    budget::receive(Purpose::Answer, Buffer::ResponseBody, start, size)
}
