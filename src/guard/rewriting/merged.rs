//! Merges the findings of several checks in a text, in parts.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

use crate::guard::checks::{PassageRewrite, RewriteMode};
use crate::guard::pii::precedence;
use crate::guard::work::Work;
use crate::guard::Finding;

/// The cost of reading a finding, of sorting it, and of choosing between overlapping ones, in bytes of text that could
/// be written in that time.
const LOOK: usize = 1;
const PLACE: usize = 8;
const CHOOSE: usize = 32;

/// The merged findings: sorted, without overlaps.
pub(super) struct Merged {
    lists: Vec<PassageRewrite>,
    stage: Stage,
    /// The remaining findings; in the stage [`Stage::Single`] the only list.
    order: Vec<FindingRef>,
}

/// A remaining finding.
struct FindingRef {
    list: usize,
    index: usize,
    writing: Writing,
}

/// What is written in place of a finding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    /// The name of its entity.
    Mask,
    /// The name of its entity with a number, until the answer.
    Hide,
    /// The text that its service wants there.
    Replace,
}

impl Writing {
    /// `alone`: no other check has found something there, which the service's text may repeat.
    fn of(finding: &Finding, masked: bool, alone: bool) -> Self {
        match (masked, alone && finding.replacement.is_some()) {
            (false, _) => Writing::Hide,
            (true, true) => Writing::Replace,
            (true, false) => Writing::Mask,
        }
    }
}

enum Stage {
    /// There is one list. This many of its findings are sorted, and do not overlap.
    Single(usize),
    /// Joins the lists: the next finding of this list.
    Gather {
        list: usize,
        index: usize,
        ranked: BinaryHeap<Ranked>,
    },
    /// Chooses the remaining ones.
    Choose {
        ranked: BinaryHeap<Ranked>,
        kept: BTreeMap<usize, Ranked>,
    },
    /// Sorts them.
    Order {
        kept: BTreeMap<usize, Ranked>,
        spans: Vec<Spans>,
    },
    Done,
}

impl Merged {
    /// From each check's findings in this text.
    pub fn new(mut lists: Vec<PassageRewrite>, text: &str) -> Self {
        if lists.len() > 1 && lists.iter().any(replaces) {
            lists = (0..lists.len()).filter_map(|index| without_values(&lists, index, text)).collect();
        }
        let stage = if lists.len() == 1 { Stage::Single(0) } else { Stage::gather() };
        Merged { lists, stage, order: Vec::new() }
    }

    /// Continues. Returns whether it has finished.
    pub fn step(&mut self, work: &mut Work) -> bool {
        while work.is_left() {
            let stage = std::mem::replace(&mut self.stage, Stage::Done);
            let (stage, done) = self.pass(stage, work);
            self.stage = stage;
            if done {
                return true;
            }
        }
        false
    }

    fn pass(&mut self, stage: Stage, work: &mut Work) -> (Stage, bool) {
        match stage {
            Stage::Done => (Stage::Done, true),
            Stage::Single(mut at) => {
                let findings = self.lists.first().map_or(&[][..], PassageRewrite::findings);
                while let (Some(finding), true) = (findings.get(at), work.is_left()) {
                    let reached =
                        at.checked_sub(1).and_then(|before| findings.get(before)).map_or(0, |one| one.span.end);
                    if finding.span.is_empty() || finding.span.start < reached {
                        return (Stage::gather(), false);
                    }
                    at += 1;
                    work.spend(LOOK);
                }
                (Stage::Single(at), at == findings.len())
            }
            Stage::Gather { mut list, mut index, mut ranked } => {
                while let (Some(rewrite), true) = (self.lists.get(list), work.is_left()) {
                    match rewrite.findings().get(index) {
                        Some(finding) => {
                            if !finding.span.is_empty() {
                                ranked.push(Ranked { finding: finding.clone(), list, index });
                            }
                            index += 1;
                        }
                        None => (list, index) = (list + 1, 0),
                    }
                    work.spend(PLACE);
                }
                match list == self.lists.len() {
                    true => (Stage::Choose { ranked, kept: BTreeMap::new() }, false),
                    false => (Stage::Gather { list, index, ranked }, false),
                }
            }
            Stage::Choose { mut ranked, mut kept } => {
                while work.is_left() {
                    let Some(best) = ranked.pop() else {
                        break;
                    };
                    let Range { start, end } = best.finding.span;
                    let before = kept.range(..end).next_back();
                    if before.is_none_or(|(_, before)| before.finding.span.end <= start) {
                        kept.insert(start, best);
                    }
                    work.spend(CHOOSE);
                }
                match ranked.is_empty() {
                    true => (Stage::Order { kept, spans: Spans::of(&self.lists) }, false),
                    false => (Stage::Choose { ranked, kept }, false),
                }
            }
            Stage::Order { mut kept, mut spans } => {
                while work.is_left() {
                    let Some((_, Ranked { finding, list, index })) = kept.pop_first() else {
                        break;
                    };
                    let (mut masked, mut alone) = (false, true);
                    for spans in &mut spans {
                        let overlap = spans.overlap(&self.lists, &finding.span);
                        masked |= overlap && spans.masked;
                        alone &= !overlap || spans.list == list;
                    }
                    self.order.push(FindingRef { list, index, writing: Writing::of(&finding, masked, alone) });
                    work.spend(PLACE);
                }
                match kept.is_empty() {
                    true => (Stage::Done, true),
                    false => (Stage::Order { kept, spans }, false),
                }
            }
        }
    }

