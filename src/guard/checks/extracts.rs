//! The texts of a check's questions: passages, or pieces of long ones.

use std::ops::Range;

use super::check::{Backend, Check};
use super::passage_text::PassageText;
use crate::guard::api::Failure;

/// The maximum number of a check's callouts in one run, so that a service that reads few texts at a time is not flooded.
const MAX_CALLOUTS: usize = 64;

/// A passage, or a part of it.
pub(super) struct Extract {
    /// Its index in the run.
    pub(super) passage: usize,
    part: Range<usize>,
}

impl Extract {
    /// Its text.
    pub(super) fn of<'a>(&self, passage: &'a PassageText) -> &'a str {
        passage.text.get(self.part.clone()).unwrap_or_default()
    }
}

/// What a check reads of a passage. `is_short`: it is not longer than a service may get.
pub(super) fn extracts(check: &Check, passage: usize, text: &str, is_short: bool) -> impl Iterator<Item = Extract> {
    let pieces = match &check.backend {
        Backend::Service(api, _) if is_short => api.pieces(),
        Backend::Service(..) | Backend::Patterns(_) => None,
    };
    let whole = pieces.is_none().then_some(0..text.len());
    let is_blank = |part: &Range<usize>| text.get(part.clone()).is_none_or(|part| part.trim().is_empty());
    let mut pieces = pieces.map(|pieces| pieces.of(text)).unwrap_or_default();
    pieces.retain(|part| !is_blank(part));
    whole.into_iter().chain(pieces).map(move |part| Extract { passage, part })
}

/// The extracts of each question.
///
/// # Errors
/// It is more than the service may get.
pub(super) fn groups(check: &Check, extracts: Vec<Extract>, too_long: bool) -> Result<Vec<Vec<Extract>>, Failure> {
    let size = match &check.backend {
        Backend::Service(..) if too_long => return Err(Failure::TooLarge),
        Backend::Service(api, _) => api.batch_size().max(1),
        Backend::Patterns(_) => usize::MAX,
    };
    if extracts.len().div_ceil(size) > MAX_CALLOUTS {
        return Err(Failure::TooLarge);
    }
    let mut groups = Vec::new();
    let mut rest = extracts;
    while !rest.is_empty() {
        let after = rest.split_off(size.min(rest.len()));
        groups.push(std::mem::replace(&mut rest, after));
    }
    Ok(groups)
}
