//! Texts of requests and answers, rewritten as checks say.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::checks::{Marked, Rewriting};
use super::nested::{escaped, locate, Nesting, Spot};
use super::pii::{mask, merge, Restorer, Vault, VaultError};
use super::stream::{Flow, Replacement, Rewrite};
use super::texts::{echoes, splice_values, Kind, Passage};
use super::{Finding, Speaker};
use crate::json::write_string;

/// What a passage becomes: what is to come back in the answer goes into the vault, all else gives way to its name. What
/// was JSON stays JSON.
///
/// # Errors
/// There is more to hide than the vault takes; the text must not go on.
fn rewrite(passage: &Passage, marked: &[Marked], vault: &mut Vault) -> Result<String, VaultError> {
    let (text, source) = (&passage.text, passage.source());
    let found = spans(text, marked);
    let ranges: Vec<_> = found.iter().map(|(finding, _)| finding.span.clone()).collect();
    let mut out = String::with_capacity(source.len());
    let mut copied = 0;
    for spot in locate(Nesting::default(), source, &ranges) {
        let (Some((finding, masked)), Some(value)) = (found.get(spot.index), text.get(spot.view.clone())) else {
            continue;
        };
        let mut written = written(finding, *masked, value, vault)?;
        if passage.kind == Kind::Name {
            written.retain(|character| !matches!(character, '<' | '>'));
        }
        out.push_str(source.get(copied..spot.source.start).unwrap_or_default());
        out.push_str(&in_place(&written, &spot));
        copied = spot.source.end;
    }
    out.push_str(source.get(copied..).unwrap_or_default());
    Ok(out)
}

/// What is written at a spot: in the place of a number a string.
pub(super) fn in_place<'a>(written: &'a str, spot: &Spot) -> Cow<'a, str> {
    match spot.number {
        false => Cow::Borrowed(written),
        true => {
            let quote = escaped("\"", spot.depth);
            Cow::Owned([&quote, written, &quote].concat())
        }
    }
}

/// What is found, in order; none overlap. Whether it is masked: one that stands for several is gone for good if one of
/// them says so.
fn spans(text: &str, marked: &[Marked]) -> Vec<(Finding, bool)> {
    let findings = marked.iter().map(|marked| marked.finding.clone()).collect();
    let masked = MaskedSpans::of(marked);
    let whole = |finding: &Finding| text.get(finding.span.clone()).is_some(); // no check marks half a character
    let merged = merge(findings, Vec::new()).into_iter().filter(whole);
    let with_fate = |finding: Finding| {
        let masked = masked.overlap(&finding.span);
        (finding, masked)
    };
    merged.map(with_fate).collect()
}

fn written(finding: &Finding, masked: bool, value: &str, vault: &mut Vault) -> Result<String, VaultError> {
    let whole = [Finding { span: 0..value.len(), ..finding.clone() }];
    match masked {
        true => Ok(mask(value, &whole)),
        false => vault.hide(value, &whole),
    }
}

/// What takes the place of which part of a text, in order; none overlap.
///
/// # Errors
/// There is more to hide than the vault takes; the text must not go on.
pub fn replacements(text: &str, marked: &[Marked], vault: &mut Vault) -> Result<Vec<Replacement>, VaultError> {
    let replacement = |(finding, masked): (Finding, bool)| {
        let value = text.get(finding.span.clone()).unwrap_or_default();
        Ok((finding.span.clone(), written(&finding, masked, value, vault)?))
    };
    spans(text, marked).into_iter().map(replacement).collect()
}

/// What is to be masked, for telling of many spans whether they overlap any of it.
struct MaskedSpans {
    starts: Vec<usize>,
    /// How far the spans up to this one reach.
    reached: Vec<usize>,
}

impl MaskedSpans {
    fn of(marked: &[Marked]) -> Self {
        let masks = marked.iter().filter(|marked| marked.rewriting == Rewriting::Mask);
        let mut spans: Vec<Range<usize>> = masks.map(|marked| marked.finding.span.clone()).collect();
        spans.sort_by_key(|span| span.start);
        let reach = |reached: &mut usize, span: &Range<usize>| {
            *reached = span.end.max(*reached);
            Some(*reached)
        };
        MaskedSpans {
            starts: spans.iter().map(|span| span.start).collect(),
            reached: spans.iter().scan(0, reach).collect(),
        }
    }

