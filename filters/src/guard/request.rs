//! A request that is being checked.

use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::guard::checks::{CheckOutcome, CheckPhase, CheckRun, CheckSubject, PassageText};
use sluice::guard::rewriting::BodyRewriting;
use sluice::guard::texts::Extracted;
use sluice::parsed_request::ChangedString;

use super::calls::PendingRun;
use super::config::Config;
use super::listener::{CheckResult, CheckTarget, Waiter};
use super::slices::{Unextracted, Unwritten};
use crate::host;
use crate::registry::SharedExchange;
use crate::replaced_body::{self, MAX_REPLACED};

/// Its texts, and the running checks.
pub(super) struct Request {
    pending: PendingRun,
    endpoint: Endpoint,
    texts: Extracted,
    body: Vec<u8>,
}

/// The next step of a request.
pub(super) enum Concluded {
    /// It passes unchanged.
    Passes,
    /// Its texts are rewritten first.
    Rewritten(Box<BodyRewriting>),
}

/// The longest rewritten body in bytes.
pub(super) const MAX_REWRITTEN: usize = MAX_REPLACED;

impl Request {
    /// Runs the checks on a request's texts; `None` if it has none.
    pub fn ask(
        config: &Config,
        subject: &CheckSubject<'_>,
        endpoint: Endpoint,
        (body, texts): (Vec<u8>, Extracted),
        (me, context): (&Waiter, u32),
    ) -> Option<Request> {
        if texts.passages.is_empty() {
            return None;
        }
        let asked = texts.passages.iter().map(PassageText::of).collect();
        let run = CheckRun::new(config.checks.clone(), subject, asked, &config.cache.borrow(), host::recent());
        let pending = PendingRun::open(config, run, CheckTarget::Request, me, context);
        Some(Request { pending, endpoint, texts, body })
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
                let rewriting = BodyRewriting::of_request(self.body, self.texts, passages);
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

/// The error for a request whose texts cannot be extracted.
pub(super) fn unreadable(unextracted: &Unextracted) -> ApiError {
    match unextracted {
        Unextracted::Unreadable(problem) => {
            ApiError::bad_request("invalid_json", None, format!("The request cannot be checked: {problem}."))
        }
        Unextracted::Busy => ApiError::busy_checking(),
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
pub(super) fn send_on((body, changes): (Vec<u8>, Vec<ChangedString>), shared: &SharedExchange) -> Result<(), ApiError> {
    if shared.borrow().parsed().is_some_and(|parsed| parsed.form.is_some()) {
        return shared.borrow_mut().rewrite(body, &changes);
    }
    if body.len() > MAX_REWRITTEN {
        return Err(refusal(&Unwritten::TooLarge));
    }
    replaced_body::send(&body, shared.borrow().original().length.is_some())?;
    shared.borrow_mut().rewrite(body, &changes)
}
