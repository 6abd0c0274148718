//! Rewrites a long body where it is, in Envoy's buffer: of a file of 25 MB at most one piece is in the VM's memory.
//!
//! Envoy can replace the beginning of a buffer, or add to its end, but nothing in between. So a change further on is made
//! by moving the body once, piece by piece, from the beginning to the end.

use sluice::memory_budget::Purpose;
use sluice::rewrite::{BodyChanged, BodyRewrite};

use crate::budget::{self, NoMemory};
use crate::host::{self, Buffer};
use crate::incoming::PIECE;

/// Why a body is not rewritten.
pub(super) enum RewriteFailure {
    /// There is no memory for a piece.
    NoMemory,
    /// It is not the body that was planned for, or Envoy refused.
    Changed,
}

impl From<NoMemory> for RewriteFailure {
    fn from(NoMemory: NoMemory) -> Self {
        RewriteFailure::NoMemory
    }
}

impl From<BodyChanged> for RewriteFailure {
    fn from(BodyChanged: BodyChanged) -> Self {
        RewriteFailure::Changed
    }
}

/// Rewrites the `size` bytes in the buffer; `end`: they are the last ones.
pub(super) fn rewrite(body: &mut BodyRewrite, size: usize, end: bool) -> Result<(), RewriteFailure> {
    let touched = body.touched(size);
    if touched == 0 {
        return Ok(body.skip(size, end)?);
    }
    if touched <= PIECE {
        let bytes = budget::receive(Purpose::Body, Buffer::RequestBody, 0, touched)?;
        let rewritten = body.chunk(&bytes, end && touched == size)?.unwrap_or(bytes);
        body.skip(size - touched, end)?;
        return replaced(host::replace_start(Buffer::RequestBody, touched, &rewritten));
    }
    let mut left = size;
    while left > 0 {
        let bytes = budget::receive(Purpose::Body, Buffer::RequestBody, 0, left.min(PIECE))?;
        if bytes.is_empty() {
            return Err(RewriteFailure::Changed);
        }
        left = left.saturating_sub(bytes.len());
        let length = bytes.len();
        let rewritten = body.chunk(&bytes, end && left == 0)?.unwrap_or(bytes);
        // in this order: the buffer never holds more than it did
        replaced(host::replace_start(Buffer::RequestBody, length, b""))?;
        replaced(host::append_bytes(Buffer::RequestBody, &rewritten))?;
    }
    Ok(())
}

fn replaced(done: bool) -> Result<(), RewriteFailure> {
    done.then_some(()).ok_or(RewriteFailure::Changed)
}
