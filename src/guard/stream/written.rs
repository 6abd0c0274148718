//! A window's text as written, and the positions of findings in it.

use std::ops::Range;

use crate::guard::nested::{escaped, locate, Nesting, Spot};
use crate::guard::rewriting::in_place;
use crate::order::by_number;

use super::Replacement;

/// A window's text as written.
#[derive(Debug)]
pub(super) struct Written {
    nesting: Nesting,
    text: String,
    /// Where a separate text begins, which is read from the start.
    breaks: Vec<usize>,
}

impl Written {
    pub(super) fn new(nesting: Nesting, text: String, breaks: Vec<usize>) -> Self {
        Written { nesting, text, breaks }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The decoded text, and the position of `fresh` in it.
    pub(super) fn view(&self, fresh: usize) -> (String, usize) {
        let mut view = String::with_capacity(self.text.len());
        let mut new = None;
        for (start, mut nesting, part) in self.parts() {
            let split = fresh.saturating_sub(start).min(part.len());
            let (old, rest) = part.split_at_checked(split).unwrap_or((part, ""));
            nesting.walk(old, false, |unit| view.push_str(unit.text));
            if fresh < start + part.len() {
                new.get_or_insert(view.len());
            }
            nesting.walk(rest, true, |unit| view.push_str(unit.text));
        }
        let fresh = new.unwrap_or(view.len());
        (view, fresh)
    }

    /// The reader's state at `at`, or slightly before it, where an escape begins.
    pub(super) fn state_before(&self, at: usize) -> (usize, Nesting) {
        let part = self.parts().take_while(|(start, ..)| *start <= at).last();
        part.map_or((0, self.nesting), |(start, mut nesting, part)| {
            let read = nesting.walk(part.get(..at - start).unwrap_or_default(), false, |_| ());
            (start + read, nesting)
        })
    }

    /// The replacements, at their written positions.
    pub(super) fn edits(&self, replacements: &[Replacement]) -> Vec<Replacement> {
        let mut sorted: Vec<&Replacement> = replacements.iter().collect();
        by_number(&mut sorted, |(range, _)| range.start);
        let mut edits = Vec::new();
        let mut seen = 0;
        for (start, nesting, part) in self.parts() {
            let mut length = 0;
            let mut reading = nesting;
            reading.walk(part, true, |unit| length += unit.text.len());
            let here: Vec<&Replacement> =
                sorted.iter().copied().filter(|(range, _)| range.start < seen + length && range.end > seen).collect();
            let spans: Vec<Range<usize>> = here
                .iter()
                .map(|(range, _)| range.start.saturating_sub(seen)..(range.end - seen).min(length))
                .collect();
            let mut before = None;
            for spot in locate(nesting, part, &spans) {
                let new = here.get(spot.index).map_or("", |(_, new)| new.as_str());
                let first = before.replace(spot.index) != Some(spot.index);
                edits.push((
                    start + spot.source.start..start + spot.source.end,
                    written(if first { new } else { "" }, &spot),
                ));
            }
            seen += length;
        }
        edits
    }

    /// The texts that it consists of: the start of each, and the reader's state there.
    fn parts(&self) -> impl Iterator<Item = (usize, Nesting, &str)> {
        let starts = std::iter::once(0).chain(self.breaks.iter().copied());
        let ends = self.breaks.iter().copied().chain([self.text.len()]);
        starts.zip(ends).enumerate().map(|(index, (start, end))| {
            let nesting = if index == 0 { self.nesting } else { Nesting::default() };
            (start, nesting, self.text.get(start..end).unwrap_or_default())
        })
    }
}

/// The replacement of a spot, in written form.
fn written(new: &str, spot: &Spot) -> String {
    in_place(&escaped(new, spot.depth), spot).into_owned()
}
