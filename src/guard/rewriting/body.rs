//! Rewrites a complete body in parts, so that other work can run in between.

use std::ops::Range;

use super::text::TextRewriting;
use crate::guard::checks::{PassageRewrite, RewriteMode};
use crate::guard::pii::{Vault, VaultError};
use crate::guard::texts::{Echo, Extracted, Passage, PassageKind};
use crate::guard::work::Work;
use crate::guard::Speaker;
use crate::order::by_number;
use crate::parsed_request::ChangedString;

/// This many bytes are copied in the time that rewriting one byte of text takes.
const COPIED: usize = 64;
/// The cost of reading a passage or a finding.
const LOOK: usize = 1;

/// A request's body, or an answer, that is being rewritten.
///
/// ```
/// use sluice::guard::checks::{PassageRewrite, RewriteMode};
/// use sluice::guard::pii::{Entity, Patterns, Vault};
/// use sluice::guard::rewriting::BodyRewriting;
/// use sluice::guard::texts::Extraction;
///
/// let body = br#"{"input": "Write to jo@example.com."}"#;
/// let mut extraction = Extraction::of_request();
/// while !extraction.step(body, 1).unwrap() {}
/// let texts = extraction.finish();
/// let patterns = Patterns::new(Entity::ALL, &[]).unwrap();
/// let rewrites = texts.passages.iter().map(|text| vec![PassageRewrite::new(patterns.find(&text.text), RewriteMode::Mask)]).collect();
/// let mut rewriting = BodyRewriting::of_request(body.to_vec(), texts, rewrites);
/// let mut vault = Vault::default();
/// while !rewriting.step(&mut vault, 1).unwrap() {}
/// assert_eq!(rewriting.finish(), br#"{"input": "Write to <EMAIL_ADDRESS>."}"#);
/// ```
pub struct BodyRewriting {
    body: Vec<u8>,
    passages: Vec<Passage>,
    /// Where texts are repeated token by token.
    echoes: Vec<Echo>,
    rewrites: Vec<Vec<PassageRewrite>>,
    is_answer: bool,
    stage: Stage,
    /// The size of the rewritten texts so far, in bytes.
    written: usize,
    splices: Vec<Splice>,
    changes: Vec<ChangedString>,
    out: Vec<u8>,
}

/// A part of the body, and what replaces it.
struct Splice {
    change: ChangedString,
    json: String,
}

enum Stage {
    /// Adds hidden values to the vault: the next finding, with its check and passage.
    Names {
        passage: usize,
        check: usize,
        finding: usize,
    },
    /// Reserves texts that look like placeholders, from this passage on.
    Reserve {
        passage: usize,
        at: usize,
    },
    /// Writes the texts. In requests the application's texts come first: they are the same in each request, so their
    /// numbers stay the same and prompt caches work.
    Texts {
        first: bool,
        passage: usize,
        text: Option<Box<TextRewriting>>,
    },
    /// Removes repetitions of the texts.
    Echoes,
    /// Assembles the body.
    Splice {
        next: usize,
        copied: usize,
    },
    Done,
}

impl BodyRewriting {
    /// A request. `rewrites` has the findings in each of its passages.
    pub fn of_request(body: Vec<u8>, texts: Extracted, rewrites: Vec<Vec<PassageRewrite>>) -> Self {
        let hides = rewrites.iter().flatten().any(|rewrite| rewrite.mode() == RewriteMode::Restore);
        let stage = match hides {
            true => Stage::Names { passage: 0, check: 0, finding: 0 },
            false => Stage::texts(true),
        };
        Self::new(body, texts, rewrites, false, stage)
    }

    /// A complete answer: its texts are masked by `rewrites`, and the vault's values are restored. Token lists that repeat
    /// the texts are removed from a masked answer.
    pub fn of_answer(body: Vec<u8>, texts: Extracted, rewrites: Vec<Vec<PassageRewrite>>) -> Self {
        Self::new(body, texts, rewrites, true, Stage::texts(false))
    }

    fn new(
        body: Vec<u8>,
        texts: Extracted,
        rewrites: Vec<Vec<PassageRewrite>>,
        is_answer: bool,
        stage: Stage,
    ) -> BodyRewriting {
        let Extracted { passages, echoes } = texts;
        let (splices, changes, out) = (Vec::new(), Vec::new(), Vec::new());
        BodyRewriting { body, passages, echoes, rewrites, is_answer, stage, written: 0, splices, changes, out }
    }

