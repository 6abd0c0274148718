//! Amazon's event streams: a sequence of binary messages, each with its length, headers, a payload and checksums.
//!
//! Source: AWS, "Event stream encoding" (Amazon Transcribe's and S3's manuals): a prelude of the whole length, the length
//! of the headers and the CRC-32 of both; the headers; the payload; the CRC-32 of all before it. Numbers are big-endian.
//! A header is the length of its name, the name, the type of its value, and the value.

/// The prelude: two lengths and their checksum.
const PRELUDE: usize = 12;
/// The bytes outside headers and payload.
const OVERHEAD: usize = PRELUDE + CHECKSUM;
const CHECKSUM: usize = 4;
/// The longest message that Amazon's own readers accept, in bytes.
const MAX_MESSAGE: usize = 24 << 20;
/// The header value type for strings.
const STRING: u8 = 7;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The kind of message.
    pub kind: MessageKind,
    /// The name of the event, or of the error.
    pub name: &'a str,
    /// The error text of a message without a payload.
    pub error: &'a str,
    /// Its payload: JSON, for models' answers.
    pub payload: &'a [u8],
}

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// A part of the stream.
    Event,
    /// An error of the service, with a payload.
    Exception,
    /// Another error, only in the headers.
    Error,
}

impl<'a> Message<'a> {
    /// Reads one complete message. `None` if it is invalid: wrong lengths or checksums, or broken headers.
    ///
    /// ```
    /// use sluice::eventstream::{encode, MessageKind, Message};
    ///
    /// let bytes = encode(&[(":message-type", "event"), (":event-type", "messageStop")], b"{}");
    /// let message = Message::parse(&bytes).unwrap();
    /// assert_eq!((message.kind, message.name, message.payload), (MessageKind::Event, "messageStop", &b"{}"[..]));
    /// let mut broken = bytes;
    /// broken[20] ^= 1;
    /// assert_eq!(Message::parse(&broken), None);
    /// ```
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (total, headers) = prelude(bytes.first_chunk()?)?;
        let (checked, checksum) = bytes.split_last_chunk::<CHECKSUM>()?;
        if total != bytes.len() || crc32(checked) != u32::from_be_bytes(*checksum) {
            return None;
        }
        let (headers, payload) = checked.get(PRELUDE..)?.split_at_checked(headers)?;
        let mut message = Message { kind: MessageKind::Event, name: "", error: "", payload };
        read_headers(headers, &mut |name, value| match name {
            b":message-type" => {
                message.kind = match value {
                    "exception" => MessageKind::Exception,
                    "error" => MessageKind::Error,
                    _ => MessageKind::Event,
                }
            }
            b":event-type" | b":exception-type" | b":error-code" => message.name = value,
            b":error-message" => message.error = value,
            _ => {}
        })?;
        Some(message)
    }
}

/// The name of a message from its prelude and headers, and the length of its payload. `None` if they are incomplete, or
/// if there is more.
pub(crate) fn beginning(head: &[u8]) -> Option<(&str, usize)> {
    let (total, length) = prelude(head.first_chunk()?)?;
    let headers = head.get(PRELUDE..).filter(|headers| headers.len() == length)?;
    let mut name = "";
    read_headers(headers, &mut |header, value| {
        if header == b":event-type" {
            name = value;
        }
    })?;
    Some((name, total - length - OVERHEAD))
}

/// Finds the ends of messages in chunked bytes, without reading any byte twice.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// The received part of the current message's prelude.
    prelude: [u8; PRELUDE],
    seen: usize,
    /// The rest of the current message, once its prelude is complete.
    rest: usize,
}

impl Messages {
    /// The end of the current message in `bytes`, which have been read up to `scanned`. If the lengths are wrong, the
    /// end is directly after them, and the part before is not a message.
    pub(crate) fn next(&mut self, scanned: &mut usize, bytes: &[u8]) -> Option<usize> {
        while self.seen < PRELUDE {
            let byte = bytes.get(*scanned)?;
            *self.prelude.get_mut(self.seen)? = *byte;
            self.seen += 1;
            *scanned += 1;
            if self.seen == PRELUDE {
                self.rest = prelude(&self.prelude).map_or(0, |(total, _)| total - PRELUDE);
            }
        }
        let there = bytes.len().saturating_sub(*scanned);
        let taken = there.min(self.rest);
        *scanned += taken;
        self.rest -= taken;
        if self.rest > 0 {
            return None;
        }
        self.seen = 0;
        Some(*scanned)
    }
}

/// The lengths of a message and of its headers, if they are plausible.
fn prelude(bytes: &[u8; PRELUDE]) -> Option<(usize, usize)> {
    let [a, b, c, d, e, f, g, h, checksum @ ..] = bytes;
    let (total, headers) = (u32::from_be_bytes([*a, *b, *c, *d]), u32::from_be_bytes([*e, *f, *g, *h]));
    let (total, headers) = (usize::try_from(total).ok()?, usize::try_from(headers).ok()?);
    let fits = headers.checked_add(OVERHEAD).is_some_and(|least| least <= total) && total <= MAX_MESSAGE;
    (fits && crc32(bytes.first_chunk::<8>()?) == u32::from_be_bytes(*checksum)).then_some((total, headers))
}

/// Calls back with the headers that are strings; `None` if they are broken.
fn read_headers<'a>(mut bytes: &'a [u8], see: &mut dyn FnMut(&'a [u8], &'a str)) -> Option<()> {
    while let Some((length, rest)) = bytes.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (kind, rest) = rest.split_first()?;
        let (length, rest) = match kind {
            0 | 1 => (0, rest), // true and false
            2 => (1, rest),     // a byte
            3 => (2, rest),     // numbers, of growing width
            4 => (4, rest),     //
            5 | 8 => (8, rest), // and a time
            9 => (16, rest),    // a UUID
            6 | &STRING => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        if *kind == STRING {
            see(name, std::str::from_utf8(value).ok()?);
        }
        bytes = rest;
    }
    Some(())
}

/// Writes a message with string headers. Names and values that are too long for the format are cut.
pub fn encode(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (name, value) in headers {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        let name = name.get(..usize::from(u8::MAX)).unwrap_or(name);
        let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
        lines.push(name.len() as u8);
        lines.extend_from_slice(name);
        lines.push(STRING);
        lines.extend_from_slice(&(value.len() as u16).to_be_bytes());
        lines.extend_from_slice(value);
    }
    let mut out = Vec::with_capacity(OVERHEAD + lines.len() + payload.len());
    out.extend_from_slice(&((OVERHEAD + lines.len() + payload.len()) as u32).to_be_bytes());
    out.extend_from_slice(&(lines.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(&lines);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out
}

/// The CRC-32 of ISO 3309, as in gzip.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let [index, ..] = (crc ^ u32::from(*byte)).to_le_bytes();
        crc >> 8 ^ CRC_TABLE.get(usize::from(index)).copied().unwrap_or(0)
    };
    !bytes.iter().fold(u32::MAX, step)
}

static CRC_TABLE: [u32; 256] = crc_table();

#[allow(clippy::indexing_slicing)] // computed by the compiler
const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}
