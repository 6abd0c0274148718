//! A search of several texts in parts, so that other work can run in between.

use memchr::{memchr, memmem};

use super::patterns::Patterns;
use crate::guard::Finding;

/// The size of one part of a text, in bytes. Text of nothing but short numbers takes the longest.
const PART: usize = 16 << 10;
/// How much of the text before a part is read with it: no finding begins further left, except for names and numbers
/// that are too long to count.
const BEFORE: usize = 1 << 10;
/// How much of the text after it: more than the longest finding besides web tokens and what HTML spells.
const AFTER: usize = 4 << 10;
/// The same if one of these may begin in the part.
const FAR_AFTER: usize = super::api_key::MAX_WEB_TOKEN + 64;

/// The maximum number of findings of one search, because handling a finding takes longer than finding it.
pub const MAX_FINDINGS: usize = 250_000;

/// The state of a search.
///
/// ```
/// use sluice::guard::pii::{Entity, Patterns, Search};
///
/// let patterns = Patterns::new(Entity::ALL, &[]).unwrap();
/// let text = "jo@example.com ".repeat(10_000);
/// let mut search = Search::default();
/// while !search.step(&patterns, &[&text]) {}
/// assert_eq!(search.into_findings(), [patterns.find(&text)]);
/// ```
#[derive(Debug, Default)]
pub struct Search {
    /// The start of the next part in the current text.
    at: usize,
    /// The findings in that text.
    under_way: Vec<Finding>,
    found: Vec<Vec<Finding>>,
    count: usize,
}

impl Search {
    /// Searches the next part of the texts, which must be the same each time. Returns whether it was the last. Small
    /// texts are searched together.
    pub fn step(&mut self, patterns: &Patterns, texts: &[&str]) -> bool {
        let mut searched = 0;
        while searched < PART {
            let Some(text) = texts.get(self.found.len()) else {
                return true;
            };
            searched += self.search(patterns, text);
        }
        self.found.len() == texts.len()
    }

    /// Searches one part of a text; returns its size.
    fn search(&mut self, patterns: &Patterns, text: &str) -> usize {
        let start = self.at;
        let end = match text.len() - start.min(text.len()) <= PART + AFTER {
            true => text.len(),
            false => boundary(text, start + PART),
        };
        let from = boundary(text, start.saturating_sub(BEFORE));
        let until = boundary(text, end.saturating_add(after(text, start, end)));
        let window = text.get(from..until).unwrap_or_default();
        let found = patterns.find(window).into_iter().filter_map(|mut finding| {
            finding.span = finding.span.start + from..finding.span.end + from;
            (start..end).contains(&finding.span.start).then_some(finding)
        });
        if start == 0 && end == text.len() {
            self.under_way = found.collect();
        } else {
            // findings of two parts only overlap in texts made for that purpose
            let reached = self.under_way.last().map_or(0, |last| last.span.end);
            self.under_way.extend(
                found
                    .filter(|finding| finding.span.end > reached)
                    .map(|finding| Finding { span: finding.span.start.max(reached)..finding.span.end, ..finding }),
            );
        }
        self.at = end;
        if end == text.len() {
            self.at = 0;
            self.count += self.under_way.len();
            self.found.push(std::mem::take(&mut self.under_way));
        }
        end - start + 1
    }

    /// The number of findings so far.
    pub fn count(&self) -> usize {
        self.count + self.under_way.len()
    }

    /// The findings in each text.
    pub fn into_findings(self) -> Vec<Vec<Finding>> {
        self.found
    }
}

/// How much of the text after a part is read with it.
fn after(text: &str, start: usize, end: usize) -> usize {
    let bytes = |end: usize| text.as_bytes().get(start..end.min(text.len())).unwrap_or_default();
    let is_spelled = || memchr(b'&', bytes(end.saturating_add(AFTER))).is_some();
    let begins = || memmem::find(bytes(end.saturating_add(2)), b"eyJ").is_some();
    if is_spelled() || begins() {
        FAR_AFTER
    } else {
        AFTER
    }
}

/// The next character boundary from `at` on.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
