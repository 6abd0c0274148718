//! The events that wait for their checks, in their order, and the windows that are being checked.

use std::collections::VecDeque;

use super::event::Event;
use super::flow::Piece;
use super::Replacement;

#[derive(Debug, Default)]
pub(super) struct Queue {
    events: VecDeque<Event>,
    /// The number of the first event.
    first: u64,
    weight: usize,
    /// The windows under check: their id, where their new text begins, and the texts in them.
    windows: Vec<(u64, usize, Vec<Piece>)>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How much memory the events take.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// The number that the next event will have.
    pub(super) fn next_number(&self) -> u64 {
        self.first.saturating_add(self.events.len() as u64)
    }

    pub(super) fn push(&mut self, event: Event) {
        self.weight = self.weight.saturating_add(event.weight());
        self.events.push_back(event);
    }

    /// The LF of a CR LF that came cut in two: it belongs to the last event. `false` if none waits.
    pub(super) fn push_line_feed(&mut self) -> bool {
        self.events.back_mut().map(|event| event.bytes.push(b'\n')).is_some()
    }

    /// A window is being checked, whose new text begins at `fresh`.
    pub(super) fn check(&mut self, id: u64, fresh: usize, pieces: Vec<Piece>) {
        self.windows.push((id, fresh, pieces));
    }

    /// No verdict is awaited any more: takes the events out.
    pub(super) fn give_up(&mut self) -> VecDeque<Event> {
        std::mem::take(self).events
    }

    /// A window's texts may be shown, changed as the check wants it. Nothing happens to an id that is not known.
    pub(super) fn release(&mut self, id: u64, replacements: &[Replacement]) {
        let Some(position) = self.windows.iter().position(|(known, ..)| *known == id) else {
            return;
        };
        let (_, fresh, pieces) = self.windows.swap_remove(position);
        for piece in pieces {
            let offset = usize::try_from(piece.event.saturating_sub(self.first)).unwrap_or(usize::MAX);
            let Some(event) = self.events.get_mut(offset) else {
                continue;
            };
            event.pending = event.pending.saturating_sub(1);
            if let Some(said) = event.said.get_mut(piece.number) {
                said.replaced = replace(&said.text, piece.start, fresh, replacements);
            }
        }
    }

    /// The next event, if nothing of it waits any more.
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

/// One text of a window after the replacements, which mean bytes of the window; `None` if it stays as it is.
/// `start`: where it stands in the window; `fresh`: what stands before has been shown. What spans several texts is
/// written into the first.
fn replace(text: &str, start: usize, fresh: usize, replacements: &[Replacement]) -> Option<String> {
    let end = start + text.len();
    let mut touching: Vec<(usize, usize, &str)> = replacements
        .iter()
        .map(|(range, new)| (range.start.max(fresh), range.end, new.as_str()))
        .filter(|(from, to, _)| from < to && *from < end && *to > start)
        .collect();
    if touching.is_empty() {
        return None;
    }
    touching.sort_by_key(|(from, ..)| *from);
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (from, to, new) in touching {
        let first = floor(text, from.saturating_sub(start)).max(copied);
        out.push_str(text.get(copied..first).unwrap_or_default());
        if from >= start {
            out.push_str(new);
        }
        copied = ceil(text, to.saturating_sub(start)).max(first);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Some(out)
}

/// The character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The character boundary at or after `at`.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}
