//! WebSocket: frames of both sides, in any pieces.

mod client;
mod event;
mod frames;
mod limits;
mod server;

use sluice::websocket::{Close, FramePart, Frames, Sender, Violation};

/// A frame: its first byte, and its payload. `mask`: a client's.
pub fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = vec![first];
    let bit = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..=125 => frame.push(bit | short as u8),
        medium @ 126..=0xffff => {
            frame.push(bit | 126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(bit | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    let key = mask.unwrap_or_default();
    frame.extend(mask.into_iter().flatten());
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A client's text message in one frame.
pub fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes(), Some([7, 0, 255, 3]))
}

/// The frames in bytes that come in these pieces: first bytes and payloads, without masks.
pub fn read(sender: Sender, pieces: &[&[u8]]) -> Result<Vec<(String, Vec<u8>)>, Violation> {
    let mut frames = Frames::new(sender);
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(part) = frames.next(&mut input)? {
            match part {
                FramePart::Begin(frame) => found.push((format!("{:?} {}", frame.kind, frame.is_last), Vec::new())),
                FramePart::Payload { frame, offset, bytes } => {
                    let (_, payload) = found.last_mut().unwrap();
                    assert_eq!(offset, payload.len() as u64);
                    frame.unmask(offset, bytes, payload);
                }
                FramePart::End(frame) => assert_eq!(frame.length, found.last().unwrap().1.len() as u64),
            }
        }
        assert!(input.is_empty());
    }
    Ok(found)
}

#[test]
fn a_closing_frame() {
    let close = Close::policy("no");
    assert_eq!(close.as_client(), frame(0x88, b"\x03\xf0no", Some([0; 4])));
    // a reason is cut, but no character of it
    let long = Close::policy("\u{e9}".repeat(100)).as_client();
    assert_eq!(long.len(), 6 + 2 + 122);
    assert_eq!(std::str::from_utf8(&long[8..]).unwrap(), "\u{e9}".repeat(61));
}
