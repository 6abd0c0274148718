//! A complete answer that is being checked: it passes only after the checks.

use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::guard::api::Failure;
use sluice::guard::blocked;
use sluice::guard::checks::{CheckOutcome, CheckPhase, CheckRefusal, CheckRun, PassageText};
use sluice::guard::rewriting::BodyRewriting;
use sluice::guard::texts::{Extracted, Extraction};
use sluice::memory_budget::Purpose;

use super::calls::PendingRun;
use super::config::{subject, Config};
use super::listener::{CheckResult, CheckTarget, Waiter};
use super::slices::{self, Unextracted};
use crate::budget;
use crate::host::{self, Buffer};
use crate::registry::SharedExchange;

/// The largest answer that is checked, in bytes.
const MAX_ANSWER: usize = 4 << 20;
/// The same if larger answers pass. It is smaller, because the piece that exceeds it also passes at once, and Envoy
/// must not get more than envoy.yaml allows it to buffer.
const MAX_IF_PASSING: usize = 1 << 20;

/// An answer's received part, and its running checks.
pub(super) struct WholeAnswer {
    /// Envoy's number of its stream.
    context: u32,
    endpoint: Endpoint,
    checked: bool,
    /// Whether it passes if it is too large; otherwise the rest is dropped.
    passes: bool,
    body: Vec<u8>,
    /// The extraction of its texts, until it has ended.
    extraction: Option<Extraction>,
    texts: Extracted,
    pending: Option<PendingRun>,
    /// Whether it is complete.
    ended: bool,
    /// Whether it is too large, or refused because a check failed: none of it is kept.
    denied: bool,
}

/// The client's answer.
pub(super) enum Concluded {
    /// These bytes.
    Body(Vec<u8>),
    /// The rewritten answer, later.
    Rewritten(Box<BodyRewriting>),
}

/// The decision about a piece.
pub(super) enum Taken {
    /// It is held.
    Held,
    /// It passes, and so does the rest. Envoy must not get this much before the headers have passed.
    Unchecked(Vec<u8>),
    /// It is too large to hold, and is to be read in pieces.
    Large(Vec<u8>),
}

impl WholeAnswer {
    /// A new answer, to be `checked`, or only restored; `passes`: also if it is too large for that.
    pub fn new(endpoint: Endpoint, checked: bool, passes: bool, context: u32) -> Self {
        WholeAnswer {
            context,
            endpoint,
            checked,
            passes,
            body: Vec::new(),
            extraction: None,
            texts: Extracted::default(),
            pending: None,
            ended: false,
            denied: false,
        }
    }

    /// Takes a piece of the answer out of Envoy's buffer.
    pub fn chunk(&mut self, end: bool, config: &Config, exchange: &SharedExchange, me: &Waiter) -> Taken {
        // all of it: the previous filter may have released more than has just arrived
        let bytes = host::bytes(Buffer::ResponseBody, usize::MAX).unwrap_or_default();
        if budget::was_starved() {
            self.denied = true; // an unchecked piece
            self.body = Vec::new();
            host::replace_bytes(Buffer::ResponseBody, &[]);
        }
        if !bytes.is_empty() {
            if !self.denied {
                let most = if self.passes { MAX_IF_PASSING } else { MAX_ANSWER };
                self.body.extend_from_slice(&bytes);
                let short = !budget::admits(Purpose::Check, 0);
                if (self.body.len() > most || short) && !end {
                    if self.endpoint.answers_at_length() {
                        host::replace_bytes(Buffer::ResponseBody, &[]);
                        return Taken::Large(std::mem::take(&mut self.body));
                    }
                    if self.checked {
                        let failure = if short { Failure::Busy } else { Failure::TooLarge };
                        config.fail(&subject(CheckPhase::Response, &exchange.borrow()), failure);
                    }
                    let body = std::mem::take(&mut self.body);
                    if self.passes {
                        host::replace_bytes(Buffer::ResponseBody, &[]);
                        return Taken::Unchecked(body);
                    }
                    self.denied = true;
                }
            }
            host::replace_bytes(Buffer::ResponseBody, &[]);
        }
        if end && !self.ended {
            self.ended = true;
            if !self.denied {
                self.extraction = Some(Extraction::of_answer());
                self.extract(config, &exchange.borrow(), me);
            }
        }
        Taken::Held
    }

