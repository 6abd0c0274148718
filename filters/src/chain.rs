//! Several filters in one: `root_id: auth+router+usage`.
//!
//! Each filter Envoy calls into costs a context and nine calls per request. Filters that stand next to each
//! other anyway can be configured as one; here they are run in order for requests, in reverse for answers,
//! as Envoy would run them.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use sluice::config::{self, ConfigError};

use crate::registry::{self, Shared};
use crate::root::Filter;

/// The filters whose names `root_id` joins by `+`; `None` if one of them cannot be joined with others:
/// `attempt` stands elsewhere, and `guard` waits for others' answers.
pub fn filter(root_id: &str) -> Option<Box<dyn Filter>> {
    let member = |name: &str| match name {
        "auth" | "router" | "usage" => Some((name.to_owned(), super::filter(name)?)),
        _ => None,
    };
    let members = root_id.split('+').map(member).collect::<Option<Vec<_>>>()?;
    Some(Box::new(Chain { root_id: root_id.to_owned(), members }))
}

struct Chain {
    root_id: String,
    members: Vec<(String, Box<dyn Filter>)>,
}

impl Filter for Chain {
    fn configure(&mut self, bytes: &[u8]) -> Result<(), ConfigError> {
        let names: Vec<&str> = self.members.iter().map(|(name, _)| name.as_str()).collect();
        let parts = config::split(&self.root_id, bytes, &names)?;
        self.members.iter_mut().zip(parts).try_for_each(|((_, member), part)| member.configure(&part))
    }

    fn open(&self, context: u32) -> Box<dyn HttpContext> {
        Box::new(Stream {
            members: self.members.iter().map(|(_, member)| member.open(context)).collect(),
            passed: 0,
            exchange: None,
        })
    }
}

/// One stream through the members.
struct Stream {
    members: Vec<Box<dyn HttpContext>>,
    /// How many members have let the request's headers pass; the next one holds them.
    passed: usize,
    exchange: Option<Shared>,
}

impl Stream {
    /// Runs a callback with the exchange at hand, so that no member has to ask Envoy for it.
    fn run<T>(&mut self, callback: impl FnOnce(&mut Self) -> T) -> T {
        let exchange = self.exchange.take();
        let (result, exchange) = registry::within(exchange, || callback(self));
        self.exchange = exchange;
        result
    }

    /// Has the members that have not seen the headers yet see them, until one of them holds the request.
    fn forward(&mut self, mut headers: impl FnMut(&mut dyn HttpContext) -> Action) -> Action {
        while let Some(member) = self.members.get_mut(self.passed) {
            if headers(member.as_mut()) != Action::Continue {
                return Action::Pause;
            }
            self.passed += 1;
        }
        Action::Continue
    }

    /// Hands a later part of the request to the member that holds it, if one does; once that one lets go,
    /// the members after it see the headers, and those that hold on to them this part.
    fn resume(&mut self, mut part: impl FnMut(&mut dyn HttpContext) -> Action) -> Action {
        let Some(holder) = self.members.get_mut(self.passed) else {
            return Action::Continue;
        };
        if part(holder.as_mut()) != Action::Continue {
            return Action::Pause;
        }
        self.passed += 1;
        self.forward(|member| match member.on_http_request_headers(0, false) {
            Action::Continue => Action::Continue,
            _ => part(member),
        })
    }

    /// Passes a part of the answer through the members, inner to outer. None of them holds an answer.
    fn answer(&mut self, mut part: impl FnMut(&mut dyn HttpContext) -> Action) -> Action {
        for member in self.members.iter_mut().rev() {
            part(member.as_mut());
        }
        Action::Continue
    }
}

impl Context for Stream {
    fn on_done(&mut self) -> bool {
        self.run(|stream| {
            let mut done = true;
            for member in &mut stream.members {
                done &= member.on_done(); // each of them has to be told
            }
            done
        })
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, end: bool) -> Action {
        self.run(|stream| stream.forward(|member| member.on_http_request_headers(count, end)))
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.run(|stream| stream.resume(|member| member.on_http_request_body(size, end)))
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.run(|stream| stream.resume(|member| member.on_http_request_trailers(count)))
    }

    fn on_http_response_headers(&mut self, count: usize, end: bool) -> Action {
        self.run(|stream| stream.answer(|member| member.on_http_response_headers(count, end)))
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.run(|stream| stream.answer(|member| member.on_http_response_body(size, end)))
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        self.run(|stream| stream.answer(|member| member.on_http_response_trailers(count)))
    }

    fn on_log(&mut self) {
        self.run(|stream| stream.members.iter_mut().for_each(|member| member.on_log()));
    }
}
