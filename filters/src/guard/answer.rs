//! A whole answer under check: none of it passes before.

use std::cell::RefCell;
use std::rc::Weak;

use sluice::endpoint::Endpoint;
use sluice::error::ApiError;
use sluice::exchange::Exchange;
use sluice::guard::blocked;
use sluice::guard::checks::{Outcome, Phase, Refusal, Round, Spoken};
use sluice::guard::pii::Vault;
use sluice::guard::rewriting::rewrite_answer;
use sluice::guard::texts;

use super::calls::{Case, Heard};
use super::{subject, Config, Guard, Matter};
use crate::host::{self, Buffer};

/// The largest answer that is checked, in bytes.
const MAX_ANSWER: usize = 8 << 20;

/// What has come of it, and what is being found out about it.
pub(super) struct WholeAnswer {
    /// What Envoy calls its stream.
    context: u32,
    endpoint: Endpoint,
    checked: bool,
    body: Vec<u8>,
    too_large: bool,
    passages: Vec<texts::Passage>,
    /// Its texts cannot be told.
    unreadable: bool,
    case: Option<Case>,
    /// All of it has come.
    ended: bool,
    /// A check that has not been made refuses it.
    denied: bool,
}

impl WholeAnswer {
    /// An answer that begins. `checked`: otherwise it is only restored.
    pub fn new(endpoint: Endpoint, checked: bool, context: u32) -> Self {
        WholeAnswer {
            context,
            endpoint,
            checked,
            body: Vec::new(),
            too_large: false,
            passages: Vec::new(),
            unreadable: false,
            case: None,
            ended: false,
            denied: false,
        }
    }

    /// Takes a piece of the answer, which Envoy is left without.
    pub fn chunk(&mut self, end: bool, config: &Config, exchange: &Exchange, guard: &Weak<RefCell<Guard>>) {
        // all of it: the filter before this one may have let more go than has come
        let bytes = host::bytes(Buffer::ResponseBody, usize::MAX).unwrap_or_default();
        if !bytes.is_empty() {
            host::replace_bytes(Buffer::ResponseBody, &[]);
            self.too_large |= self.body.len() + bytes.len() > MAX_ANSWER;
            match self.too_large {
                true => self.body = Vec::new(),
                false => self.body.extend_from_slice(&bytes),
            }
        }
        if end && !self.ended {
            self.ended = true;
            self.ask(config, exchange, guard);
        }
    }

    fn ask(&mut self, config: &Config, exchange: &Exchange, guard: &Weak<RefCell<Guard>>) {
        let subject = subject(Phase::Response, exchange);
        match texts::answer_passages(&self.body) {
            Ok(passages) => self.passages = passages,
            Err(_) => self.unreadable = true,
        }
        if (self.unreadable || self.too_large) && self.checked {
            self.denied = config.denies(&subject);
        }
        if self.checked && !self.passages.is_empty() {
            let asked =
                self.passages.iter().map(|passage| Spoken { speaker: passage.speaker, text: passage.text.clone() });
            let asked = asked.collect();
            let round = Round::new(config.checks.clone(), &subject, asked, &config.known.borrow(), host::recent());
            self.case = Some(Case::open(config, round, Matter::Answer, guard, self.context));
        }
    }

    /// Takes in what a check says.
    pub fn hear(&mut self, config: &Config, question: usize, heard: &Heard) {
        if let Some(case) = &mut self.case {
            case.hear(config, question, heard);
        }
    }

    /// Whether nothing is left to wait for.
    pub fn is_complete(&self) -> bool {
        self.ended && self.case.as_ref().is_none_or(|case| case.round.is_complete())
    }

    /// What the client gets.
    ///
    /// # Errors
    /// What it gets instead.
    pub fn conclude(self, vault: &Vault) -> Result<Vec<u8>, ApiError> {
        if self.too_large || self.denied {
            return Err(ApiError::unchecked());
        }
        let outcome = self.case.as_ref().and_then(|case| case.round.outcome());
        let none = Vec::new();
        match outcome {
            Some(Outcome::Refuse(Refusal::Content { .. })) => Ok(blocked(self.endpoint, &self.body)),
            Some(Outcome::Refuse(refusal @ Refusal::Unavailable { .. })) => Err(refusal.error(Phase::Response, None)),
            Some(Outcome::Rewrite { passages, .. }) => Ok(rewrite_answer(&self.body, &self.passages, &passages, vault)),
            Some(Outcome::Pass | Outcome::Flagged(_)) | None if vault.is_empty() => Ok(self.body),
            Some(Outcome::Pass | Outcome::Flagged(_)) | None => {
                Ok(rewrite_answer(&self.body, &self.passages, &none, vault))
            }
        }
    }
}
