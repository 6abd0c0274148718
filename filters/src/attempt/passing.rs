//! An answer that passes to the client: single fields of it are read, or written over.

use sluice::memory_budget::Purpose;

use super::sent::Sent;
use crate::budget;
use crate::host::{self, Buffer, Headers};
use crate::stored;

impl Sent {
    /// The answer begins to pass. `held`: its first bytes are there; `whole`: and its last.
    pub fn begin_passing(&mut self, held: bool, whole: bool) {
        let exchange = self.exchange.borrow();
        self.splice = exchange.splice(self.translation.is_some());
        let writes = exchange.writes_model();
        drop(exchange);
        if self.splice.is_none() {
            return;
        }
        let length = if held { self.pass(usize::MAX) } else { None };
        match length.filter(|_| whole) {
            Some(length) => host::set_header(Headers::Response, "content-length", &length.to_string()),
            None => !writes || host::remove_header(Headers::Response, "content-length"),
        };
    }

    /// More of the answer passes, at most `size` bytes. Its length now, if it has been written over.
    pub fn pass(&mut self, size: usize) -> Option<usize> {
        let splice = self.splice.as_mut()?;
        let Ok(bytes) = budget::receive(Purpose::Answer, Buffer::ResponseBody, 0, size) else {
            self.splice = None; // it passes as it is
            return None;
        };
        let length = splice.chunk(&bytes).map(|written| {
            host::replace_bytes(Buffer::ResponseBody, written);
            written.len()
        });
        if let Some(id) = splice.take_id() {
            stored::keep(&self.exchange.borrow(), &id);
        }
        if splice.is_done() {
            self.splice = None;
        }
        length
    }
}
