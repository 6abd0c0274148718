//! The response body: frames played one at a time, then a proper or a broken end.

use std::fmt;
use std::future::Future;
use std::iter::Peekable;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use serde_json::Value;
use tokio::time::Sleep;

use crate::journal::Ticket;
use crate::line::Line;
use crate::slots::Slot;

/// The error that ends a body when the connection is broken on purpose. The [`Line`] decides how it breaks.
#[derive(Debug)]
pub struct HungUp;

impl fmt::Display for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hung up as ordered")
    }
}

impl std::error::Error for HungUp {}

/// Bytes, and the usage that the client has seen once it has them.
#[derive(Debug)]
pub struct Piece {
    pub bytes: Bytes,
    pub usage: Option<Value>,
}

/// What comes after the last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finale {
    End,
    HangUp,
    /// Nothing, until the client closes the connection.
    Silence,
}

/// The content to play.
pub enum Score {
    /// One frame, and its declared length.
    Whole {
        piece: Option<Piece>,
        declared: u64,
    },
    Events(Peekable<Box<dyn Iterator<Item = Piece> + Send>>),
}

impl Score {
    pub fn whole(bytes: Bytes, usage: Option<Value>) -> Self {
        let declared = bytes.len() as u64;
        Score::Whole { piece: Some(Piece { bytes, usage }), declared }
    }

    pub fn events(pieces: impl Iterator<Item = Piece> + Send + 'static) -> Self {
        let boxed: Box<dyn Iterator<Item = Piece> + Send> = Box::new(pieces);
        Score::Events(boxed.peekable())
    }

    fn next(&mut self) -> Option<Piece> {
        match self {
            Score::Whole { piece, .. } => piece.take().filter(|piece| !piece.bytes.is_empty()),
            Score::Events(pieces) => pieces.next(),
        }
    }

    fn has_next(&mut self) -> bool {
        match self {
            Score::Whole { piece, .. } => piece.is_some(),
            Score::Events(pieces) => pieces.peek().is_some(),
        }
    }
}

/// A response body that plays a score on a line.
pub struct Playback {
    score: Score,
    finale: Finale,
    line: Arc<Line>,
    ticket: Option<Ticket>,
    /// Kept until everything is played.
    _slot: Slot,
    /// The delay between events.
    pause: Duration,
    pausing: Option<Pin<Box<Sleep>>>,
}

impl Playback {
    pub fn new(score: Score, finale: Finale, line: Arc<Line>, ticket: Option<Ticket>) -> Self {
        Self { score, finale, line, ticket, _slot: Slot::default(), pause: Duration::ZERO, pausing: None }
    }

    pub fn paced(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    pub fn holding(self, slot: Slot) -> Self {
        Self { _slot: slot, ..self }
    }

    fn play(&mut self, piece: Piece) -> Frame<Bytes> {
        let receipt = self.ticket.clone().zip(piece.usage);
        self.line.expect_flush(receipt);
        if !self.pause.is_zero() && self.score.has_next() {
            self.pausing = Some(Box::pin(tokio::time::sleep(self.pause)));
        }
        Frame::data(piece.bytes)
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = HungUp;

    /// Every frame waits until the previous one is on the socket: so each event is sent separately, and a connection
    /// never ends before its bytes are sent.
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HungUp>>> {
        ready!(self.line.poll_flushed(cx));
        if let Some(pausing) = &mut self.pausing {
            ready!(pausing.as_mut().poll(cx));
            self.pausing = None;
        }
        match (self.score.next(), self.finale) {
            (Some(piece), _) => Poll::Ready(Some(Ok(self.play(piece)))),
            (None, Finale::End) => Poll::Ready(None),
            (None, Finale::HangUp) => Poll::Ready(Some(Err(HungUp))),
            (None, Finale::Silence) => Poll::Pending,
        }
    }

    /// A shortcut for the common answer.
    fn is_end_stream(&self) -> bool {
        match (&self.score, self.finale) {
            (Score::Whole { piece, .. }, Finale::End) => piece.as_ref().is_none_or(|piece| piece.bytes.is_empty()),
            (Score::Whole { .. }, Finale::HangUp | Finale::Silence) | (Score::Events(_), _) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.score {
            Score::Whole { declared, .. } => SizeHint::with_exact(*declared),
            Score::Events(_) => SizeHint::default(),
        }
    }
}
