//! A search of several texts in parts, so that whoever searches a large one can do something else in between.

use super::patterns::Patterns;
use crate::guard::Finding;

/// How much of a text is searched in one part, in bytes.
const PART: usize = 64 << 10;
/// How much of the text before a part is looked at with it: nothing that is found begins further left, but for a name or a
/// number that is too long to be one.
const BEFORE: usize = 1 << 10;
/// How much of the text after it: the longest that is found is a web token.
const AFTER: usize = super::api_key::MAX_WEB_TOKEN + 64;

/// The most findings of one search: what is to be done with each takes longer than to find it.
pub const MAX_FINDINGS: usize = 250_000;

/// How far a search has come.
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
    /// Where in the text under way the next part begins.
    at: usize,
    /// What stands in that text.
    under_way: Vec<Finding>,
    found: Vec<Vec<Finding>>,
    count: usize,
}

impl Search {
    /// Searches one more part of the texts, which are the same each time. Whether that was the last. Small texts are
    /// searched together.
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

    /// Searches one part of a text; returns how large it is.
    fn search(&mut self, patterns: &Patterns, text: &str) -> usize {
        let start = self.at;
        let end = match text.len() - start.min(text.len()) <= PART + AFTER {
            true => text.len(),
            false => boundary(text, start + PART),
        };
        let from = boundary(text, start.saturating_sub(BEFORE));
        let window = text.get(from..boundary(text, end.saturating_add(AFTER))).unwrap_or_default();
        let found = patterns.find(window).into_iter().filter_map(|mut finding| {
            finding.span = finding.span.start + from..finding.span.end + from;
            (start..end).contains(&finding.span.start).then_some(finding)
        });
        if start == 0 && end == text.len() {
            self.under_way = found.collect();
        } else {
            // what begins in one part and in the next overlaps in texts that are made for it only
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

    /// How many findings there are so far.
    pub fn count(&self) -> usize {
        self.count + self.under_way.len()
    }

    /// What stands in each text.
    pub fn into_findings(self) -> Vec<Vec<Finding>> {
        self.found
    }
}

/// The next character boundary from `at` on.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
