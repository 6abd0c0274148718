//! WebSocket frames: what passes and what is read does not depend on the cuts; nothing passes that was not judged; a bounded
//! part is held.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sluice::usage::{Format, TokenUsage};
use sluice::websocket::{ClientEvent, ClientFrames, ClientMessage, ServerFrames, Strictness};

const ROOM: usize = 1000;

fuzz_target!(|input: (u8, &[u8])| {
    let (way, bytes) = input;
    let size = usize::from(way) + 1;
    assert_eq!(client(bytes, size), client(bytes, usize::MAX), "cut");
    assert_eq!(server(bytes, size), server(bytes, usize::MAX), "cut");
});

fn client(bytes: &[u8], size: usize) -> (Vec<u8>, Vec<String>) {
    let (mut frames, mut out, mut judged) = (ClientFrames::default(), Vec::new(), Vec::new());
    for chunk in bytes.chunks(size) {
        out.extend(frames.chunk(chunk, ROOM, &mut |message| {
            let ClientMessage::Text(text) = message else {
                judged.push(format!("{message:?}"));
                return Ok(());
            };
            judged.push(text.to_owned());
            ClientEvent::judge(text, Strictness::Named, &|model| model == "m").map(|_| ())
        }));
        assert!(frames.held() <= 2 * ROOM + 2 * chunk.len() + 200, "{} are held", frames.held());
    }
    assert!(out.len() <= bytes.len() + 131, "more passes than came");
    (out, judged)
}

fn server(bytes: &[u8], size: usize) -> (Vec<TokenUsage>, bool) {
    let (mut frames, mut found) = (ServerFrames::new(Format::Auto), Vec::new());
    bytes.chunks(size).for_each(|chunk| frames.chunk(chunk, ROOM, &mut |tokens| found.push(tokens)));
    (found, frames.has_unread())
}
