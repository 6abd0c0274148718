//! A whole body, rewritten in parts, so that whoever rewrites a large one can do something else in between.

use std::ops::Range;

use super::text::TextRewriting;
use super::work::Work;
use crate::guard::checks::{Marked, Rewriting};
use crate::guard::pii::{Vault, VaultError};
use crate::guard::texts::{echoes, Kind, Passage};
use crate::guard::Speaker;
use crate::order::by_number;

/// So many bytes are copied in the time in which one byte of text is rewritten.
const COPIED: usize = 64;
/// What it takes to look at a passage, or at a finding.
const LOOK: usize = 1;

/// A request's body, or an answer, on its way to being rewritten.
///
/// ```
/// use sluice::guard::checks::{Marked, Rewriting};
/// use sluice::guard::pii::{Entity, Patterns, Vault};
/// use sluice::guard::rewriting::BodyRewriting;
/// use sluice::guard::texts::passages;
///
/// let body = br#"{"input": "Write to jo@example.com."}"#;
/// let found = passages(body).unwrap();
/// let patterns = Patterns::new(Entity::ALL, &[]).unwrap();
/// let marks = found.iter().map(|text| vec![Marked::new(patterns.find(&text.text), Rewriting::Mask)]).collect();
/// let mut rewriting = BodyRewriting::of_request(body.to_vec(), found, marks);
/// let mut vault = Vault::default();
/// while !rewriting.step(&mut vault, 1).unwrap() {}
/// assert_eq!(rewriting.finish(), br#"{"input": "Write to <EMAIL_ADDRESS>."}"#);
/// ```
pub struct BodyRewriting {
    body: Vec<u8>,
    passages: Vec<Passage>,
    marks: Vec<Vec<Marked>>,
    is_answer: bool,
    stage: Stage,
    /// What is written of the texts so far, in bytes.
    written: usize,
    splices: Vec<(Range<usize>, String)>,
    out: Vec<u8>,
}

enum Stage {
    /// The vault learns what is hidden: this finding of this check in this passage comes next.
    Names {
        passage: usize,
        check: usize,
        finding: usize,
    },
    /// The vault learns what looks like a placeholder, from here on.
    Reserve {
        passage: usize,
        at: usize,
    },
    /// The texts are written: first what the application says, in requests. That is the same in each of them, and so are its
    /// numbers if it comes first: caches live by that.
    Texts {
        first: bool,
        passage: usize,
        text: Option<Box<TextRewriting>>,
    },
    /// What says the texts again is taken out.
    Echoes,
    /// The body is put together.
    Splice {
        next: usize,
        copied: usize,
    },
    Done,
}

impl BodyRewriting {
    /// A request. `marks` has what was found in each of its passages.
    pub fn of_request(body: Vec<u8>, passages: Vec<Passage>, marks: Vec<Vec<Marked>>) -> Self {
        let hides = marks.iter().flatten().any(|marked| marked.rewriting() == Rewriting::Restore);
        let stage = match hides {
            true => Stage::Names { passage: 0, check: 0, finding: 0 },
            false => Stage::texts(true),
        };
        Self::new(body, passages, marks, false, stage)
    }

    /// A whole answer: its texts are masked as `marks` say, and what the vault keeps is brought back. What says the texts
    /// again, token by token, is taken out of an answer that is masked.
    pub fn of_answer(body: Vec<u8>, passages: Vec<Passage>, marks: Vec<Vec<Marked>>) -> Self {
        Self::new(body, passages, marks, true, Stage::texts(false))
    }

    fn new(
        body: Vec<u8>,
        passages: Vec<Passage>,
        marks: Vec<Vec<Marked>>,
        is_answer: bool,
        stage: Stage,
    ) -> BodyRewriting {
        let (splices, out) = (Vec::new(), Vec::new());
        BodyRewriting { body, passages, marks, is_answer, stage, written: 0, splices, out }
    }

    /// Goes on for about as long as it takes to rewrite so many bytes of text. The vault is the same each time. Whether
    /// that was the end.
    ///
    /// # Errors
    /// There is more to hide than the vault takes; the texts must not go on.
    pub fn step(&mut self, vault: &mut Vault, size: usize) -> Result<bool, VaultError> {
        let mut work = Work::new(size);
        while work.is_left() {
            let stage = std::mem::replace(&mut self.stage, Stage::Done);
            self.stage = match stage {
                Stage::Done => return Ok(true),
                Stage::Names { passage, check, finding } => self.names((passage, check, finding), vault, &mut work),
                Stage::Reserve { passage, at } => self.reserve(passage, at, vault, &mut work)?,
                Stage::Texts { first, passage, text } => self.texts(first, passage, text, vault, &mut work)?,
                Stage::Echoes => self.echoes(&mut work),
                Stage::Splice { next, copied } => self.splice(next, copied, &mut work),
            };
        }
        Ok(matches!(self.stage, Stage::Done))
    }

