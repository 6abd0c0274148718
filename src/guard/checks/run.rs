//! One check run: some texts, the checks that apply to them, and one outcome.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::cache::ResultCache;
use super::check::{Backend, Check, CheckPhase, CheckSubject};
use super::extracts::{extracts, groups, Extract};
use super::outcome::{CheckOutcome, CheckRefusal, CheckVerdict, Flag, PassageRewrite};
use super::part::Part;
use super::passage_text::PassageText;
use super::Guard;
use crate::callout::Callout;
use crate::guard::api::{self, Failure, Readings};
use crate::order::by_number;

/// The recipient of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A service.
    Service(Callout),
    /// The patterns of the check with this index in [`Guard::checks`].
    Patterns(usize),
}

/// A question to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Identifies the answer.
    pub id: usize,
    /// The recipient.
    pub ask: Ask,
}

/// A sent question.
struct Asked {
    /// Index in [`CheckRun::parts`].
    part: usize,
    /// Its texts.
    extracts: Vec<Extract>,
    open: bool,
}

/// A run of checks over some texts. It is a state machine: all questions are sent at once, answers arrive in any order,
/// and everything after the end is ignored.
///
/// A check that blocks ends the run at once. A failed check does not, even with `deny`: a block is more useful to the
/// sender than a failure.
pub struct CheckRun {
    guard: Rc<Guard>,
    phase: CheckPhase,
    passages: Vec<PassageText>,
    parts: Vec<Part>,
    asked: Vec<Asked>,
}

impl CheckRun {
    /// Runs the checks that apply to `passages`. Cached results are not asked again.
    pub fn new(
        guard: Rc<Guard>,
        subject: &CheckSubject<'_>,
        passages: Vec<PassageText>,
        cache: &ResultCache,
        now: Duration,
    ) -> CheckRun {
        let mut run = CheckRun { guard, phase: subject.phase, passages, parts: Vec::new(), asked: Vec::new() };
        let guard = Rc::clone(&run.guard);
        for (index, check) in guard.checks.iter().enumerate() {
            if check.applies(subject) {
                run.add(index, check, cache, now);
            }
        }
        run
    }

    fn add(&mut self, index: usize, check: &Check, cache: &ResultCache, now: Duration) {
        let (mut part, mut unknown, mut length) = (Part::new(index), Vec::new(), 0_usize);
        for (at, passage) in self.passages.iter().enumerate() {
            if !check.hears(self.phase, passage.speaker) || passage.given || passage.text.trim().is_empty() {
                continue;
            }
            // no service gets longer texts, and hashing them takes long
            let is_short = passage.text.len() <= self.guard.max_text;
            let known = unknown.len();
            for extract in extracts(check, at, &passage.text, is_short) {
                let text = extract.of(passage);
                let may_be_cached = is_short && check.backend.is_remembered();
                match may_be_cached.then(|| cache.get(index, text, now)).flatten() {
                    Some(reading) => part.readings.push((at, reading.clone().from(passage.fresh))),
                    None => unknown.push(extract),
                }
            }
            if unknown.len() > known {
                length = length.saturating_add(passage.text.len());
            }
        }
        if part.readings.is_empty() && unknown.is_empty() {
            return; // no texts to check
        }
        match groups(check, unknown, length > self.guard.max_text) {
            Ok(groups) => {
                part.open = groups.len();
                let place = self.parts.len();
                self.asked.extend(groups.into_iter().map(|extracts| Asked { part: place, extracts, open: true }));
            }
            Err(failure) => part.failure = Some(failure),
        }
        part.verdict = part.tell(check, self.phase, &self.passages);
        self.parts.push(part);
    }

    /// The open questions: each needs an answer or a failure. Empty when the run is complete.
    pub fn questions(&self) -> Vec<Question> {
        if self.is_complete() {
            return Vec::new();
        }
        let open = self.asked.iter().enumerate().filter(|(_, asked)| asked.open);
        open.filter_map(|(id, asked)| {
            let index = self.parts.get(asked.part)?.check;
            let ask = match &self.guard.checks.get(index)?.backend {
                Backend::Service(api, service) => {
                    Ask::Service(api::callout(api, service, self.phase.name(), &self.texts(asked)))
                }
                Backend::Patterns(_) => Ask::Patterns(index),
            };
            Some(Question { id, ask })
        })
        .collect()
    }

    /// The texts of a question.
    pub fn texts_of(&self, id: usize) -> Vec<&str> {
        self.asked.get(id).map(|asked| self.texts(asked)).unwrap_or_default()
    }

    fn texts(&self, asked: &Asked) -> Vec<&str> {
        let text = |extract: &Extract| self.passages.get(extract.passage).map_or("", |passage| extract.of(passage));
        asked.extracts.iter().map(text).collect()
    }

    /// Reads a service's answer.
    ///
    /// # Errors
    /// Why the answer is invalid.
    pub fn read(&self, id: usize, status: u16, body: &[u8]) -> Result<Readings, Failure> {
        let check = self.asked.get(id).and_then(|asked| self.parts.get(asked.part)).map(|part| part.check);
        match check.and_then(|index| self.guard.checks.get(index)).map(|check| &check.backend) {
            Some(Backend::Service(api, _)) => api::read(api, &self.texts_of(id), status, body),
            Some(Backend::Patterns(_)) | None => Err(Failure::Shape),
        }
    }

