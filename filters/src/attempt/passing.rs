//! A passing answer: single fields are read or replaced.

use sluice::memory_budget::Purpose;

use super::running::RunningAttempt;
use crate::budget;
use crate::host::{self, Buffer, Headers};
use crate::stored;

impl RunningAttempt {
    /// The answer begins to pass. `held`: its first bytes have arrived; `whole`: its last bytes, too.
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

    /// At most `size` further bytes of the answer pass. Returns its new length, if it was changed.
    pub fn pass(&mut self, size: usize) -> Option<usize> {
        let splice = self.splice.as_mut()?;
        let Ok(bytes) = budget::receive(Purpose::Answer, Buffer::ResponseBody, 0, size) else {
            self.splice = None; // it passes unchanged
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
