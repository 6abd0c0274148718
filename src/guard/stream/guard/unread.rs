//! What a guard does with events that it cannot read: too large, no JSON, or more than may wait.

use super::{State, StreamGuard};
use crate::guard::api::Failure;
use crate::guard::stream::event::{Event, Trouble};
use crate::guard::stream::{Mode, Unchecked};

impl StreamGuard {
    /// An event that cannot be checked has come. `true` if it may not be shown.
    pub(super) fn is_refused(&mut self, trouble: Trouble, out: &mut Vec<u8>) -> bool {
        match (self.mode, self.limits.unchecked, trouble) {
            (Mode::Window, Unchecked::Block, Trouble::Garbage | Trouble::Beyond) => {
                self.note(trouble.failure());
                out.extend(self.block());
                true
            }
            (Mode::Window, Unchecked::Pass, _) | (Mode::Final, ..) => {
                self.note(trouble.failure());
                false
            }
            (Mode::Pass, ..) => false,
        }
    }

    /// An event is larger than what is read, or will be. Nothing else ends with it.
    pub(super) fn too_large(&mut self, bytes: Vec<u8>, out: &mut Vec<u8>) {
        if self.state != State::Open {
            return;
        }
        self.note(Failure::TooLarge);
        match (self.mode, self.limits.unchecked) {
            (Mode::Window, Unchecked::Block) => out.extend(self.block()),
            (Mode::Window, Unchecked::Pass) | (Mode::Final | Mode::Pass, _) => self.skip(bytes, out),
        }
    }

    /// A part of an event that is not read: it passes after all that stands before it; or it is swallowed.
    pub(super) fn skip(&mut self, bytes: Vec<u8>, out: &mut Vec<u8>) {
        if self.state != State::Open || bytes.is_empty() {
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

    /// There is more than can be held: what waits passes unchecked; or the answer ends. What comes after is checked again.
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
