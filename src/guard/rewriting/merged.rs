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
    masked: bool,
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
        masks: Vec<Masks>,
    },
    Done,
}

impl Merged {
    /// From each check's findings.
    pub fn new(lists: Vec<PassageRewrite>) -> Self {
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
                    true => (Stage::Order { kept, masks: Masks::of(&self.lists) }, false),
                    false => (Stage::Choose { ranked, kept }, false),
                }
            }
            Stage::Order { mut kept, mut masks } => {
                while work.is_left() {
                    let Some((_, Ranked { finding, list, index })) = kept.pop_first() else {
                        break;
                    };
                    let mut masked = false;
                    for masks in &mut masks {
                        masked |= masks.overlap(&self.lists, &finding.span);
                    }
                    self.order.push(FindingRef { list, index, masked });
                    work.spend(PLACE);
                }
                match kept.is_empty() {
                    true => (Stage::Done, true),
                    false => (Stage::Order { kept, masks }, false),
                }
            }
        }
    }

    /// A remaining finding, and whether it is masked: one that covers several is masked permanently if one of them is.
    pub fn get(&self, index: usize) -> Option<(&Finding, bool)> {
        if let Stage::Single(_) = self.stage {
            let list = self.lists.first()?;
            return Some((list.findings().get(index)?, list.mode() == RewriteMode::Mask));
        }
        let FindingRef { list, index, masked } = self.order.get(index)?;
        Some((self.lists.get(*list)?.findings().get(*index)?, *masked))
    }
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

/// One check's masked spans, to test whether spans overlap them; both are sorted and do not overlap.
struct Masks {
    list: usize,
    next: usize,
    /// The end of the spans that were passed.
    reached: usize,
}

impl Masks {
    fn of(lists: &[PassageRewrite]) -> Vec<Self> {
        let masks = lists.iter().enumerate().filter(|(_, rewrite)| rewrite.mode() == RewriteMode::Mask);
        masks.map(|(list, _)| Masks { list, next: 0, reached: 0 }).collect()
    }

    fn overlap(&mut self, lists: &[PassageRewrite], span: &Range<usize>) -> bool {
        let findings = lists.get(self.list).map_or(&[][..], PassageRewrite::findings);
        while let Some(begun) = findings.get(self.next).filter(|masked| masked.span.start < span.end) {
            self.reached = self.reached.max(begun.span.end);
            self.next += 1;
        }
        self.reached > span.start
    }
}
