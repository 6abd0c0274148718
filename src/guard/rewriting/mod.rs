//! Rewrites texts of requests and answers by the checks' verdicts.

mod body;
mod merged;
mod replacement;
mod text;

use std::collections::BTreeMap;

use super::checks::PassageRewrite;
use super::pii::{Restorer, Vault, VaultError};
use super::stream::{Flow, Replacement, Rewrite};
use super::texts::{echoes_in, Extracted, Passage, PassageKind};
use super::work::Work;
pub use body::BodyRewriting;
use merged::Merged;
pub(super) use replacement::in_place;
use replacement::write;

/// The replacements of a text of this kind, sorted and without overlaps.
///
/// # Errors
/// There are more values than the vault accepts; the text must not be sent.
pub fn replacements(
    text: &str,
    kind: PassageKind,
    rewrites: &[PassageRewrite],
    vault: &mut Vault,
) -> Result<Vec<Replacement>, VaultError> {
    let mut merged = Merged::new(rewrites.to_vec(), text);
    while !merged.step(&mut Work::new(usize::MAX)) {}
    let mut replacements = Vec::new();
    for (finding, writing) in (0..).map_while(|index| merged.get(index)) {
        let Some(value) = text.get(finding.span.clone()) else {
            continue; // no check flags half a character
        };
        let mut written = String::new();
        write(&mut written, kind, (finding, writing), value, vault)?;
        replacements.push((finding.span.clone(), written));
    }
    Ok(replacements)
}

/// [`BodyRewriting::of_request`], in one step.
///
/// # Errors
/// There are more values than the vault accepts; the request must not be sent.
pub fn rewrite_request(
    body: &[u8],
    passages: &[Passage],
    rewrites: &[Vec<PassageRewrite>],
    vault: &mut Vault,
) -> Result<Vec<u8>, VaultError> {
    let mut rewriting = BodyRewriting::of_request(body.to_vec(), texts(body, passages, false), rewrites.to_vec());
    while !rewriting.step(vault, usize::MAX)? {}
    Ok(rewriting.finish())
}

/// [`BodyRewriting::of_answer`], in one step.
pub fn rewrite_answer(body: &[u8], passages: &[Passage], rewrites: &[Vec<PassageRewrite>], vault: &Vault) -> Vec<u8> {
    let mut rewriting = BodyRewriting::of_answer(body.to_vec(), texts(body, passages, true), rewrites.to_vec());
    // nothing goes into the vault
    while rewriting.step(&mut vault.clone(), usize::MAX) == Ok(false) {}
    rewriting.finish()
}

fn texts(body: &[u8], passages: &[Passage], is_answer: bool) -> Extracted {
    Extracted { passages: passages.to_vec(), echoes: echoes_in(body, is_answer).unwrap_or_default() }
}

/// The maximum number of flows with a known state; others are treated as new texts.
const MAX_FLOWS: usize = 1024;

/// Restores a vault's values in a stream.
pub struct Restoring {
    vault: Vault,
    flows: BTreeMap<Flow, Restorer>,
}

impl Restoring {
    /// For the answer to a request with values in the vault.
    pub fn new(vault: Vault) -> Self {
        Restoring { vault, flows: BTreeMap::new() }
    }
}

impl Rewrite for Restoring {
    fn push(&mut self, flow: Flow, text: &str) -> String {
        let vault = &self.vault;
        if flow.kind == PassageKind::Name {
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
