//! The client's output: the events, with the texts after the checks and the [`Rewrite`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::event::{terminated, Event, Extent, Said};
use super::{Flow, Rewrite};
use crate::endpoint::Dialect;
use crate::guard::texts::PassageKind;
use crate::json::write_string;
use crate::usage::Framing;

/// The maximum number of flows, and the largest event with the most texts, for which text is held back. Beyond that, a
/// placeholder that arrives in pieces is not restored.
const MAX_FLOWS: usize = 256;
const MAX_COPIED: usize = 16 << 10;
const MAX_TEXTS: usize = 64;

/// Writes the events that pass.
pub(super) struct StreamWriter {
    framing: Framing,
    dialect: Dialect,
    rewrite: Option<Box<dyn Rewrite>>,
    /// By flow, the last event with a piece of it: at the flow's end, its copy carries the held text.
    copies: BTreeMap<Flow, Copy>,
    /// The flow of the text in which the last event was cut.
    cut: Option<Flow>,
}

/// What follows a text in its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// More may follow, and text may be held back until then.
    Comes,
    /// More may follow, but nothing can be held back.
    Apart,
    /// Nothing.
    Nothing,
}

/// An event that can carry another text.
struct Copy {
    bytes: Vec<u8>,
    /// Where the text goes.
    span: Range<usize>,
    /// What must not be repeated.
    muted: Vec<(Range<usize>, String)>,
}

impl StreamWriter {
    pub(super) fn new(framing: Framing, dialect: Dialect) -> Self {
        StreamWriter { framing, dialect, rewrite: None, copies: BTreeMap::new(), cut: None }
    }

    /// Changes the texts from now on.
    pub(super) fn rewrite(&mut self, rewrite: Box<dyn Rewrite>) {
        self.rewrite = Some(rewrite);
    }

    /// Its memory in bytes, without the [`Rewrite`].
    pub(super) fn held(&self) -> usize {
        self.copies.values().map(|copy| copy.bytes.len()).sum()
    }

    /// Passes the event.
    pub(super) fn write(&mut self, event: Event, out: &mut Vec<u8>) {
        let is_replaced = event.said.iter().any(|said| !said.edits.is_empty());
        if self.rewrite.is_none() && !is_replaced {
            out.extend_from_slice(&event.bytes);
            return;
        }
        self.end_cut(&event, out);
        if !matches!(event.extent, Extent::Whole) {
            return self.write_piece(&event, out);
        }
        self.end_flows(&event, out);
        let rests = self.rests(&event);
        let mut splices = self.changes(&event, &rests);
        if is_replaced {
            splices.extend(event.echoes.iter().cloned());
        }
        match splices.is_empty() {
            true => out.extend_from_slice(&event.bytes),
            false => out.extend(event.spliced(splices)),
        }
        self.keep_copies(&event, &rests);
    }

    /// Passes a part of an event. It includes text held back at the end of a string.
    fn write_piece(&mut self, event: &Event, out: &mut Vec<u8>) {
        let rest = |said: &Said| match (said.ends, said.flow.whole) {
            (false, _) => Rest::Comes,
            (true, false) => Rest::Apart,
            (true, true) => Rest::Nothing,
        };
        let rests: Vec<Rest> = event.said.iter().map(rest).collect();
        let splices = self.changes(event, &rests);
        out.extend(event.spliced(splices));
        self.cut = event.said.last().filter(|said| !said.ends).map(|said| said.flow);
        // it is too late to send it before the event
        self.end_flows(event, out);
    }

    /// A cut text does not continue here: its held text is released.
    fn end_cut(&mut self, event: &Event, out: &mut Vec<u8>) {
        if let Some(flow) = self.cut.filter(|_| event.said.first().is_none_or(|said| said.begins)) {
            self.close(flow, out);
        }
    }

    /// Nothing more of a cut event is shown: its text's held part is released.
    pub(super) fn close_cut(&mut self, out: &mut Vec<u8>) {
        if let Some(flow) = self.cut {
            self.close(flow, out);
        }
    }

    fn close(&mut self, flow: Flow, out: &mut Vec<u8>) {
        self.cut = None;
        if let Some(rewrite) = &mut self.rewrite {
            let rest = written(&rewrite.finish(flow));
            out.extend_from_slice(rest.get(1..rest.len() - 1).unwrap_or_default().as_bytes());
        }
    }

    /// All flows have ended; the held texts are released.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.close_cut(out);
        let flows: Vec<Flow> = self.copies.keys().copied().collect();
        flows.into_iter().for_each(|flow| self.end_flow(flow, out));
    }

    /// The held text of flows that end with this event, and have no text in it, is released before it.
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

    /// The texts of the event that are shown changed.
    fn changes(&mut self, event: &Event, rests: &[Rest]) -> Vec<(Range<usize>, String)> {
        let mut splices = Vec::new();
        let open = |(said, _): &(&Said, &Rest)| said.flow.kind != PassageKind::Signed;
        for (said, rest) in event.said.iter().zip(rests).filter(open) {
            let text = said.edited();
            let shown = match &mut self.rewrite {
                None => text.into_owned(),
                Some(rewrite) => {
                    let mut shown = rewrite.push(said.flow, &text);
                    match rest {
                        Rest::Comes => {}
                        Rest::Apart => shown.push_str(&rewrite.flush(said.flow)),
                        Rest::Nothing => shown.push_str(&rewrite.finish(said.flow)),
                    }
                    shown
                }
            };
            if shown != said.text {
                splices.push((said.span.clone(), written_part(&shown, said)));
            }
        }
        splices
    }

    /// For each text of the event, what follows it in its flow.
    fn rests(&self, event: &Event) -> Vec<Rest> {
        let mut room = MAX_FLOWS.saturating_sub(self.copies.len());
        let is_large = event.bytes.len() > MAX_COPIED || event.said.len() > MAX_TEXTS;
        let mut later = BTreeSet::new();
        let rest = |said: &Said| {
            let is_whole = said.flow.whole || said.flow.kind == PassageKind::Signed;
            if is_whole || !later.insert(said.flow) {
                return if is_whole { Rest::Nothing } else { Rest::Comes };
            }
            let is_known = self.copies.contains_key(&said.flow);
            if event.ends.has(said.flow.choice) {
                return Rest::Nothing;
            }
            if is_large || room == 0 && !is_known {
                return Rest::Apart;
            }
            room -= usize::from(!is_known);
            Rest::Comes
        };
        let mut rests: Vec<Rest> = event.said.iter().rev().map(rest).collect();
        rests.reverse();
        rests
    }

    fn keep_copies(&mut self, event: &Event, rests: &[Rest]) {
        if self.rewrite.is_none() {
            return;
        }
        for (said, rest) in event.said.iter().zip(rests) {
            if *rest != Rest::Comes {
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

/// A text's JSON form as the replacement of a part of a string: without the quotes that are not part of it.
fn written_part(text: &str, said: &Said) -> String {
    let mut string = written(text);
    if !said.ends {
        string.pop();
    }
    if !said.begins {
        string.remove(0);
    }
    string
}

fn written(text: &str) -> String {
    let mut string = String::with_capacity(text.len() + 2);
    write_string(&mut string, text);
    string
}
