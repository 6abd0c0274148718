//! Merges lists of findings.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::ops::Range;

use crate::guard::Finding;
use crate::order::by_number;

/// Unspecific entities, the least specific first: any other entity with the same span replaces them.
const GENERAL: &[&str] = &[
    "DATE_TIME",
    "URL",
    "NRP",
    "ORGANIZATION",
    "LOCATION",
    "PERSON",
    "US_BANK_NUMBER",
    "US_DRIVER_LICENSE",
    "US_PASSPORT",
    "US_ITIN",
    "PHONE_NUMBER",
];

/// Merges local findings and a server's findings: sorted, without overlaps. Of two that overlap, the longer one stays.
/// Of two with the same span, the one with the higher score stays, then the more specific one (an e-mail address
/// instead of a URL). Empty findings are dropped.
///
/// ```
/// use sluice::guard::pii::merge;
/// use sluice::guard::Finding;
///
/// let finding = |entity: &str, span, score| Finding { entity: entity.into(), span, score, replacement: None };
/// let local = vec![finding("EMAIL_ADDRESS", 3..17, 1.0)];
/// let remote = vec![finding("URL", 6..17, 0.5), finding("PERSON", 20..25, 0.85)];
/// assert_eq!(merge(local.clone(), remote.clone()), [local[0].clone(), remote[1].clone()]);
/// ```
pub fn merge(local: Vec<Finding>, remote: Vec<Finding>) -> Vec<Finding> {
    let mut findings = local;
    findings.extend(remote);
    findings.retain(|finding| finding.span.start < finding.span.end);
    by_number(&mut findings, |finding| finding.span.start);
    let is_disjoint = findings.iter().zip(findings.iter().skip(1)).all(|(one, next)| one.span.end <= next.span.start);
    if is_disjoint {
        return findings;
    }
    findings.sort_by(precedence);
    let mut kept: BTreeMap<usize, Finding> = BTreeMap::new();
    for finding in findings {
        let Range { start, end } = finding.span;
        let before = kept.range(..end).next_back();
        if before.is_none_or(|(_, before)| before.span.end <= start) {
            kept.insert(start, finding);
        }
    }
    kept.into_values().collect()
}

/// Which of two stays, should they overlap: the lesser.
pub(in crate::guard) fn precedence(one: &Finding, other: &Finding) -> Ordering {
    let length = |finding: &Finding| Reverse(finding.span.end - finding.span.start);
    length(one)
        .cmp(&length(other))
        .then_with(|| other.score.total_cmp(&one.score))
        .then_with(|| generality(&one.entity).cmp(&generality(&other.entity)))
        .then_with(|| one.span.start.cmp(&other.span.start))
        .then_with(|| one.entity.cmp(&other.entity))
}

/// How unspecific an entity's name is.
fn generality(entity: &str) -> Reverse<usize> {
    Reverse(GENERAL.iter().position(|general| *general == entity).unwrap_or(GENERAL.len()))
}

/// Converts spans in characters to bytes: Presidio counts code points, as Python does. In the order of `spans`; `None`
/// for one that is reversed, empty or out of range. The text is scanned once.
///
/// ```
/// use sluice::guard::pii::byte_spans;
///
/// assert_eq!(byte_spans("für jo@example.com", &[4..18, 4..19]), [Some(5..19), None]);
/// ```
pub fn byte_spans(text: &str, spans: &[Range<usize>]) -> Vec<Option<Range<usize>>> {
    let mut offsets: Vec<usize> = spans.iter().flat_map(|span| [span.start, span.end]).collect();
    offsets.sort_unstable();
    offsets.dedup();
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let mut asked = offsets.iter().copied().peekable();
    let mut bytes = Vec::with_capacity(offsets.len());
    for (count, at) in ends.enumerate() {
        if asked.next_if_eq(&count).is_some() {
            bytes.push(at);
        }
        if asked.peek().is_none() {
            break;
        }
    }
    let byte = |offset| offsets.binary_search(&offset).ok().and_then(|index| bytes.get(index).copied());
    spans.iter().map(|span| Some(byte(span.start)?..byte(span.end)?).filter(|span| span.start < span.end)).collect()
}