    /// Extracts the texts for one slice, and runs the checks on them once that has ended. Returns whether it has.
    pub fn extract(&mut self, config: &Config, exchange: &Exchange, me: &Waiter) -> bool {
        let Some(extraction) = &mut self.extraction else {
            return true;
        };
        let Some(extracted) = slices::extract(extraction, &self.body) else {
            return false;
        };
        let extraction = self.extraction.take().filter(|_| extracted.is_ok());
        self.texts = extraction.map(Extraction::finish).unwrap_or_default();
        let subject = subject(CheckPhase::Response, exchange);
        match extracted {
            Ok(()) => {}
            // its values cannot be restored
            Err(Unextracted::Busy) if !self.checked => self.denied = true,
            Err(unextracted) if self.checked => self.denied = unextracted.fail(config, &subject),
            Err(_) => {}
        }
        if self.checked && !self.texts.passages.is_empty() {
            let asked = self.texts.passages.iter().map(PassageText::of).collect();
            let run = CheckRun::new(config.checks.clone(), &subject, asked, &config.cache.borrow(), host::recent());
            self.pending = Some(PendingRun::open(config, run, CheckTarget::Answer, me, self.context));
        }
        true
    }

    /// Whether its texts are being extracted.
    pub fn is_extracting(&self) -> bool {
        self.extraction.is_some()
    }

    /// Whether some of it has arrived.
    pub fn has_begun(&self) -> bool {
        self.ended || self.denied || !self.body.is_empty()
    }

    /// Adds a check's result.
    pub fn receive(&mut self, config: &Config, question: usize, result: CheckResult) {
        if let Some(pending) = &mut self.pending {
            pending.receive(config, question, result);
        }
    }

    /// The running checks.
    pub fn check_run(&self) -> Option<&CheckRun> {
        self.pending.as_ref().map(|pending| &pending.run)
    }

    /// Whether nothing is awaited.
    pub fn is_complete(&self) -> bool {
        self.ended && self.extraction.is_none() && self.pending.as_ref().is_none_or(|pending| pending.run.is_complete())
    }

    /// The client's answer; `restored`: it has values to restore. The checks' verdicts are recorded.
    ///
    /// # Errors
    /// The error that it gets instead.
    pub fn conclude(self, restored: bool, exchange: &mut Exchange) -> Result<Concluded, ApiError> {
        if self.denied {
            return Err(ApiError::unchecked());
        }
        let found = match self.pending.as_ref().and_then(|pending| pending.run.outcome()) {
            Some(CheckOutcome::Refuse(refusal)) => {
                exchange.block(refusal.found());
                return match refusal {
                    CheckRefusal::Content { .. } if self.endpoint.answers_in_words() => {
                        Ok(Concluded::Body(blocked(self.endpoint, &self.body)))
                    }
                    CheckRefusal::Content { .. } | CheckRefusal::Unavailable { .. } => {
                        Err(refusal.error(CheckPhase::Response, None))
                    }
                };
            }
            Some(CheckOutcome::Rewrite { passages, flags }) => {
                exchange.flag(flags);
                passages
            }
            Some(CheckOutcome::Flagged(flags)) => {
                exchange.flag(flags);
                Vec::new()
            }
            Some(CheckOutcome::Pass) | None => Vec::new(),
        };
        Ok(match found.is_empty() && !restored {
            true => Concluded::Body(self.body),
            false => Concluded::Rewritten(Box::new(BodyRewriting::of_answer(self.body, self.texts, found))),
        })
    }
}
