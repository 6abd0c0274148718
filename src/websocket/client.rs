//! The client's frames: each message is read before it is passed on.

use super::{Close, Frame, FramePart, Frames, Kind, Sender, MAX_MESSAGE};

/// A message of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientMessage<'a> {
    /// A text.
    Text(&'a str),
    /// A binary message, which is not read.
    Binary,
    /// A text that is too long to be read.
    Large,
}

/// How the current message is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// It is held until it has been read. This is also the state between messages.
    Held,
    /// It passes as it comes.
    Passing,
    /// The connection is being closed: nothing passes any more.
    Closed,
}

/// Holds a client's messages until they have been judged.
#[derive(Debug)]
pub struct ClientFrames {
    frames: Frames,
    course: Course,
    /// The bytes that have not been passed on.
    held: Vec<u8>,
    /// Where the current frame begins in them.
    begin: usize,
    /// The text of the current message.
    text: Vec<u8>,
}

impl Default for ClientFrames {
    fn default() -> Self {
        let (held, text) = (Vec::new(), Vec::new());
        ClientFrames { frames: Frames::new(Sender::Client), course: Course::Held, held, begin: 0, text }
    }
}

/// Judges a message.
type Judge<'j> = &'j mut dyn FnMut(ClientMessage<'_>) -> Result<(), Close>;

impl ClientFrames {
    /// The number of bytes that are held.
    pub fn held(&self) -> usize {
        self.held.len() + self.text.len()
    }

    /// Whether the connection is being closed.
    pub fn is_closed(&self) -> bool {
        self.course == Course::Closed
    }

    /// Takes further bytes, and returns those that may go on: whole messages that `judge` has accepted, and control frames.
    /// After a refused message the last of them are a frame that closes the connection, and nothing follows. `room`: how
    /// much may be held.
    ///
    /// ```
    /// use sluice::websocket::{ClientFrames, Close};
    ///
    /// let mut client = ClientFrames::default();
    /// let judge = &mut |_: sluice::websocket::ClientMessage<'_>| Ok(());
    /// assert_eq!(client.chunk(b"\x81\x82\0\0\0\0h", 100, judge), b"");
    /// assert_eq!(client.chunk(b"i", 100, judge), b"\x81\x82\0\0\0\0hi");
    /// ```
    pub fn chunk(&mut self, bytes: &[u8], room: usize, judge: Judge<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        if self.is_closed() {
            return out;
        }
        if let Err(close) = self.read(bytes, room, &mut out, judge) {
            self.close(&close, &mut out);
        }
        out
    }

    /// Some bytes are missing: nothing more passes. Returns the last bytes that go on.
    pub fn lose(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        // the upstream is in the middle of a frame
        let is_whole = self.course == Course::Held || self.frames.is_between();
        self.close(&Close::out_of_memory(), &mut out);
        if is_whole {
            out
        } else {
            Vec::new()
        }
    }

    /// Closes the connection. What has been passed on ends with a whole frame: only a header can be wrong.
    fn close(&mut self, close: &Close, out: &mut Vec<u8>) {
        self.course = Course::Closed;
        (self.held, self.text) = (Vec::new(), Vec::new());
        out.extend(close.as_client());
    }

    fn read(&mut self, bytes: &[u8], room: usize, out: &mut Vec<u8>, judge: Judge<'_>) -> Result<(), Close> {
        let mut input = bytes;
        loop {
            if self.frames.is_between() {
                self.begin = self.held.len();
            }
            let before = input;
            let part = self.frames.next(&mut input);
            let taken = before.len() - input.len();
            self.held.extend_from_slice(before.get(..taken).unwrap_or_default());
            match part.map_err(|violation| Close::protocol(violation.0))? {
                None => return Ok(()),
                Some(FramePart::Begin(frame)) => self.begin_frame(frame, room.min(2 * MAX_MESSAGE), out, judge)?,
                Some(FramePart::Payload { frame, offset, bytes }) => {
                    if self.course == Course::Passing {
                        self.release(out);
                    } else if !frame.kind.is_control() {
                        frame.unmask(offset, bytes, &mut self.text);
                        if self.held() > room {
                            self.pass_unread(judge)?; // others have taken the room since the header
                            self.release(out);
                        }
                    }
                }
                Some(FramePart::End(frame)) => self.end_frame(frame, out, judge)?,
            }
        }
    }

    fn begin_frame(&mut self, frame: Frame, room: usize, out: &mut Vec<u8>, judge: Judge<'_>) -> Result<(), Close> {
        if self.course == Course::Held && !frame.kind.is_control() {
            // both the frames and the text are held
            let length = frame.length.saturating_add(self.text.len() as u64).saturating_mul(2);
            if frame.kind == Kind::Binary {
                judge(ClientMessage::Binary)?;
                self.course = Course::Passing;
            } else if length > room as u64 || self.held.len() > room {
                self.pass_unread(judge)?;
            }
        }
        if self.course == Course::Passing {
            self.release(out);
        }
        Ok(())
    }

    /// The current message passes without having been read, if it may.
    fn pass_unread(&mut self, judge: Judge<'_>) -> Result<(), Close> {
        judge(ClientMessage::Large)?;
        self.course = Course::Passing;
        self.text = Vec::new();
        Ok(())
    }

    fn end_frame(&mut self, frame: Frame, out: &mut Vec<u8>, judge: Judge<'_>) -> Result<(), Close> {
        match (frame.kind, self.course) {
            // they may stand between the parts of a message that is held
            (Kind::Close | Kind::Ping, _) => {
                out.extend_from_slice(self.held.get(self.begin..).unwrap_or_default());
                self.held.truncate(self.begin);
            }
            (_, Course::Held) if frame.is_last => {
                let text = std::mem::take(&mut self.text);
                judge(ClientMessage::Text(std::str::from_utf8(&text).map_err(|_| Close::not_text())?))?;
                self.release(out);
            }
            (_, Course::Passing) if frame.is_last => {
                self.release(out);
                self.course = Course::Held;
            }
            (_, Course::Held | Course::Passing | Course::Closed) => {}
        }
        Ok(())
    }

    /// Passes on what is held.
    fn release(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.begin = 0;
        if self.held.capacity() > 4096 {
            self.held = Vec::new();
        }
    }
}
