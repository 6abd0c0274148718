//! A request that is being checked.

use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::guard::api::Failure;
use sluice::guard::checks::{CheckOutcome, CheckPhase, CheckRun, CheckSubject, PassageText};
use sluice::guard::rewriting::BodyRewriting;
use sluice::guard::texts;
use sluice::memory_budget::Purpose;

use super::calls::PendingRun;
use super::config::Config;
use super::listener::{CheckResult, CheckTarget, Waiter};
use super::slices::Unwritten;
use crate::budget;
use crate::host::{self, Buffer, Headers};
use crate::registry::SharedExchange;

/// Its texts, and the running checks.
pub(super) struct Request {
    pending: PendingRun,
    endpoint: Endpoint,
    passages: Vec<texts::Passage>,
    body: Vec<u8>,
}

/// The next step of a request.
pub(super) enum Concluded {
    /// It passes unchanged.
    Passes,
    /// Its texts are rewritten first.
    Rewritten(Box<BodyRewriting>),
}

/// The longest rewritten body in bytes: the size that envoy.yaml allows Envoy to buffer. (If that is less, Envoy
/// refuses the body.)
pub(super) const MAX_REWRITTEN: usize = 8 << 20;
/// The memory of a body relative to its size: as received, as texts, and in questions.
const COPIES: usize = 3;

impl Request {
    /// Runs the checks on a request's texts; `None` if it has none.
    ///
    /// # Errors
    /// The texts cannot be read.
    pub fn ask(
        config: &Config,
        subject: &CheckSubject<'_>,
        endpoint: Endpoint,
        exchange: &Exchange,
        (me, context): (&Waiter, u32),
    ) -> Result<Option<Request>, ApiError> {
        let size = exchange.parsed().map_or(0, |parsed| parsed.layout.length);
        let body = match exchange.whole_body() {
            _ if !budget::admits(Purpose::Check, size.saturating_mul(COPIES)) => None,
            Some(body) => Some(body.to_vec()),
            None => host::bytes(Buffer::RequestBody, usize::MAX),
        };
        let Some(body) = body else {
            return match config.fail(subject, Failure::Busy) {
                true => Err(ApiError::busy_checking()),
                false => Ok(None),
            };
        };
        let unreadable =
            |problem| ApiError::bad_request("invalid_json", None, format!("The request cannot be checked: {problem}."));
        let passages = texts::passages(&body).map_err(unreadable)?;
        if passages.is_empty() {
            return Ok(None);
        }
        let asked = passages.iter().map(PassageText::of).collect();
        let run = CheckRun::new(config.checks.clone(), subject, asked, &config.cache.borrow(), host::recent());
        let pending = PendingRun::open(config, run, CheckTarget::Request, me, context);
        Ok(Some(Request { pending, endpoint, passages, body }))
    }

    /// The running checks.
    pub fn check_run(&self) -> &CheckRun {
        &self.pending.run
    }

    /// Whether nothing is awaited.
    pub fn is_complete(&self) -> bool {
        self.pending.run.is_complete()
    }

    /// Adds an answer.
    pub fn receive(&mut self, config: &Config, question: usize, result: CheckResult) {
        self.pending.receive(config, question, result);
    }

    /// Applies the checks' outcome: flags the request, or starts to rewrite it.
    ///
    /// # Errors
    /// It must not be sent.
    pub fn conclude(self, shared: &SharedExchange) -> Result<Concluded, ApiError> {
        match self.pending.run.outcome() {
            Some(CheckOutcome::Pass) => Ok(Concluded::Passes),
            Some(CheckOutcome::Flagged(flags)) => {
                shared.borrow_mut().flag(flags);
                Ok(Concluded::Passes)
            }
            Some(CheckOutcome::Rewrite { passages, flags }) => {
                shared.borrow_mut().flag(flags);
                let rewriting = BodyRewriting::of_request(self.body, self.passages, passages);
                Ok(Concluded::Rewritten(Box::new(rewriting)))
            }
            Some(CheckOutcome::Refuse(refusal)) => {
                shared.borrow_mut().block(refusal.found());
                Err(refusal.error(CheckPhase::Request, self.endpoint.text_param()))
            }
            None => Err(ApiError::internal("The request's checks ended without a result.")),
        }
    }
}

/// The error for a request that cannot be rewritten.
pub(super) fn refusal(unwritten: &Unwritten) -> ApiError {
    match unwritten {
        Unwritten::TooMuch(problem) => {
            ApiError::bad_request("guard_too_much_to_hide", None, format!("The request has {problem}."))
        }
        Unwritten::TooLarge => {
            let message = "With its placeholders for personal data, the request is larger than the gateway accepts.";
            ApiError { status: 413, ..ApiError::bad_request("request_too_large", None, message) }
        }
        Unwritten::Busy => ApiError::busy_checking(),
    }
}

/// Replaces the client's body with the rewritten one. (Nothing is borrowed while Envoy takes it: if it is too much,
/// Envoy ends the stream at once.)
///
/// # Errors
/// It must not be sent.
pub(super) fn send_on(body: Vec<u8>, shared: &SharedExchange) -> Result<(), ApiError> {
    if body.len() > MAX_REWRITTEN {
        return Err(refusal(&Unwritten::TooLarge));
    }
    let has_length = shared.borrow().original().length.is_some();
    let replaced = host::replace_bytes(Buffer::RequestBody, &body)
        && (!has_length || host::set_header(Headers::Request, "content-length", &body.len().to_string()));
    if !replaced {
        return Err(ApiError::internal("The gateway could not rewrite the request."));
    }
    shared.borrow_mut().rewrite(body)
}
