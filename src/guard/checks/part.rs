//! One check's part in a run, and its verdict.

use std::time::Duration;

use super::check::{Action, Check, CheckPhase, OnFailure, Unrewritable};
use super::outcome::{CheckVerdict, RewriteMode};
use super::passage_text::PassageText;
use crate::guard::api::{Failure, Reading};
use crate::guard::pii::is_placeholder;
use crate::order::by_text;

/// One check's part in the run.
pub(super) struct Part {
    /// Index in [`Guard::checks`].
    pub(super) check: usize,
    /// The readings so far, by passage.
    pub(super) readings: Vec<(usize, Reading)>,
    /// The number of questions without an answer.
    pub(super) open: usize,
    /// When the last answer arrived; `None` before, and if there were no questions.
    pub(super) ended: Option<Duration>,
    /// The first failure.
    pub(super) failure: Option<Failure>,
    /// What it says of them all, once that is known: to tell it may mean to go through very many findings.
    pub(super) verdict: Option<CheckVerdict>,
}

impl Part {
    /// The part of the check with this index.
    pub(super) fn new(check: usize) -> Self {
        Part { check, readings: Vec::new(), open: 0, ended: None, failure: None, verdict: None }
    }

    /// `None` while it is open. Something that blocks is known before all answers are there.
    pub(super) fn tell(&self, check: &Check, phase: CheckPhase, passages: &[PassageText]) -> Option<CheckVerdict> {
        let rewrites = matches!(check.action, Action::Mask | Action::Restore);
        let is_signed = |at: &usize| rewrites && passages.get(*at).is_some_and(|passage| passage.signed);
        let open = self.readings.iter().filter(|(at, _)| !is_signed(at));
        let category = open.clone().find_map(|(_, reading)| reading.category());
        if let (Action::Block, Some(category)) = (check.action, category) {
            return Some(CheckVerdict::Block { category: category.to_owned() });
        }
        // nothing says where it is, so it cannot be rewritten
        if let Some(category) = self.readings.iter().find_map(|(_, reading)| reading.placeless()).filter(|_| rewrites) {
            return Some(CheckVerdict::Block { category: category.to_owned() });
        }
        if self.open > 0 {
            return None;
        }
        if let Some(failure) = self.failure {
            return Some(CheckVerdict::Failed { failure, allowed: check.on_failure == OnFailure::Allow });
        }
        let signed = self.readings.iter().filter(|(at, _)| is_signed(at));
        if let Some(found) = signed.clone().find_map(|(_, reading)| reading.category()) {
            let blocks = match (phase, check.unrewritable, check.action) {
                (CheckPhase::Response, ..) | (CheckPhase::Request, Some(Unrewritable::Allow), _) => false,
                (CheckPhase::Request, None, Action::Restore) => {
                    let mut signed: Vec<&str> = signed
                        .flat_map(|reading| values(reading, passages))
                        .filter(|value| !is_placeholder(value))
                        .collect();
                    by_text(&mut signed, |value| value);
                    signed.dedup();
                    let mut hidden = vec![false; signed.len()];
                    for value in open.flat_map(|reading| values(reading, passages)) {
                        if let Some(is_hidden) = signed.binary_search(&value).ok().and_then(|at| hidden.get_mut(at)) {
                            *is_hidden = true;
                        }
                    }
                    hidden.contains(&false)
                }
                (CheckPhase::Request, Some(Unrewritable::Block) | None, _) => true,
            };
            if blocks || category.is_none() {
                return Some(CheckVerdict::Unrewritable { category: found.to_owned(), blocks });
            }
        }
        Some(match (category, check.action, phase) {
            (None, ..) => CheckVerdict::Pass,
            (Some(_), Action::Restore, CheckPhase::Request) => CheckVerdict::Rewrite(RewriteMode::Restore),
            (Some(_), Action::Restore, CheckPhase::Response) | (Some(_), Action::Mask, _) => {
                CheckVerdict::Rewrite(RewriteMode::Mask)
            }
            (Some(category), Action::Flag, _) => CheckVerdict::Flag { category: category.to_owned() },
            (Some(category), Action::Block, _) => CheckVerdict::Block { category: category.to_owned() },
        })
    }
}

/// The parts of a passage with findings.
fn values<'a>((at, reading): &'a (usize, Reading), passages: &'a [PassageText]) -> impl Iterator<Item = &'a str> {
    let text = passages.get(*at).map_or("", |passage| passage.text.as_str());
    reading.findings().iter().filter_map(move |finding| text.get(finding.span.clone()))
}
