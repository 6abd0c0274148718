//! Reading of an event that is too large to hold.

use std::time::Duration;

use super::{StreamGuard, StreamState};
use crate::guard::stream::event::EventError;
use crate::guard::stream::flow::Why;
use crate::guard::stream::pieces::Pieces;
use crate::guard::stream::Mode;
use crate::usage::Framing;

/// If this many bytes wait after texts that have ended, these no longer wait for their windows to fill.
const HASTE: usize = 1 << 20;

impl StreamGuard {
    /// The current event has this many bytes, and is too large to hold.
    pub(super) fn read_part(&mut self, mut buffer: Vec<u8>, now: Duration, out: &mut Vec<u8>) {
        let read = match self.state {
            StreamState::Open => self.read_pieces(&buffer, false, now, out),
            StreamState::Ended | StreamState::Blocked | StreamState::Finished => {
                self.skipping = !buffer.is_empty();
                buffer.len()
            }
        };
        self.boundaries.consume(read);
        buffer.drain(..read);
        self.buffer = buffer;
    }

    /// Reads as much of the current event as possible; `is_all`: it is complete. Returns the number of bytes read.
    pub(super) fn read_pieces(&mut self, bytes: &[u8], is_all: bool, now: Duration, out: &mut Vec<u8>) -> usize {
        let (framing, largest) = (self.framing, self.limits.event);
        let mut pieces = self.pieces.take().unwrap_or_else(|| Pieces::new(framing, largest));
        let mut rest = bytes;
        while self.state == StreamState::Open {
            match pieces.next(rest, is_all, |meta| self.ending.see(meta)) {
                Ok(Some(event)) => {
                    rest = rest.get(event.bytes.len()..).unwrap_or_default();
                    // token lists that repeat the text must not be shown, because the text may change later
                    if self.mode == Mode::Window && !event.echoes.is_empty() && self.refuses(EventError::TooLarge, out)
                    {
                        break;
                    }
                    self.take(event, now, out);
                    if self.mode == Mode::Window && self.queue.weight() > HASTE.min(self.limits.held / 2) {
                        self.cut(None, |_, collected| (!collected.is_open()).then_some(Why::Now));
                    }
                }
                Ok(None) => {
                    self.pieces = (!is_all).then_some(pieces);
                    return bytes.len() - rest.len();
                }
                Err(error) => {
                    if !self.refuses(error, out) {
                        self.skipping = !is_all;
                        self.skip(rest.to_vec(), out);
                        return bytes.len();
                    }
                }
            }
        }
        // it has been blocked
        self.skipping = !is_all;
        bytes.len()
    }

    /// Completes the shown part of an event that was cut. Returns the brackets that close one JSON text, because the
    /// answer's end may come before them.
    pub(super) fn close_event(&mut self, out: &mut Vec<u8>) -> Vec<u8> {
        let closing = std::mem::take(&mut self.closing);
        if closing.is_empty() {
            return closing;
        }
        self.writer.close_cut(out);
        if self.framing == Framing::Json {
            return closing;
        }
        out.extend(closing);
        Vec::new()
    }
}
