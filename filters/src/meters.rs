//! The meter that reads the usage of an answer.

use sluice::parsed_request::ParsedRequest;
use sluice::response_gate::Document;
use sluice::usage::{Format, Framing, Meter};

use crate::registry::SharedExchange;
use crate::traced_answer::begins_events;

/// The meter for an answer that begins with `chunk`.
pub fn of_answer(exchange: Option<&SharedExchange>, chunk: &[u8], content_type: Option<&str>) -> Meter {
    let exchange = exchange.map(|exchange| exchange.borrow());
    let framing = match (exchange.as_ref().and_then(|exchange| exchange.parsed()), content_type) {
        (Some(parsed), _) if parsed.is_passed() => {
            let format = exchange.as_ref().map_or(Format::Auto, |exchange| exchange.format());
            return passed_meter(parsed, chunk).with_format(format);
        }
        (Some(parsed), _) => {
            // of speech, another field asks for events
            let streams = parsed.stream || !parsed.endpoint.answers_in_json() && begins_events(chunk);
            Framing::of_answer(parsed.endpoint.dialect(), streams, chunk)
        }
        (None, content_type) => Framing::of_content_type(content_type.unwrap_or_default()),
    };
    let format = exchange.as_ref().map_or(Format::Auto, |exchange| exchange.format());
    let meter = Meter::new(framing, exchange.as_ref().is_some_and(|exchange| exchange.injects_usage()));
    let unjudged = exchange.as_ref().filter(|exchange| exchange.is_unjudged());
    match unjudged.and_then(|exchange| exchange.parsed()) {
        Some(parsed) => meter.judged(parsed.endpoint, Document::is_answer),
        None => meter,
    }
    .with_format(format)
}

/// The meter for an answer on a further path that begins with `chunk`: it reads what is recognised as JSON or as events,
/// unless the request only looked something up. What is looked up may repeat usage that has counted before.
#[cold]
fn passed_meter(parsed: &ParsedRequest, chunk: &[u8]) -> Meter {
    let is_events = begins_events(chunk);
    let is_known = is_events || chunk.trim_ascii_start().starts_with(b"{");
    let mut meter = Meter::new(if is_events { Framing::Sse } else { Framing::Json }, false);
    if parsed.choices == 0 || !is_known {
        meter.give_up();
    }
    meter
}
