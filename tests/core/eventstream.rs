//! Amazon's event stream messages: their fields, their ends in chunked input, and invalid messages.

use proptest::collection::vec;
use proptest::prelude::*;
use sluice::eventstream::{encode, Message, MessageKind};
use sluice::usage::{Boundaries, Framing};

/// A message with a header of each type.
fn with_all_types() -> Vec<u8> {
    let mut headers = Vec::new();
    let mut header = |name: &str, kind: u8, value: &[u8]| {
        headers.push(name.len() as u8);
        headers.extend_from_slice(name.as_bytes());
        headers.push(kind);
        headers.extend_from_slice(value);
    };
    header("t", 0, b"");
    header("f", 1, b"");
    header("byte", 2, &[1]);
    header("short", 3, &[1; 2]);
    header("int", 4, &[1; 4]);
    header("long", 5, &[1; 8]);
    header("bytes", 6, b"\x00\x02hi");
    header(":event-type", 7, b"\x00\x08metadata");
    header("time", 8, &[1; 8]);
    header("uuid", 9, &[1; 16]);
    // lengths and checksums as for a message with one string of the total length
    let filler = "x".repeat(headers.len() - 5);
    let mut bytes = encode(&[("n", &filler)], b"{}");
    bytes.splice(12..12 + headers.len(), headers);
    let end = bytes.len() - 4;
    let checksum = crc32(&bytes[..end]);
    bytes[end..].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// CRC-32 bit by bit, as the standard defines it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn messages() {
    let event = encode(&[(":message-type", "event"), (":event-type", "metadata")], b"{\"a\":1}");
    assert_eq!(&event[..8], &[0, 0, 0, 68, 0, 0, 0, 45]);
    let parsed = Message::parse(&event).unwrap();
    assert_eq!((parsed.kind, parsed.name, parsed.payload), (MessageKind::Event, "metadata", &b"{\"a\":1}"[..]));
    let exception = encode(&[(":message-type", "exception"), (":exception-type", "throttlingException")], b"{}");
    let parsed = Message::parse(&exception).unwrap();
    assert_eq!((parsed.kind, parsed.name), (MessageKind::Exception, "throttlingException"));
    let error = encode(&[(":message-type", "error"), (":error-code", "500"), (":error-message", "no")], b"");
    let parsed = Message::parse(&error).unwrap();
    assert_eq!((parsed.kind, parsed.name, parsed.error, parsed.payload), (MessageKind::Error, "500", "no", &b""[..]));
    let all = with_all_types();
    assert_eq!(Message::parse(&all).map(|message| message.name), Some("metadata"));
}

/// Any flipped bit is detected.
#[test]
fn every_byte_is_checked() {
    let whole = with_all_types();
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x10;
        assert_eq!(Message::parse(&broken), None, "byte {at}");
        assert_eq!(Message::parse(&whole[..at]), None, "cut at {at}");
    }
}

/// The ends of the messages in `bytes`, read in chunks of this size.
fn ends(bytes: &[u8], size: usize) -> Vec<usize> {
    let mut boundaries = Boundaries::default();
    let mut ends = Vec::new();
    for (number, chunk) in bytes.chunks(size).enumerate() {
        while let Some(end) = boundaries.next(Framing::EventStream, chunk) {
            ends.push(number * size + end);
        }
        boundaries.consume(chunk.len());
    }
    ends
}

/// The prelude alone shows wrong lengths, so nothing waits for bytes that never come.
#[test]
fn wrong_lengths_end_at_once() {
    let good = encode(&[], b"{}");
    for broken in [[0xff; 16].to_vec(), [0; 16].to_vec(), [b"\x7f".as_slice(), &good[1..]].concat()] {
        assert_eq!(ends(&broken, 64).first(), Some(&12));
        assert_eq!(Message::parse(&broken[..12]), None);
    }
}

proptest! {
    #[test]
    fn ends_are_found_at_any_cut(payloads in vec(vec(any::<u8>(), 0..60), 0..6), size in 1_usize..80) {
        let messages: Vec<Vec<u8>> = payloads.iter().map(|payload| encode(&[(":event-type", "e")], payload)).collect();
        let want: Vec<usize> = messages.iter().scan(0, |end, message| { *end += message.len(); Some(*end) }).collect();
        prop_assert_eq!(ends(&messages.concat(), size), want);
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200), size in 1_usize..80) {
        Message::parse(&bytes);
        prop_assert!(ends(&bytes, size).iter().all(|end| *end <= bytes.len()));
    }
}
