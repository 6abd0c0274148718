//! The server's frames: they pass unchanged, and the messages that report usage are read.

use memchr::memmem;

use super::event::event_type;
use super::{FramePart, Frames, Kind, Sender, MAX_MESSAGE};
use crate::usage::{Format, TokenUsage, UsageReading};

/// The events of OpenAI's Realtime and Responses APIs that end a response.
const ENDS: [&str; 4] = ["response.done", "response.completed", "response.incomplete", "response.failed"];

/// Reads the usage in a server's messages.
#[derive(Debug)]
pub struct ServerFrames {
    frames: Frames,
    format: Format,
    /// The text of the current message, as far as it is kept.
    text: Vec<u8>,
    /// The current message is not read.
    skips: bool,
    /// There was a message that could not be read.
    unread: bool,
    /// The bytes are no frames.
    broken: bool,
}

impl ServerFrames {
    /// For a server whose usage has this format.
    pub fn new(format: Format) -> Self {
        let frames = Frames::new(Sender::Server);
        ServerFrames { frames, format, text: Vec::new(), skips: false, unread: false, broken: false }
    }

    /// Whether there was a message that could not be read, and may have reported usage.
    pub fn has_unread(&self) -> bool {
        self.unread
    }

    /// Some bytes are missing, so nothing more can be read.
    pub fn lose(&mut self) {
        self.broken = true;
        self.give_up();
    }

    /// Reads further bytes; `ended` gets the usage of each response that ends. `room`: how much may be kept.
    pub fn chunk(&mut self, bytes: &[u8], room: usize, ended: &mut dyn FnMut(TokenUsage)) {
        let mut input = bytes;
        while !self.broken {
            match self.frames.next(&mut input) {
                Ok(None) => return,
                Ok(Some(FramePart::Begin(frame))) if !frame.kind.is_control() => {
                    let length = frame.length.saturating_add(self.text.len() as u64);
                    if frame.kind == Kind::Binary || length > room.min(MAX_MESSAGE) as u64 {
                        self.give_up();
                    }
                }
                Ok(Some(FramePart::Payload { frame, bytes, .. })) if !frame.kind.is_control() && !self.skips => {
                    if self.text.is_empty() && frame.is_last && bytes.len() as u64 == frame.length {
                        self.event(bytes, ended); // the usual case, without a copy
                    } else {
                        self.text.extend_from_slice(bytes);
                    }
                }
                Ok(Some(FramePart::End(frame))) if !frame.kind.is_control() && frame.is_last => {
                    let text = std::mem::take(&mut self.text);
                    self.event(&text, ended);
                    self.skips = false;
                }
                Ok(Some(_)) => {}
                Err(_) => self.lose(),
            }
        }
    }

    /// The current message cannot be read.
    fn give_up(&mut self) {
        (self.skips, self.unread) = (true, true);
        self.text = Vec::new();
    }

    fn event(&self, text: &[u8], ended: &mut dyn FnMut(TokenUsage)) {
        // inside a string the quotes would be escaped
        if memmem::find(text, b"\"usage\"").is_none() {
            return;
        }
        if event_type(text).is_some_and(|found| ENDS.contains(&&*found)) {
            let mut reading = UsageReading::of(self.format);
            reading.read(text);
            ended(reading.tokens());
        }
    }
}
