//! `usage`: reads the tokens the upstream reported as its answer passes, and counts every request.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use sluice::config;
use sluice::contract::NONE;
use sluice::usage::{Framing, Meter, Pass, Source, TokenUsage};

use crate::host::{self, Buffer, Headers};
use crate::metrics::{count_request, Labels};
use crate::registry::{self, Shared};
use crate::root::{self, Filter};
use crate::totals;

/// The filter.
pub fn filter() -> Box<dyn Filter> {
    root::filter(|bytes| config::none("usage", bytes), |_, _| Box::new(Usage { exchange: None, state: State::Waiting }))
}

/// What is known of the answer.
struct Usage {
    exchange: Option<Shared>,
    state: State,
}

// there is one for each stream, on the heap already
#[allow(clippy::large_enum_variant)]
enum State {
    /// No answer yet.
    Waiting,
    /// The answer's headers have passed; what tells its framing where there is no exchange.
    Begun { content_type: Option<String> },
    /// The answer's body is passing.
    Metering(Meter),
}

impl Usage {
    /// The meter for an answer that begins with `chunk`.
    fn meter(&self, chunk: &[u8], content_type: Option<&str>) -> Meter {
        let exchange = self.exchange.as_ref().map(|exchange| exchange.borrow());
        let framing = match (exchange.as_ref().and_then(|exchange| exchange.facts.as_ref()), content_type) {
            (Some(facts), _) => Framing::of_answer(facts.endpoint.dialect(), facts.stream, chunk),
            (None, content_type) => Framing::of_content_type(content_type.unwrap_or_default()),
        };
        Meter::new(framing, exchange.is_some_and(|exchange| exchange.injects_usage()))
    }

    /// Judges a stream that has ended: what the client is told if it was not complete.
    fn interruption(&self) -> Option<Vec<u8>> {
        let (State::Metering(meter), Some(exchange)) = (&self.state, &self.exchange) else {
            return None;
        };
        if meter.is_whole() {
            return None;
        }
        let mut exchange = exchange.borrow_mut();
        if exchange.encoded {
            return None;
        }
        let endpoint = exchange.facts.as_ref().filter(|facts| facts.stream)?.endpoint;
        exchange.passing?;
        exchange.interrupted = true;
        meter.interruption(endpoint)
    }

    /// What the answer said of its usage; `None` if there was no answer to a request like this.
    fn usage(&self, status: u16) -> Option<(TokenUsage, Source)> {
        let (State::Metering(meter), 200..=299) = (&self.state, status) else {
            return None;
        };
        let (tokens, source) = meter.finish();
        let unreadable = source != Source::Reported && host::header(Headers::Response, "content-encoding").is_some();
        Some((tokens, if unreadable { Source::Missing } else { source }))
    }
}

impl Context for Usage {}

impl HttpContext for Usage {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.exchange = registry::current();
        let content_type = match self.exchange {
            Some(_) => None,
            None => host::header(Headers::Response, "content-type"),
        };
        self.state = State::Begun { content_type };
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        let chunk = match (size, end) {
            (0, false) => return Action::Continue,
            (0, true) => Vec::new(),
            (size, _) => host::bytes(Buffer::ResponseBody, size).unwrap_or_default(),
        };
        if let State::Begun { content_type } = &self.state {
            self.state = State::Metering(self.meter(&chunk, content_type.as_deref()));
        }
        let State::Metering(meter) = &mut self.state else {
            return Action::Continue;
        };
        let replaced = match meter.chunk(&chunk, end) {
            Pass::Unchanged => None,
            Pass::Replace(bytes) if !end => {
                host::replace_bytes(Buffer::ResponseBody, bytes);
                return Action::Continue;
            }
            Pass::Replace(bytes) => Some(bytes.to_vec()),
        };
        let error = match end {
            true => self.interruption(),
            false => None,
        };
        match (replaced, error) {
            (None, None) => {}
            (Some(bytes), None) => {
                host::replace_bytes(Buffer::ResponseBody, &bytes);
            }
            (replaced, Some(error)) => {
                host::replace_bytes(Buffer::ResponseBody, &[replaced.unwrap_or(chunk), error].concat());
            }
        }
        Action::Continue
    }

    /// Every request ends here, whoever answered it and however it ended.
    fn on_log(&mut self) {
        let exchange = self.exchange.take().or_else(registry::current);
        let answered = exchange.as_ref().and_then(|exchange| exchange.borrow().answered);
        let status = answered.or_else(client_status).unwrap_or(0);
        let usage = self.usage(status);
        match exchange {
            Some(exchange) => {
                let mut exchange = exchange.borrow_mut();
                exchange.usage = usage;
                let (key, model, cluster) = exchange.labels();
                count_request(Labels { key, model, cluster }, status, usage);
                totals::count(&exchange);
            }
            None => count_request(Labels { key: NONE, model: NONE, cluster: NONE }, status, usage),
        }
    }
}

/// The status the client got from Envoy or a filter, in place of an upstream's answer.
fn client_status() -> Option<u16> {
    host::header(Headers::Response, ":status")?.parse().ok()
}
