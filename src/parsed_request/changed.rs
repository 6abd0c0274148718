//! A request whose texts have changed: what is known of its body stays, and the positions move.

use std::ops::Range;

use super::{model, prefix_beside_path, Layout, ParsedRequest, UsageOption};
use crate::error::ApiError;
use crate::json::Scanner;

/// A changed part of a body: a JSON string that another value has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedString {
    /// Its range before.
    pub range: Range<usize>,
    /// Its length now.
    pub length: usize,
    /// The lengths of its text before and now, in bytes.
    pub text: (usize, usize),
}

impl ParsedRequest {
    /// The request with a changed body, which is not read anew: that takes long if it is large. `changes` are sorted, and
    /// do not overlap. The hash of the end user stays, so that masked users do not all have the same.
    ///
    /// # Errors
    /// The model's name has changed, and is not one any more.
    pub fn changed(&self, changes: &[ChangedString], body: &[u8]) -> Result<Self, ApiError> {
        let mut parsed = self.clone();
        let (before, layout) = (&self.layout, &mut parsed.layout);
        let data = before.length.saturating_sub(self.text_length);
        parsed.text_length = body.len().saturating_sub(data);
        let sum = |length: fn(&ChangedString) -> usize| changes.iter().map(length).sum::<usize>() as u64;
        let (lost, gained) = (sum(|change| change.text.0), sum(|change| change.text.1));
        layout.text = before.text.saturating_add(gained).saturating_sub(lost);
        move_all(layout, changes);
        layout.length = body.len();
        let has_changed = |range: &Range<usize>| changes.iter().any(|change| change.range == *range);
        if let (Some(range), true) = (&layout.model, before.model.as_ref().is_some_and(has_changed)) {
            let name = Scanner::new(body.get(range.clone()).unwrap_or_default()).value().ok();
            match self.named_in_path {
                true => layout.model_prefix = prefix_beside_path(name, &self.model)?,
                false => parsed.model = model(name)?,
            }
        }
        Ok(parsed)
    }
}

/// Moves all positions.
fn move_all(layout: &mut Layout, changes: &[ChangedString]) {
    let position = |at: usize| {
        let before = changes.iter().take_while(|change| change.range.end <= at);
        before.fold(at, |at, change| (at + change.length).saturating_sub(change.range.len()))
    };
    // a range may have changed itself
    let range = |old: &Range<usize>| position(old.start)..position(old.end);
    layout.first_field = position(layout.first_field);
    layout.prompt = position(layout.prompt);
    layout.model = layout.model.as_ref().map(range);
    layout.repetitions = layout.repetitions.iter().map(range).collect();
    layout.usage_option = match &layout.usage_option {
        UsageOption::NoObject(old) => UsageOption::NoObject(range(old)),
        UsageOption::Declined(old) => UsageOption::Declined(range(old)),
        UsageOption::Unset { first_field, empty } => {
            UsageOption::Unset { first_field: position(*first_field), empty: *empty }
        }
        kept @ (UsageOption::Absent | UsageOption::Asked) => kept.clone(),
    };
}
