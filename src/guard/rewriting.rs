//! Texts of requests and answers, rewritten as checks say.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Range;
use std::vec::IntoIter;

use super::checks::{Marked, Rewriting};
use super::nested::{escaped, locate, Nesting, Spot};
use super::pii::{disjoint, mask_value, Restorer, Vault, VaultError};
use super::stream::{Flow, Replacement, Rewrite};
use super::texts::{echoes, splice_values, Kind, Passage};
use super::{Finding, Speaker};
use crate::json::write_string;
use crate::order::by_number;

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
    let mut written = String::new(); // for all of them: there may be very many
    let mut copied = 0;
    for spot in locate(Nesting::default(), source, &ranges) {
        let (Some((finding, masked)), Some(value)) = (found.get(spot.index), text.get(spot.view.clone())) else {
            continue;
        };
        written.clear();
        write(&mut written, passage.kind, (finding, *masked), value, vault)?;
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
fn spans<'a>(text: &str, marked: &'a [Marked]) -> Vec<(&'a Finding, bool)> {
    let mut masked = MaskedSpans::of(marked);
    let whole = |finding: &&Finding| text.get(finding.span.clone()).is_some(); // no check marks half a character
    let merged = disjoint(marked.iter().map(|marked| &marked.finding).collect()).into_iter().filter(whole);
    merged.map(|finding| (finding, masked.overlap(&finding.span))).collect()
}

/// Writes what takes the place of a value, which is not empty, in a text of this kind; `out` is empty.
fn write(
    out: &mut String,
    kind: Kind,
    (finding, masked): (&Finding, bool),
    value: &str,
    vault: &mut Vault,
) -> Result<(), VaultError> {
    match masked {
        true => mask_value(out, &finding.entity),
        false => vault.hide_value(out, &finding.entity, value)?,
    }
    if kind == Kind::Name {
        out.retain(|character| !matches!(character, '<' | '>'));
    }
    Ok(())
}

/// What takes the place of which part of a text of this kind, in order; none overlap.
///
/// # Errors
/// There is more to hide than the vault takes; the text must not go on.
pub fn replacements(
    text: &str,
    kind: Kind,
    marked: &[Marked],
    vault: &mut Vault,
) -> Result<Vec<Replacement>, VaultError> {
    let replacement = |(finding, masked): (&Finding, bool)| {
        let value = text.get(finding.span.clone()).unwrap_or_default();
        let mut written = String::new();
        write(&mut written, kind, (finding, masked), value, vault)?;
        Ok((finding.span.clone(), written))
    };
    spans(text, marked).into_iter().map(replacement).collect()
}

/// What is to be masked, for telling of spans in order, which do not overlap, whether they overlap any of it.
struct MaskedSpans {
    spans: Peekable<IntoIter<Range<usize>>>,
    /// How far those reach that are passed.
    reached: usize,
}

impl MaskedSpans {
    fn of(marked: &[Marked]) -> Self {
        let masks = marked.iter().filter(|marked| marked.rewriting == Rewriting::Mask);
        let mut spans: Vec<Range<usize>> = masks.map(|marked| marked.finding.span.clone()).collect();
        by_number(&mut spans, |span| span.start);
        MaskedSpans { spans: spans.into_iter().peekable(), reached: 0 }
    }

    fn overlap(&mut self, span: &Range<usize>) -> bool {
        while let Some(begun) = self.spans.next_if(|masked| masked.start < span.end) {
            self.reached = self.reached.max(begun.end);
        }
        self.reached > span.start
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
        vault.only(hidden().map(|marked| &*marked.finding.entity));
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
            splices.extend(passage.more.iter().map(|rest| (rest.clone(), quoted(""))));
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

/// Of more flows it is not known how their text goes on where nothing of it was held back.
const MAX_FLOWS: usize = 1024;

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

    fn flush(&mut self, flow: Flow) -> String {
        if self.flows.len() > MAX_FLOWS {
            return self.finish(flow);
        }
        self.flows.get_mut(&flow).map(Restorer::flush).unwrap_or_default()
    }
}
