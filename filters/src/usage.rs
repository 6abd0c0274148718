//! `usage`: reads the tokens the upstream reported as its answer passes, and counts every request.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::Action;
use sluice::config;
use sluice::usage::{Framing, Meter, Pass};

use crate::host::{self, Buffer, Headers};
use crate::metrics::{count_request, Labels};
use crate::registry;
use crate::root::Root;

/// The filter.
pub fn root() -> Box<dyn RootContext> {
    Root::new(|bytes| config::none("usage", bytes), |_| Box::new(Usage { state: State::Waiting }))
}

struct Usage {
    state: State,
}

enum State {
    /// No answer yet.
    Waiting,
    /// An answer without usage in it: an error, or one that came encoded.
    Unread,
    /// An answer is passing.
    Metering(Meter),
}

impl Context for Usage {}

impl HttpContext for Usage {
    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let status = host::header(Headers::Response, ":status").unwrap_or_default();
        if !status.starts_with('2') || host::header(Headers::Response, "content-encoding").is_some() {
            self.state = State::Unread;
            return Action::Continue;
        }
        let content_type = host::header(Headers::Response, "content-type").unwrap_or_default();
        let strip = registry::current().is_some_and(|exchange| exchange.borrow().injects_usage());
        self.state = State::Metering(Meter::new(Framing::of_content_type(&content_type), strip));
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        let State::Metering(meter) = &mut self.state else {
            return Action::Continue;
        };
        let chunk = match size {
            0 => Vec::new(),
            size => host::bytes(Buffer::ResponseBody, size).unwrap_or_default(),
        };
        match meter.chunk(&chunk, end) {
            Pass::Unchanged => {}
            Pass::Replace(bytes) => {
                host::replace_bytes(Buffer::ResponseBody, &bytes);
            }
        }
        Action::Continue
    }

    /// Every request ends here, whoever answered it and however it ended.
    fn on_log(&mut self) {
        let status = host::header(Headers::Response, ":status").and_then(|status| status.parse().ok()).unwrap_or(0);
        let usage = match &self.state {
            State::Metering(meter) => Some(meter.finish()),
            State::Waiting | State::Unread => None,
        };
        match registry::current() {
            Some(exchange) => {
                let mut exchange = exchange.borrow_mut();
                exchange.usage = usage;
                let (key, model, cluster) = exchange.labels();
                count_request(Labels { key, model, cluster }, status, usage);
            }
            None => count_request(Labels { key: "none", model: "none", cluster: "none" }, status, usage),
        }
    }
}