    fn names(&self, place: (usize, usize, usize), vault: &mut Vault, work: &mut Work) -> Stage {
        let (mut passage, mut check, mut finding) = place;
        if place == (0, 0, 0) {
            vault.only(std::iter::empty());
        }
        while let (Some(marks), true) = (self.marks.get(passage), work.is_left()) {
            work.spend(LOOK);
            let Some(marked) = marks.get(check) else {
                (passage, check, finding) = (passage + 1, 0, 0);
                continue;
            };
            match marked.findings().get(finding).filter(|_| marked.rewriting() == Rewriting::Restore) {
                Some(found) => {
                    vault.also(&found.entity);
                    finding += 1;
                }
                None => (check, finding) = (check + 1, 0),
            }
        }
        match passage == self.marks.len() {
            true => Stage::Reserve { passage: 0, at: 0 },
            false => Stage::Names { passage, check, finding },
        }
    }

    fn reserve(&self, passage: usize, at: usize, vault: &mut Vault, work: &mut Work) -> Result<Stage, VaultError> {
        let Some(found) = self.passages.get(passage) else {
            return Ok(Stage::texts(true));
        };
        // what is sealed has placeholders of ours: it came from the model, and nothing was brought back in it
        let end = match is_open(found) {
            true => at.saturating_add(work.left()).min(found.text.len()),
            false => found.text.len(),
        };
        if is_open(found) {
            vault.reserve_part(&found.text, at..end)?;
            work.spend(end - at);
        }
        work.spend(LOOK);
        Ok(match end == found.text.len() {
            true => Stage::Reserve { passage: passage + 1, at: 0 },
            false => Stage::Reserve { passage, at: end },
        })
    }

    fn texts(
        &mut self,
        first: bool,
        passage: usize,
        text: Option<Box<TextRewriting>>,
        vault: &mut Vault,
        work: &mut Work,
    ) -> Result<Stage, VaultError> {
        let Some(found) = self.passages.get(passage) else {
            if first {
                return Ok(Stage::texts(false));
            }
            self.passages = Vec::new();
            return Ok(Stage::Echoes);
        };
        let mut text = match text {
            Some(text) => text,
            None => {
                work.spend(LOOK);
                let is_turn = self.is_answer || first == (found.speaker == Speaker::System);
                let marks =
                    self.marks.get(passage).filter(|marks| marks.iter().any(|marked| !marked.findings().is_empty()));
                let restored = self.is_answer && !vault.is_empty() && vault.may_restore(found.source());
                if !is_turn || !is_open(found) || marks.is_none() && !restored {
                    return Ok(Stage::Texts { first, passage: passage + 1, text: None });
                }
                let marks = marks.cloned().unwrap_or_default();
                Box::new(TextRewriting::new(found, marks, self.is_answer.then_some(&*vault)))
            }
        };
        let before = text.written();
        let done = text.step(found, vault, work)?;
        self.written += text.written() - before;
        if !done {
            return Ok(Stage::Texts { first, passage, text: Some(text) });
        }
        if let Some(json) = text.into_json() {
            self.splices.push((found.span.clone(), json));
            self.splices.extend(found.more.iter().map(|rest| (rest.clone(), "\"\"".to_owned())));
        }
        Ok(Stage::Texts { first, passage: passage + 1, text: None })
    }

    fn echoes(&mut self, work: &mut Work) -> Stage {
        let masked = self.marks.iter().flatten().any(|marked| !marked.findings().is_empty());
        self.marks = Vec::new();
        let may_echo = match self.is_answer {
            true => masked,
            false => !self.splices.is_empty() && memchr::memmem::find(&self.body, b"logprobs").is_some(),
        };
        if may_echo {
            self.splices.extend(echoes(&self.body, self.is_answer).unwrap_or_default());
            work.spend(self.body.len());
        }
        if self.splices.is_empty() {
            self.out = std::mem::take(&mut self.body);
            return Stage::Done;
        }
        by_number(&mut self.splices, |(range, _)| range.start);
        let added: usize = self.splices.iter().map(|(range, json)| json.len().saturating_sub(range.len())).sum();
        self.out.reserve(self.body.len() + added);
        Stage::Splice { next: 0, copied: 0 }
    }

    fn splice(&mut self, next: usize, copied: usize, work: &mut Work) -> Stage {
        let Some((range, json)) = self.splices.get_mut(next) else {
            self.out.extend_from_slice(self.body.get(copied..).unwrap_or_default());
            self.body = Vec::new();
            return Stage::Done;
        };
        let json = std::mem::take(json);
        work.spend(LOOK + json.len() / COPIED);
        // of those that overlap the later is left out
        let is_whole = range.start <= range.end && range.end <= self.body.len();
        let Some(before) = self.body.get(copied..range.start).filter(|_| is_whole) else {
            return Stage::Splice { next: next + 1, copied };
        };
        work.spend(before.len() / COPIED);
        self.out.extend_from_slice(before);
        self.out.extend_from_slice(json.as_bytes());
        Stage::Splice { next: next + 1, copied: range.end }
    }

    /// How many bytes are written of the texts so far: the body will not be much smaller.
    pub fn written(&self) -> usize {
        self.written
    }

    /// The body, rewritten, once that is done.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

impl Stage {
    fn texts(first: bool) -> Self {
        Stage::Texts { first, passage: 0, text: None }
    }
}

/// Whether a text may be rewritten.
fn is_open(passage: &Passage) -> bool {
    passage.kind != Kind::Sealed
}
