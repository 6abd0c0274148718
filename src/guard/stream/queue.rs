//! The events that wait for their checks, in order, and the windows that are being checked.

use std::collections::VecDeque;

use super::event::Event;
use super::flow::Piece;
use super::written::Written;
use super::Replacement;
use crate::guard::texts::PassageKind;

/// A window that is being checked.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) id: u64,
    pub(super) written: Written,
    /// Where its new text begins.
    pub(super) fresh: usize,
    /// The texts in it.
    pub(super) pieces: Vec<Piece>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    events: VecDeque<Event>,
    /// The number of the first event.
    first: u64,
    weight: usize,
    windows: Vec<Checked>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events' memory in bytes.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// The events' size in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.bytes.len()).sum()
    }

    /// The number of the next event.
    pub(super) fn next_number(&self) -> u64 {
        self.first.saturating_add(self.events.len() as u64)
    }

    pub(super) fn push(&mut self, event: Event) {
        self.weight = self.weight.saturating_add(event.weight());
        self.events.push_back(event);
    }

    /// A window is being checked.
    pub(super) fn check(&mut self, window: Checked) {
        self.windows.push(window);
    }

    /// A text of this event is in another window, too.
    pub(super) fn divide(&mut self, event: u64) {
        if let Some(event) = self.event(event) {
            event.pending += 1;
        }
    }

    fn event(&mut self, number: u64) -> Option<&mut Event> {
        let offset = usize::try_from(number.checked_sub(self.first)?).unwrap_or(usize::MAX);
        self.events.get_mut(offset)
    }

    /// Stops waiting for verdicts: takes the events out.
    pub(super) fn give_up(&mut self) -> VecDeque<Event> {
        std::mem::take(self).events
    }

    /// Releases a window's texts, with the checks' changes. An unknown id is ignored.
    pub(super) fn release(&mut self, id: u64, replacements: &[Replacement]) {
        let Some(position) = self.windows.iter().position(|window| window.id == id) else {
            return;
        };
        let Checked { written, fresh, pieces, .. } = self.windows.swap_remove(position);
        let edits = if replacements.is_empty() { Vec::new() } else { written.edits(replacements) };
        for piece in pieces {
            let Some(event) = self.event(piece.event) else {
                continue;
            };
            event.pending = event.pending.saturating_sub(1);
            if let Some(said) = event.said.get_mut(piece.number).filter(|said| said.flow.kind != PassageKind::Signed) {
                said.edits.extend(changes(&said.text, &piece, fresh, &edits));
            }
        }
    }

    /// The next event, if all of it has been released.
    pub(super) fn pop(&mut self) -> Option<Event> {
        if self.events.front()?.pending > 0 {
            return None;
        }
        let event = self.events.pop_front()?;
        self.first = self.first.saturating_add(1);
        self.weight = self.weight.saturating_sub(event.weight());
        if self.events.is_empty() {
            self.weight = 0;
        }
        Some(event)
    }
}

/// The changes in the part of a text that a piece is; `fresh`: the text before has been shown. A change across several
/// texts is written into the first.
fn changes(text: &str, piece: &Piece, fresh: usize, edits: &[Replacement]) -> Vec<Replacement> {
    let end = piece.start + piece.length;
    let touching = edits.iter().filter_map(|(range, new)| {
        let from = range.start.max(fresh);
        (from < range.end && from < end && range.end > piece.start).then_some((from, range.end, new))
    });
    let within = |at: usize| piece.skipped + at.saturating_sub(piece.start).min(piece.length);
    let change = |(from, to, new): (usize, usize, &String)| {
        let written = if from >= piece.start { new.clone() } else { String::new() };
        (floor(text, within(from))..ceil(text, within(to)), written)
    };
    touching.map(change).collect()
}

/// The character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The character boundary at or after `at`.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
