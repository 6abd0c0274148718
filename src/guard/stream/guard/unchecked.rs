//! Events that cannot be checked: not JSON, not readable in pieces, or more than may wait.

use std::time::Duration;

use super::{StreamGuard, StreamState};
use crate::guard::api::Failure;
use crate::guard::stream::event::{Event, EventError};
use crate::guard::stream::{Mode, Unchecked};

impl StreamGuard {
    /// An event that cannot be checked or restored. Returns `true` if it must not be shown.
    pub(super) fn refuses(&mut self, error: EventError, out: &mut Vec<u8>) -> bool {
        match (self.mode, self.limits.unchecked, error) {
            // an event that is not JSON has nothing to restore
            (Mode::Pass, _, EventError::NotJson) => false,
            (Mode::Window | Mode::Pass, Unchecked::Block, _) => {
                self.note(error.failure());
                out.extend(self.block());
                true
            }
            (Mode::Window | Mode::Pass, Unchecked::Pass, _) | (Mode::Final, ..) => {
                self.note(error.failure());
                false
            }
        }
    }

    /// There is no memory for waiting events: they pass unchecked, or the answer ends. Later events are checked again.
    pub fn overflow(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        match self.state {
            StreamState::Open => {}
            StreamState::Ended => {
                self.give_up(&mut out);
                self.close(&mut out);
                return out;
            }
            StreamState::Blocked | StreamState::Finished => return out,
        }
        let buffer = std::mem::take(&mut self.buffer);
        if self.mode == Mode::Pass {
            self.read_part(buffer, Duration::ZERO, &mut out);
            return out;
        }
        self.give_up(&mut out);
        if self.pieces.is_some() {
            self.buffer = buffer;
        } else if !buffer.is_empty() {
            self.boundaries.consume(buffer.len());
            self.skip(buffer, &mut out);
            self.skipping = true;
        }
        out
    }

    /// A part of an event that is not read: it passes after everything before it, or is swallowed.
    pub(super) fn skip(&mut self, bytes: Vec<u8>, out: &mut Vec<u8>) {
        if self.state != StreamState::Open || bytes.is_empty() {
            return;
        }
        let event = Event { bytes, ..Event::default() };
        match self.queue.is_empty() {
            true => self.say(event, out),
            false => self.queue.push(event),
        }
        if self.queue.weight() > self.limits.held {
            self.give_up(out);
        }
    }

    /// There is more than can be held: waiting events pass unchecked, or the answer ends. Later events are checked
    /// again.
    pub(super) fn give_up(&mut self, out: &mut Vec<u8>) {
        self.note(Failure::Busy);
        if (self.mode, self.limits.unchecked) == (Mode::Window, Unchecked::Block) {
            out.extend(self.block());
            return;
        }
        self.flows.clear();
        self.ready.clear();
        for event in self.queue.give_up() {
            self.say(event, out);
        }
    }
}
