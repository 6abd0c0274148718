//! Frames (RFC 6455, section 5): headers, payloads and their order.

/// Who sends the frames. Clients mask theirs, servers must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text message, or its first part.
    Text,
    /// A binary message, or its first part.
    Binary,
    /// A further part of a message.
    Continuation,
    /// The sender closes the connection.
    Close,
    /// A ping, or the answer to one.
    Ping,
}

impl Kind {
    /// Whether it may come between the parts of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Kind::Close | Kind::Ping)
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Whether it ends its message.
    pub is_last: bool,
    /// The length of its payload, in bytes.
    pub length: u64,
    /// The key of its mask; zeros, if it has none.
    mask: [u8; 4],
}

impl Frame {
    /// Adds a part of its payload that begins at `offset` to `out`, without its mask.
    pub fn unmask(&self, offset: u64, part: &[u8], out: &mut Vec<u8>) {
        let first = (offset % 4) as usize;
        let keys = self.mask.iter().cycle().skip(first);
        out.extend(part.iter().zip(keys).map(|(byte, key)| byte ^ key));
    }
}

/// Why bytes are no frames. The text is for the peer that sent them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub &'static str);

/// A part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramePart<'a> {
    /// Its header.
    Begin(Frame),
    /// The next bytes of its payload, as sent.
    Payload {
        /// The frame.
        frame: Frame,
        /// The number of bytes of the payload before these.
        offset: u64,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Its end.
    End(Frame),
}

/// The longest header, in bytes.
const MAX_HEADER: usize = 14;

/// Reads frames from bytes that come in any pieces. Nothing of a payload is kept.
#[derive(Clone, Debug)]
pub struct Frames {
    sender: Sender,
    header: [u8; MAX_HEADER],
    /// The known bytes of the header.
    known: usize,
    /// The frame whose header has ended, and the read bytes of its payload.
    current: Option<(Frame, u64)>,
    /// Whether a message has begun, and not ended.
    in_message: bool,
}

impl Frames {
    /// For the frames of one side.
    pub fn new(sender: Sender) -> Self {
        Frames { sender, header: [0; MAX_HEADER], known: 0, current: None, in_message: false }
    }

    /// Whether the next byte begins a frame.
    pub fn is_between(&self) -> bool {
        self.current.is_none() && self.known == 0
    }

    /// Reads the next part, and takes its bytes from `input`. `None`: further bytes are needed.
    ///
    /// ```
    /// use sluice::websocket::{Frames, Kind, FramePart, Sender};
    ///
    /// let mut frames = Frames::new(Sender::Server);
    /// let mut input = &b"\x81\x02hi"[..];
    /// let Ok(Some(FramePart::Begin(frame))) = frames.next(&mut input) else { panic!() };
    /// assert_eq!((frame.kind, frame.is_last, frame.length), (Kind::Text, true, 2));
    /// assert_eq!(frames.next(&mut input), Ok(Some(FramePart::Payload { frame, offset: 0, bytes: b"hi" })));
    /// assert_eq!(frames.next(&mut input), Ok(Some(FramePart::End(frame))));
    /// assert_eq!(frames.next(&mut input), Ok(None));
    /// ```
    ///
    /// # Errors
    /// The bytes are no frames; nothing more can be read.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<FramePart<'a>>, Violation> {
        let Some((frame, offset)) = self.current else {
            return Ok(self.begin(input)?.map(FramePart::Begin));
        };
        let left = frame.length.saturating_sub(offset);
        if left == 0 {
            self.current = None;
            if !frame.kind.is_control() {
                self.in_message = !frame.is_last;
            }
            return Ok(Some(FramePart::End(frame)));
        }
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let Some((bytes, rest)) = input.split_at_checked(size).filter(|_| size > 0) else {
            return Ok(None);
        };
        *input = rest;
        self.current = Some((frame, offset + size as u64));
        Ok(Some(FramePart::Payload { frame, offset, bytes }))
    }

    /// Reads a header; `None` if it is incomplete.
    fn begin(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Violation> {
        loop {
            let wanted = self.wanted();
            if self.known >= wanted {
                break;
            }
            let Some((first, rest)) = input.split_first() else {
                return Ok(None);
            };
            if let Some(slot) = self.header.get_mut(self.known) {
                *slot = *first;
            }
            self.known += 1;
            *input = rest;
        }
        let frame = self.frame()?;
        self.known = 0;
        self.current = Some((frame, 0));
        Ok(Some(frame))
    }

    /// The length of the header, as far as it is known.
    fn wanted(&self) -> usize {
        let second = if self.known > 1 { self.header[1] } else { 0 };
        let length = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if second & 0x80 != 0 { 4 } else { 0 }
    }

    fn frame(&self) -> Result<Frame, Violation> {
        let [first, second, rest @ ..] = self.header;
        let is_masked = second & 0x80 != 0;
        let (length, after) = match second & 0x7f {
            126 => (number::<2>(&rest), 2),
            127 => (number::<8>(&rest), 8),
            short => (u64::from(short), 0),
        };
        let mask = rest.get(after..after + 4).and_then(|mask| mask.try_into().ok()).unwrap_or_default();
        let is_last = first & 0x80 != 0;
        let kind = match first & 0x0f {
            0 => Kind::Continuation,
            1 => Kind::Text,
            2 => Kind::Binary,
            8 => Kind::Close,
            9 | 10 => Kind::Ping,
            _ => return Err(Violation("unknown opcode")),
        };
        let problem = match self.sender {
            _ if first & 0x70 != 0 => Some("reserved bits are set, but no extension was agreed on"),
            Sender::Client if !is_masked => Some("a client must mask its frames"),
            Sender::Server if is_masked => Some("a server must not mask its frames"),
            _ if length >> 63 != 0 => Some("the length is more than 63 bits"),
            _ if kind.is_control() && (!is_last || length > 125) => Some("a control frame is fragmented or too long"),
            _ if kind == Kind::Continuation && !self.in_message => Some("there is no message to continue"),
            _ if matches!(kind, Kind::Text | Kind::Binary) && self.in_message => Some("the last message has not ended"),
            _ => None,
        };
        match problem {
            Some(problem) => Err(Violation(problem)),
            None => Ok(Frame { kind, is_last, length, mask: if is_masked { mask } else { [0; 4] } }),
        }
    }
}

/// The number in the first bytes, big end first.
fn number<const SIZE: usize>(bytes: &[u8]) -> u64 {
    bytes.iter().take(SIZE).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
