//! What the client hears: the events, with their texts as the checks and the [`Rewrite`] want them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::event::{terminated, Event, Said};
use super::{Flow, Rewrite};
use crate::endpoint::Dialect;
use crate::guard::texts::Kind;
use crate::json::write_string;
use crate::usage::Framing;

/// The most flows, and the largest event with the most texts, of which something is held back. Beyond that a
/// placeholder that comes in pieces is not put together.
const MAX_FLOWS: usize = 256;
const MAX_COPIED: usize = 16 << 10;
const MAX_TEXTS: usize = 64;

pub(super) struct Voice {
    framing: Framing,
    dialect: Dialect,
    rewrite: Option<Box<dyn Rewrite>>,
    /// By flow, the last event that carried a piece of it: what is held back at the flow's end goes on in a copy.
    copies: BTreeMap<Flow, Copy>,
}

/// An event that can carry another text.
struct Copy {
    bytes: Vec<u8>,
    /// Where the text goes.
    span: Range<usize>,
    /// What may not be said again.
    muted: Vec<(Range<usize>, String)>,
}

impl Voice {
    pub(super) fn new(framing: Framing, dialect: Dialect) -> Self {
        Voice { framing, dialect, rewrite: None, copies: BTreeMap::new() }
    }

    /// Changes the texts from now on.
    pub(super) fn rewrite(&mut self, rewrite: Box<dyn Rewrite>) {
        self.rewrite = Some(rewrite);
    }

    /// How much memory it takes, but for the [`Rewrite`].
    pub(super) fn held(&self) -> usize {
        self.copies.values().map(|copy| copy.bytes.len()).sum()
    }

    /// The event goes on.
    pub(super) fn say(&mut self, event: Event, out: &mut Vec<u8>) {
        let is_replaced = event.said.iter().any(|said| !said.edits.is_empty());
        if self.rewrite.is_none() && !is_replaced {
            out.extend_from_slice(&event.bytes);
            return;
        }
        self.end_flows(&event, out);
        let ended = self.ended(&event);
        let mut splices = self.changes(&event, &ended);
        if is_replaced {
            splices.extend(event.echoes.iter().cloned());
        }
        match splices.is_empty() {
            true => out.extend_from_slice(&event.bytes),
            false => out.extend(event.spliced(splices)),
        }
        self.keep_copies(&event, &ended);
    }

    /// All flows have ended; what was held back goes on.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let flows: Vec<Flow> = self.copies.keys().copied().collect();
        flows.into_iter().for_each(|flow| self.end_flow(flow, out));
    }

    /// What is held back of the flows that end with this event, and have no text in it, goes before it.
    fn end_flows(&mut self, event: &Event, out: &mut Vec<u8>) {
        let speaks = |flow: &Flow| event.said.iter().any(|said| said.flow == *flow);
        let ending = |flow: &&Flow| event.ends.has(flow.choice) && !speaks(flow);
        let flows: Vec<Flow> = self.copies.keys().filter(ending).copied().collect();
        flows.into_iter().for_each(|flow| self.end_flow(flow, out));
    }

    fn end_flow(&mut self, flow: Flow, out: &mut Vec<u8>) {
        let (Some(copy), Some(rewrite)) = (self.copies.remove(&flow), &mut self.rewrite) else {
            return;
        };
        let rest = rewrite.finish(flow);
        if rest.is_empty() {
            return;
        }
        let mut splices = copy.muted;
        splices.push((copy.span, written(&rest)));
        let spliced = crate::guard::texts::splice_raw(&copy.bytes, splices);
        out.extend(terminated(self.framing, &spliced));
    }

    /// The texts of the event that are not shown as they came.
    fn changes(&mut self, event: &Event, ended: &[bool]) -> Vec<(Range<usize>, String)> {
        let mut splices = Vec::new();
        let open = |(said, _): &(&Said, &bool)| said.flow.kind != Kind::Sealed;
        for (said, ends) in event.said.iter().zip(ended).filter(open) {
            let text = said.edited();
            let shown = match &mut self.rewrite {
                None => text.into_owned(),
                Some(rewrite) => {
                    let mut shown = rewrite.push(said.flow, &text);
                    if *ends {
                        shown.push_str(&rewrite.finish(said.flow));
                    }
                    shown
                }
            };
            if shown != said.text {
                splices.push((said.span.clone(), written(&shown)));
            }
        }
        splices
    }

    /// For each text of the event, whether nothing more of its flow is to come, or can be held back.
    fn ended(&self, event: &Event) -> Vec<bool> {
        let mut room = MAX_FLOWS.saturating_sub(self.copies.len());
        let is_large = event.bytes.len() > MAX_COPIED || event.said.len() > MAX_TEXTS;
        let mut later = BTreeSet::new();
        let ended = |said: &Said| {
            let is_whole = said.flow.whole || said.flow.kind == Kind::Sealed;
            if is_whole || !later.insert(said.flow) {
                return is_whole;
            }
            let is_known = self.copies.contains_key(&said.flow);
            let ends = event.ends.has(said.flow.choice) || is_large || room == 0 && !is_known;
            room -= usize::from(!ends && !is_known);
            ends
        };
        let mut ended: Vec<bool> = event.said.iter().rev().map(ended).collect();
        ended.reverse();
        ended
    }

    fn keep_copies(&mut self, event: &Event, ended: &[bool]) {
        if self.rewrite.is_none() {
            return;
        }
        for (said, ends) in event.said.iter().zip(ended) {
            if *ends {
                self.copies.remove(&said.flow);
                continue;
            }
            if event.said.len() > MAX_TEXTS {
                continue; // the last text of this flow ends it
            }
            let others = event.said.iter().filter(|other| other.span != said.span);
            let mut muted: Vec<_> = others.map(|other| (other.span.clone(), written(""))).collect();
            muted.extend(event.echoes.iter().cloned());
            if self.dialect == Dialect::OpenAi {
                // clients add up the strings of a choice's deltas
                muted.extend(event.once.iter().map(|span| (span.clone(), written(""))));
            }
            let copy = Copy { bytes: event.bytes.clone(), span: said.span.clone(), muted };
            self.copies.insert(said.flow, copy);
        }
    }
}

fn written(text: &str) -> String {
    let mut string = String::with_capacity(text.len() + 2);
    write_string(&mut string, text);
    string
}