    fn overlap(&self, span: &Range<usize>) -> bool {
        let before = self.starts.partition_point(|start| *start < span.end);
        let reached = before.checked_sub(1).and_then(|last| self.reached.get(last));
        reached.is_some_and(|reached| *reached > span.start)
    }
}

/// A request's body with the texts of these passages rewritten. `marks` has what was found in each of them.
///
/// # Errors
/// As [`rewrite`].
pub fn rewrite_request(
    body: &[u8],
    passages: &[Passage],
    marks: &[Vec<Marked>],
    vault: &mut Vault,
) -> Result<Vec<u8>, VaultError> {
    let hidden = || marks.iter().flatten().filter(|marked| marked.rewriting == Rewriting::Restore);
    if hidden().next().is_some() {
        vault.only(hidden().map(|marked| marked.finding.entity.as_str()));
        // what is sealed has placeholders of ours: it came from the model, and nothing was brought back in it
        passages.iter().filter(is_open).try_for_each(|passage| vault.reserve(&passage.text))?;
    }
    let mut splices = Vec::new();
    let rewritten = passages.iter().zip(marks).filter(|(passage, marked)| is_open(passage) && !marked.is_empty());
    // what the application says is the same in each request, and so are its numbers if it comes first: caches live by that
    let (first, last): (Vec<_>, Vec<_>) = rewritten.partition(|(passage, _)| passage.speaker == Speaker::System);
    for (passage, marked) in first.into_iter().chain(last) {
        splices.push((passage.span.clone(), quoted(&rewrite(passage, marked, vault)?)));
    }
    if !splices.is_empty() && memchr::memmem::find(body, b"logprobs").is_some() {
        splices.extend(echoes(body, false).unwrap_or_default());
    }
    Ok(splice_values(body, splices))
}

/// A whole answer with its texts masked as `marks` say, and with what the vault keeps brought back. What says the
/// texts again, token by token, is taken out of an answer that is masked.
pub fn rewrite_answer(body: &[u8], passages: &[Passage], marks: &[Vec<Marked>], vault: &Vault) -> Vec<u8> {
    let none = Vec::new();
    let mut splices = Vec::new();
    let mut masked = false;
    for (index, passage) in passages.iter().enumerate().filter(|(_, passage)| is_open(passage)) {
        let marked = marks.get(index).unwrap_or(&none);
        masked |= !marked.is_empty();
        // answers are masked only: nothing goes into a vault
        let text = rewrite(passage, marked, &mut Vault::default()).unwrap_or_default();
        let restored = restored(vault, passage.kind, &text);
        if restored != passage.source() {
            splices.push((passage.span.clone(), quoted(&restored)));
        }
    }
    if masked {
        splices.extend(echoes(body, true).unwrap_or_default());
    }
    splice_values(body, splices)
}

fn restored<'a>(vault: &Vault, kind: Kind, text: &'a str) -> Cow<'a, str> {
    match kind {
        Kind::Name => vault.restore_name(text),
        Kind::Plain
        | Kind::Reasoning
        | Kind::Refusal
        | Kind::Arguments
        | Kind::Argument
        | Kind::Sealed
        | Kind::Given => vault.restore(text),
    }
}

/// Whether a text may be rewritten.
fn is_open(passage: &&Passage) -> bool {
    passage.kind != Kind::Sealed
}

fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 8);
    write_string(&mut json, text);
    json
}

/// Brings back what a vault keeps, in a stream.
pub struct Restoring {
    vault: Vault,
    flows: BTreeMap<Flow, Restorer>,
}

impl Restoring {
    /// For the answer to a request whose values the vault keeps.
    pub fn new(vault: Vault) -> Self {
        Restoring { vault, flows: BTreeMap::new() }
    }
}

impl Rewrite for Restoring {
    fn push(&mut self, flow: Flow, text: &str) -> String {
        let vault = &self.vault;
        if flow.kind == Kind::Name {
            return vault.restore_name(text).into_owned();
        }
        self.flows.entry(flow).or_insert_with(|| vault.restorer()).push(text)
    }

    fn finish(&mut self, flow: Flow) -> String {
        self.flows.remove(&flow).map(|mut restorer| restorer.finish()).unwrap_or_default()
    }
}
