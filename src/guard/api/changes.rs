//! What a service has changed in a text, from the text that it returns. Only the changed words are rewritten, so that
//! what is before a window stays out of it, and JSON within a text stays JSON.

use std::ops::Range;
use std::sync::Arc;

use crate::guard::Finding;

/// The category of a text that the service changes.
pub const INTERVENED: &str = "intervened";

/// Longer texts, together, are compared only from both ends, in bytes.
const MAX_COMPARED: usize = 64 << 10;
/// The most words that a change can have, before and after it together.
const MAX_CHANGE: usize = 400;
/// The most comparisons of words in the texts of one answer.
pub(super) const MAX_STEPS: usize = 1 << 20;
/// So many equal words in a row end a change.
const SAME: usize = 3;

/// The changes from `old` to `new`: none of them is of nothing, and none overlaps another. `old` is not empty. `steps`: how
/// many words may still be compared; without any, all between the first and the last change counts as changed.
pub(super) fn changes(old: &str, new: &str, steps: &mut usize) -> Vec<Finding> {
    if old == new {
        return Vec::new();
    }
    if old.len() + new.len() > MAX_COMPARED {
        let (old, new) = (characters(old), characters(new));
        return change(&old, &new, &ends(&old, &new)).into_iter().collect();
    }
    let (old, new) = (words(old), words(new));
    hunks(&old, &new, steps).iter().filter_map(|hunk| change(&old, &new, hunk)).collect()
}

/// A changed part, in words: before and after.
type Hunk = (Range<usize>, Range<usize>);

/// A text in parts.
struct Parts<'a> {
    text: &'a str,
    /// Where each part begins, and where the last one ends; empty: each character is one.
    starts: Vec<usize>,
}

impl<'a> Parts<'a> {
    fn len(&self) -> usize {
        match self.starts.is_empty() {
            true => self.text.len(),
            false => self.starts.len() - 1,
        }
    }

    fn at(&self, index: usize) -> usize {
        match self.starts.is_empty() {
            true => index,
            false => self.starts.get(index).copied().unwrap_or(self.text.len()),
        }
    }

    fn get(&self, parts: Range<usize>) -> &'a str {
        self.text.get(self.at(parts.start)..self.at(parts.end)).unwrap_or_default()
    }

    fn word(&self, index: usize) -> Option<&'a str> {
        (index < self.len()).then(|| self.get(index..index + 1))
    }
}

/// In runs of letters and digits; every other character is a word of its own.
fn words(text: &str) -> Parts<'_> {
    let mut starts = Vec::new();
    let mut within = false;
    for (at, character) in text.char_indices() {
        let goes_on = character.is_alphanumeric();
        if !(within && goes_on) {
            starts.push(at);
        }
        within = goes_on;
    }
    starts.push(text.len());
    Parts { text, starts }
}

fn characters(text: &str) -> Parts<'_> {
    Parts { text, starts: Vec::new() }
}

/// What is changed, with what both begin and end with left out.
fn ends(old: &Parts<'_>, new: &Parts<'_>) -> Hunk {
    let same = |(one, other): &(char, char)| one == other;
    let size = |(one, _): (char, char)| one.len_utf8();
    let start: usize = old.text.chars().zip(new.text.chars()).take_while(same).map(size).sum();
    let [old, new] = [old, new].map(|parts| parts.text.get(start..).unwrap_or_default());
    let end: usize = old.chars().rev().zip(new.chars().rev()).take_while(same).map(size).sum();
    (start..start + old.len() - end, start..start + new.len() - end)
}

/// The changed parts, with at least [`SAME`] equal words between two of them.
fn hunks(old: &Parts<'_>, new: &Parts<'_>, steps: &mut usize) -> Vec<Hunk> {
    let (mut i, mut j) = (0, 0);
    let mut hunks = Vec::new();
    loop {
        while old.word(i).is_some_and(|word| new.word(j) == Some(word)) {
            (i, j) = (i + 1, j + 1);
        }
        if i == old.len() && j == new.len() {
            return hunks;
        }
        let Some((next_i, next_j)) = resume(old, new, (i, j), steps) else {
            let mut end = (old.len(), new.len());
            while end.0 > i && end.1 > j && old.word(end.0 - 1) == new.word(end.1 - 1) {
                end = (end.0 - 1, end.1 - 1);
            }
            hunks.push((i..end.0, j..end.1));
            return hunks;
        };
        hunks.push((i..next_i, j..next_j));
        (i, j) = (next_i, next_j);
    }
}

/// Where both are the same again, as soon as possible.
fn resume(old: &Parts<'_>, new: &Parts<'_>, (i, j): (usize, usize), steps: &mut usize) -> Option<(usize, usize)> {
    let rest = (old.len() - i) + (new.len() - j);
    for change in 1..=MAX_CHANGE.min(rest) {
        for removed in 0..=change {
            let (i, j) = (i + removed, j + change - removed);
            *steps = steps.checked_sub(1)?;
            let same = |ahead: usize| old.word(i + ahead) == new.word(j + ahead);
            if i <= old.len() && j <= new.len() && (0..SAME).all(same) {
                return Some((i, j));
            }
        }
    }
    None
}

/// The change as a finding. Something that is only added goes with the word after it, or before it at the end.
fn change(old: &Parts<'_>, new: &Parts<'_>, (before, after): &Hunk) -> Option<Finding> {
    let (mut before, mut after) = (before.clone(), after.clone());
    while before.is_empty() || !old.text.is_char_boundary(old.at(before.end)) {
        match before.end < old.len() {
            true => (before.end, after.end) = (before.end + 1, after.end + 1),
            false => (before.start, after.start) = (before.start.checked_sub(1)?, after.start.checked_sub(1)?),
        }
    }
    while !old.text.is_char_boundary(old.at(before.start)) {
        (before.start, after.start) = (before.start.checked_sub(1)?, after.start.checked_sub(1)?);
    }
    let replacement: Arc<str> = new.get(after).into();
    let span = old.at(before.start)..old.at(before.end);
    Some(Finding { entity: INTERVENED.into(), span, score: 1.0, replacement: Some(replacement) })
}
