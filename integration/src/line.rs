//! A connection whose request handler controls how it ends.
//!
//! hyper does the HTTP; it can neither cut a header block in two nor reset a connection. So the request handler shares
//! a [`Line`] with the I/O below hyper. With it, the handler can limit how many more bytes are sent, choose how the
//! connection ends, and learn when its bytes have reached the socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{ready, Context, Poll, Waker};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::journal::Ticket;
use crate::realtime::Conversation;
use crate::socket::{Ending, Socket};

/// The handle that a connection shares with its request handler.
#[derive(Debug, Default)]
pub struct Line {
    state: Mutex<LineState>,
}

#[derive(Debug, Default)]
struct LineState {
    ending: Ending,
    /// How many more bytes may be written; `None`: any number.
    allowance: Option<usize>,
    unflushed: bool,
    waiting: Option<Waker>,
    receipt: Option<(Ticket, Value)>,
    /// What follows the answer that is being sent.
    conversation: Option<Conversation>,
}

impl Line {
    /// How the connection will end.
    pub fn end_with(&self, ending: Ending) {
        self.lock().ending = ending;
    }

    /// After the answer that is being sent, the connection goes on as WebSocket.
    pub fn go_on_with(&self, conversation: Conversation) {
        self.lock().conversation = Some(conversation);
    }

    /// The conversation that follows, if any.
    pub fn take_conversation(&self) -> Option<Conversation> {
        self.lock().conversation.take()
    }

    pub fn ending(&self) -> Ending {
        self.lock().ending
    }

    /// Breaks the connection after this many more bytes.
    pub fn break_after(&self, bytes: usize, ending: Ending) {
        let mut state = self.lock();
        state.ending = ending;
        state.allowance = Some(bytes);
    }

    /// Expects bytes to be sent; `receipt` is entered in the journal once they are on the socket.
    pub fn expect_flush(&self, receipt: Option<(Ticket, Value)>) {
        let mut state = self.lock();
        state.unflushed = true;
        if receipt.is_some() {
            state.receipt = receipt;
        }
    }

    /// Ready once all expected bytes have been written to the socket.
    pub fn poll_flushed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.unflushed {
            state.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn flushed(&self) {
        let mut state = self.lock();
        state.unflushed = false;
        let (receipt, waiting) = (state.receipt.take(), state.waiting.take());
        drop(state);
        if let Some((ticket, usage)) = receipt {
            ticket.usage(usage);
        }
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The I/O that a [`Line`] controls.
#[derive(Debug)]
pub struct LineIo {
    pub socket: Socket,
    line: std::sync::Arc<Line>,
}

impl LineIo {
    pub fn new(socket: Socket, line: std::sync::Arc<Line>) -> Self {
        Self { socket, line }
    }

    /// Writes within the allowance; only faults set one.
    fn poll_write_limited(&mut self, cx: &mut Context<'_>, bytes: &[u8], allowance: usize) -> Poll<io::Result<usize>> {
        let allowed = bytes.get(..allowance.min(bytes.len())).unwrap_or_default();
        if allowed.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, allowed))?;
        self.line.lock().allowance = Some(allowance - written.min(allowance));
        Poll::Ready(Ok(written))
    }
}

impl AsyncRead for LineIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buffer)
    }
}

impl AsyncWrite for LineIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let allowance = self.line.lock().allowance;
        match allowance {
            Some(allowance) => self.poll_write_limited(cx, bytes, allowance),
            None => Pin::new(&mut self.socket).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let allowance = self.line.lock().allowance;
        match allowance {
            Some(allowance) => {
                let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |s| s);
                self.poll_write_limited(cx, first, allowance)
            }
            None => Pin::new(&mut self.socket).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// hyper flushes only once it has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
        self.line.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
