//! Reads what traces tell of an answer besides its usage, as it passes.

use sluice::endpoint::Dialect;
use sluice::usage::{Framing, ResponseDetails};

use crate::registry::SharedExchange;

/// Reads the next bytes of an answer; `end` with the last ones.
pub fn note(details: &mut Option<Box<ResponseDetails>>, exchange: Option<&SharedExchange>, chunk: &[u8], end: bool) {
    if details.is_none() && !chunk.is_empty() {
        let exchange = exchange.map(|exchange| exchange.borrow());
        let dialect = exchange.as_ref().and_then(|exchange| Some(exchange.parsed()?.endpoint.dialect()));
        let streams = exchange.as_ref().is_some_and(|exchange| exchange.streams()) || begins_events(chunk);
        let framing = Framing::of_answer(dialect.unwrap_or(Dialect::OpenAi), streams, chunk);
        *details = Some(Box::new(ResponseDetails::new(framing)));
    }
    if let Some(details) = details {
        details.chunk(chunk, end);
    }
}

/// Whether an answer begins like a stream of events.
pub fn begins_events(chunk: &[u8]) -> bool {
    let start = chunk.trim_ascii_start();
    start.starts_with(b"data:") || start.starts_with(b"event:")
}