    /// Continues for about as long as rewriting this many bytes of text takes. The vault must be the same each time.
    /// Returns whether it has finished.
    ///
    /// # Errors
    /// There are more values than the vault accepts; the texts must not be sent.
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
        while let (Some(rewrites), true) = (self.rewrites.get(passage), work.is_left()) {
            work.spend(LOOK);
            let Some(rewrite) = rewrites.get(check) else {
                (passage, check, finding) = (passage + 1, 0, 0);
                continue;
            };
            match rewrite.findings().get(finding).filter(|_| rewrite.mode() == RewriteMode::Restore) {
                Some(found) => {
                    vault.also(&found.entity);
                    finding += 1;
                }
                None => (check, finding) = (check + 1, 0),
            }
        }
        match passage == self.rewrites.len() {
            true => Stage::Reserve { passage: 0, at: 0 },
            false => Stage::Names { passage, check, finding },
        }
    }

    fn reserve(&self, passage: usize, at: usize, vault: &mut Vault, work: &mut Work) -> Result<Stage, VaultError> {
        let Some(found) = self.passages.get(passage) else {
            return Ok(Stage::texts(true));
        };
        // signed content has the gateway's placeholders: it came from the model, and was not restored
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
                let rewrites = self
                    .rewrites
                    .get(passage)
                    .filter(|rewrites| rewrites.iter().any(|rewrite| !rewrite.findings().is_empty()));
                let restored = self.is_answer && !vault.is_empty() && vault.may_restore(found.source());
                if !is_turn || !is_open(found) || rewrites.is_none() && !restored {
                    return Ok(Stage::Texts { first, passage: passage + 1, text: None });
                }
                let rewrites = rewrites.cloned().unwrap_or_default();
                Box::new(TextRewriting::new(found, rewrites, self.is_answer.then_some(&*vault)))
            }
        };
        let before = text.written();
        let done = text.step(found, vault, work)?;
        self.written += text.written() - before;
        if !done {
            return Ok(Stage::Texts { first, passage, text: Some(text) });
        }
        let length = text.length();
        if let Some(json) = text.into_json() {
            let (range, text) = (found.span.clone(), (found.source().len(), length));
            self.splices.push(Splice::new(range, text, json));
            let empty = |rest: &Range<usize>| Splice::new(rest.clone(), (0, 0), "\"\"".to_owned());
            self.splices.extend(found.more.iter().map(empty));
        }
        Ok(Stage::Texts { first, passage: passage + 1, text: None })
    }

    fn echoes(&mut self, work: &mut Work) -> Stage {
        let masked = self.rewrites.iter().flatten().any(|rewrite| !rewrite.findings().is_empty());
        self.rewrites = Vec::new();
        let has_changed = if self.is_answer { masked } else { !self.splices.is_empty() };
        let echoes = std::mem::take(&mut self.echoes);
        if has_changed {
            work.spend(echoes.len() * LOOK);
            self.splices.extend(echoes.into_iter().map(|echo| Splice::new(echo.span.clone(), (0, 0), echo.nothing())));
        }
        if self.splices.is_empty() {
            self.out = std::mem::take(&mut self.body);
            return Stage::Done;
        }
        by_number(&mut self.splices, |splice| splice.change.range.start);
        let added = |splice: &Splice| splice.change.length.saturating_sub(splice.change.range.len());
        let added: usize = self.splices.iter().map(added).sum();
        self.out.reserve(self.body.len() + added);
        Stage::Splice { next: 0, copied: 0 }
    }

    fn splice(&mut self, next: usize, copied: usize, work: &mut Work) -> Stage {
        let Some(Splice { change, json }) = self.splices.get_mut(next) else {
            self.out.extend_from_slice(self.body.get(copied..).unwrap_or_default());
            self.body = Vec::new();
            return Stage::Done;
        };
        let (json, range) = (std::mem::take(json), &change.range);
        work.spend(LOOK + json.len() / COPIED);
        // of two that overlap, the later one is left out
        let is_whole = range.start <= range.end && range.end <= self.body.len();
        let Some(before) = self.body.get(copied..range.start).filter(|_| is_whole) else {
            return Stage::Splice { next: next + 1, copied };
        };
        work.spend(before.len() / COPIED);
        self.out.extend_from_slice(before);
        self.out.extend_from_slice(json.as_bytes());
        let copied = range.end;
        self.changes.push(change.clone());
        Stage::Splice { next: next + 1, copied }
    }

    /// The size of the rewritten texts so far in bytes: the body will not be much smaller.
    pub fn written(&self) -> usize {
        self.written
    }

    /// The rewritten body, after the last step.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// The same, and what has changed in it.
    pub fn finish_changes(self) -> (Vec<u8>, Vec<ChangedString>) {
        (self.out, self.changes)
    }
}

impl Splice {
    /// `text`: the lengths of the text before and after.
    fn new(range: Range<usize>, text: (usize, usize), json: String) -> Self {
        Splice { change: ChangedString { range, length: json.len(), text }, json }
    }
}

impl Stage {
    fn texts(first: bool) -> Self {
        Stage::Texts { first, passage: 0, text: None }
    }
}

/// Whether a text may be rewritten.
fn is_open(passage: &Passage) -> bool {
    passage.kind != PassageKind::Signed
}