    /// Stores an answer, and caches it. A late or repeated answer changes nothing.
    pub fn answered(&mut self, id: usize, answer: Result<Readings, Failure>, cache: &mut ResultCache, now: Duration) {
        if self.is_complete() {
            return;
        }
        let Some(asked) = self.asked.get_mut(id).filter(|asked| asked.open) else {
            return;
        };
        let Some(part) = self.parts.get_mut(asked.part) else {
            return;
        };
        let Some(check) = self.guard.checks.get(part.check) else {
            return;
        };
        let is_remembered = check.backend.is_remembered();
        asked.open = false;
        part.open = part.open.saturating_sub(1);
        part.ended = Some(now);
        let fits = |answer: &Readings| answer.readings().len() == asked.extracts.len();
        match answer.and_then(|answer| fits(&answer).then_some(answer).ok_or(Failure::Shape)) {
            Ok(answer) => {
                for (extract, reading) in asked.extracts.iter().zip(answer.into_readings()) {
                    let Some(passage) = self.passages.get(extract.passage) else {
                        continue;
                    };
                    if is_remembered {
                        cache.insert(part.check, extract.of(passage), &reading, now);
                    }
                    part.readings.push((extract.passage, reading.from(passage.fresh)));
                }
                by_number(&mut part.readings, |(at, _)| *at); // by passage, whichever came first
            }
            // of several, the first by name, so that the order of arrival does not matter
            Err(failure) => part.failure = Some(part.failure.map_or(failure, |other| other.min(failure))),
        }
        part.verdict = part.tell(check, self.phase, &self.passages);
    }

    /// The subject.
    pub fn phase(&self) -> CheckPhase {
        self.phase
    }

    /// Whether the run is complete.
    pub fn is_complete(&self) -> bool {
        self.refused_content().is_some() || self.parts.iter().all(|part| part.open == 0)
    }

    /// The outcome. `None` before the end.
    pub fn outcome(&self) -> Option<CheckOutcome> {
        if !self.is_complete() {
            return None;
        }
        let refusal = self.refused_content().or_else(|| self.refused_failure());
        if let Some(refusal) = refusal {
            return Some(CheckOutcome::Refuse(refusal));
        }
        let flags = self.flags();
        let passages = self.rewritings();
        Some(match (passages.iter().all(Vec::is_empty), flags.is_empty()) {
            (true, true) => CheckOutcome::Pass,
            (true, false) => CheckOutcome::Flagged(flags),
            (false, _) => CheckOutcome::Rewrite { passages, flags },
        })
    }

    /// The checks' verdicts with their times, for the stats, without checks that had not finished at the end of the
    /// run. A check without questions has no time.
    pub fn verdicts(&self) -> Vec<(&Check, CheckVerdict, Option<Duration>)> {
        let parts = self.parts.iter().filter_map(|part| Some((part, self.guard.checks.get(part.check)?)));
        parts.filter_map(|(part, check)| Some((check, part.verdict.clone()?, part.ended))).collect()
    }

    /// The verdicts with an effect.
    fn effective(&self) -> impl Iterator<Item = (&Part, &Check, CheckVerdict)> {
        let parts = self.parts.iter().filter_map(|part| Some((part, self.guard.checks.get(part.check)?)));
        parts.filter(|(_, check)| !check.dry_run).filter_map(|(part, check)| Some((part, check, part.verdict.clone()?)))
    }

    fn refused_content(&self) -> Option<CheckRefusal> {
        self.effective().find_map(|(_, check, verdict)| match verdict {
            CheckVerdict::Block { category } => Some(CheckRefusal::Content { check: check.name.clone(), category }),
            CheckVerdict::Unrewritable { category, blocks: true } => Some(CheckRefusal::Content {
                check: check.name.clone(),
                category: format!("{category} in signed content"),
            }),
            CheckVerdict::Unrewritable { blocks: false, .. }
            | CheckVerdict::Pass
            | CheckVerdict::Flag { .. }
            | CheckVerdict::Rewrite(_)
            | CheckVerdict::Failed { .. } => None,
        })
    }

    fn refused_failure(&self) -> Option<CheckRefusal> {
        self.effective().find_map(|(_, check, verdict)| match verdict {
            CheckVerdict::Failed { failure, allowed: false } => {
                Some(CheckRefusal::Unavailable { check: check.name.clone(), failure })
            }
            CheckVerdict::Failed { allowed: true, .. }
            | CheckVerdict::Pass
            | CheckVerdict::Flag { .. }
            | CheckVerdict::Block { .. }
            | CheckVerdict::Unrewritable { .. }
            | CheckVerdict::Rewrite(_) => None,
        })
    }

    fn flags(&self) -> Vec<Flag> {
        let flags = self.effective().filter_map(|(_, check, verdict)| match verdict {
            CheckVerdict::Flag { category } => Some(Flag { check: check.name.clone(), category }),
            CheckVerdict::Pass
            | CheckVerdict::Block { .. }
            | CheckVerdict::Rewrite(_)
            | CheckVerdict::Unrewritable { .. }
            | CheckVerdict::Failed { .. } => None,
        });
        flags.collect()
    }

    fn rewritings(&self) -> Vec<Vec<PassageRewrite>> {
        let mut passages = vec![Vec::new(); self.passages.len()];
        for (part, _, verdict) in self.effective() {
            let CheckVerdict::Rewrite(mode) = verdict else {
                continue;
            };
            for (at, reading) in &part.readings {
                let is_open = self.passages.get(*at).is_some_and(|passage| !passage.signed);
                if let Some(passage) = passages.get_mut(*at).filter(|_| is_open) {
                    passage.extend(PassageRewrite::of(reading, mode));
                }
            }
        }
        passages
    }
}

impl fmt::Debug for CheckRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.asked.iter().filter(|asked| asked.open).count();
        write!(f, "CheckRun({}, {} passages, {open} questions open)", self.phase.name(), self.passages.len())
    }
}
