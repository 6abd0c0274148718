//! Answers in the form of a text endpoint.
//!
//! The answer passes all filters as the chat answer that it is. Its form is changed where it leaves the last of them: in
//! the entry that has taken the request in, or in the guard, if that holds the answer longer than Envoy's call.

use sluice::error::{ApiError, Shape};
use sluice::memory_budget::Purpose;

use crate::budget;
use crate::host::{self, Buffer, Headers};
use crate::registry::SharedExchange;
use crate::reply;
use crate::types::{Action, Event};

/// The change of an answer's form.
#[derive(Debug, Default)]
pub struct Reshaping {
    /// Whether the answer is held until it is complete.
    holds: bool,
}

impl Reshaping {
    /// Handles a part of the answer, after the filters have: they have decided on `action`.
    pub fn on(&mut self, event: Event, exchange: &SharedExchange, action: Action) -> Action {
        match event {
            Event::ResponseHeaders { end } => {
                let reshapes = exchange.try_borrow().is_ok_and(|exchange| exchange.reshapes_answer());
                match reshapes {
                    true => self.headers(end, exchange, action),
                    false => action,
                }
            }
            Event::ResponseBody { end, .. } if self.holds => self.body(end, exchange, action),
            Event::ResponseTrailers if self.holds => self.body(true, exchange, action),
            _ => action,
        }
    }

    #[cold]
    fn headers(&mut self, end: bool, exchange: &SharedExchange, action: Action) -> Action {
        let succeeded = host::header(Headers::Response, ":status").is_some_and(|status| status.starts_with('2'));
        let kind = host::header(Headers::Response, "content-type").unwrap_or_default();
        let is_json = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
        if end || !succeeded || !is_json {
            // an error, or a stream: both pass as they are
            if let Ok(mut exchange) = exchange.try_borrow_mut() {
                exchange.leave_answer();
            }
            return action;
        }
        host::remove_header(Headers::Response, "content-length");
        self.holds = true;
        Action::Pause
    }

    #[cold]
    fn body(&mut self, end: bool, exchange: &SharedExchange, action: Action) -> Action {
        let reshapes = exchange.try_borrow().is_ok_and(|exchange| exchange.reshapes_answer());
        if !reshapes || action == Action::Pause {
            // a filter has the bytes, or has changed their form
            self.holds = reshapes;
            return action;
        }
        if !end {
            return Action::Pause;
        }
        self.holds = false;
        let answer = match budget::receive(Purpose::Answer, Buffer::ResponseBody, 0, usize::MAX) {
            Ok(body) => reshaped(Some(exchange), body),
            Err(budget::NoMemory) => Err(ApiError::out_of_memory()),
        };
        match answer {
            Ok(body) => {
                host::replace_bytes(Buffer::ResponseBody, &body);
            }
            Err(error) => reply::error_in_place(&error, Shape::OpenAi),
        }
        Action::Continue
    }
}

/// The answer in the form of its endpoint; as it is, if that has happened, or the endpoint is another.
///
/// # Errors
/// It is not a chat answer.
pub fn reshaped(exchange: Option<&SharedExchange>, answer: Vec<u8>) -> Result<Vec<u8>, ApiError> {
    let exchange = exchange.and_then(|exchange| exchange.try_borrow_mut().ok());
    match exchange.filter(|exchange| exchange.reshapes_answer()) {
        Some(mut exchange) => exchange.reshape_answer(&answer, host::now()).ok_or_else(ApiError::unreadable),
        None => Ok(answer),
    }
}