    /// A remaining finding, and what is written there: one that covers several is masked permanently if one of them is.
    pub fn get(&self, index: usize) -> Option<(&Finding, Writing)> {
        if let Stage::Single(_) = self.stage {
            let list = self.lists.first()?;
            let finding = list.findings().get(index)?;
            return Some((finding, Writing::of(finding, list.mode() == RewriteMode::Mask, true)));
        }
        let FindingRef { list, index, writing } = self.order.get(index)?;
        Some((self.lists.get(*list)?.findings().get(*index)?, *writing))
    }
}

/// The most work to look for values in services' texts, in bytes.
const MAX_SEARCHED: usize = 16 << 20;

/// Whether a service wants its own text in some places.
fn replaces(list: &PassageRewrite) -> bool {
    list.findings().iter().any(|finding| finding.replacement.is_some())
}

/// A list without the texts in which a service repeats what another check has found: the service got it, and may have moved
/// it.
fn without_values(lists: &[PassageRewrite], index: usize, text: &str) -> Option<PassageRewrite> {
    let list = lists.get(index)?;
    if !replaces(list) {
        return Some(list.clone());
    }
    let others = lists.iter().enumerate().filter(|(other, _)| *other != index).flat_map(|(_, list)| list.findings());
    let values: Vec<&str> = others.filter_map(|finding| text.get(finding.span.clone())).collect();
    let length: usize = list.findings().iter().filter_map(|finding| finding.replacement.as_deref()).map(str::len).sum();
    let is_too_much = length.saturating_mul(values.len()) > MAX_SEARCHED;
    let repeats = |new: &str| is_too_much || values.iter().any(|value| !value.is_empty() && new.contains(value));
    let findings = list.findings().iter().map(|finding| Finding {
        replacement: finding.replacement.clone().filter(|new| !repeats(new)),
        ..finding.clone()
    });
    Some(PassageRewrite::new(findings.collect(), list.mode()))
}

impl Stage {
    fn gather() -> Self {
        Stage::Gather { list: 0, index: 0, ranked: BinaryHeap::new() }
    }
}

/// A finding; of several that overlap, the greatest stays.
struct Ranked {
    finding: Finding,
    list: usize,
    index: usize,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        precedence(&other.finding, &self.finding).then_with(|| (other.list, other.index).cmp(&(self.list, self.index)))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

/// One check's spans, to test whether spans overlap them; both are sorted and do not overlap.
struct Spans {
    list: usize,
    masked: bool,
    next: usize,
    /// The end of the spans that were passed.
    reached: usize,
}

impl Spans {
    fn of(lists: &[PassageRewrite]) -> Vec<Self> {
        let masked = lists.iter().map(|rewrite| rewrite.mode() == RewriteMode::Mask);
        masked.enumerate().map(|(list, masked)| Spans { list, masked, next: 0, reached: 0 }).collect()
    }

    fn overlap(&mut self, lists: &[PassageRewrite], span: &Range<usize>) -> bool {
        let findings = lists.get(self.list).map_or(&[][..], PassageRewrite::findings);
        while let Some(begun) = findings.get(self.next).filter(|one| one.span.start < span.end) {
            self.reached = self.reached.max(begun.span.end);
            self.next += 1;
        }
        self.reached > span.start
    }
}
