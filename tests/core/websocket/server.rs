//! The usage in a server's messages.

use sluice::usage::{Format, TokenUsage};
use sluice::websocket::{ServerFrames, MAX_MESSAGE};

use super::frame;

const DONE: &str = r#"{"type":"response.done","response":{"usage":{"total_tokens":30,"input_tokens":20,"output_tokens":10,"input_token_details":{"cached_tokens":4,"audio_tokens":5},"output_token_details":{"audio_tokens":3}}}}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"usage":{"input_tokens":2,"output_tokens":1,"output_tokens_details":{"reasoning_tokens":1}}}}"#;

fn read(pieces: &[&[u8]], room: usize) -> (Vec<TokenUsage>, bool) {
    let (mut server, mut found) = (ServerFrames::new(Format::Auto), Vec::new());
    pieces.iter().for_each(|piece| server.chunk(piece, room, &mut |tokens| found.push(tokens)));
    (found, server.has_unread())
}

fn at_every_split(bytes: &[u8], room: usize) -> (Vec<TokenUsage>, bool) {
    let whole = read(&[bytes], room);
    for split in 0..=bytes.len() {
        let (one, other) = bytes.split_at(split);
        assert_eq!(read(&[one, other], room), whole, "split at {split}");
    }
    assert_eq!(read(&bytes.chunks(1).collect::<Vec<_>>(), room), whole);
    whole
}

#[test]
fn both_apis() {
    let done =
        TokenUsage { input: 20, output: 10, cached_input: 4, audio_input: 5, audio_output: 3, ..TokenUsage::default() };
    let completed = TokenUsage { input: 2, output: 1, reasoning_output: 1, ..TokenUsage::default() };
    let (first, last) = DONE.split_at(50);
    let bytes = [
        frame(0x81, br#"{"type":"session.created"}"#, None),
        frame(0x01, first.as_bytes(), None),
        frame(0x89, b"ping", None),
        frame(0x80, last.as_bytes(), None),
        frame(0x81, COMPLETED.as_bytes(), None),
        frame(0x88, b"", None),
    ]
    .concat();
    assert_eq!(at_every_split(&bytes, 1 << 20), (vec![done, completed], false));
}

#[test]
fn other_messages_do_not_count() {
    for text in [
        r#"{"type":"response.created","response":{"usage":null}}"#,
        r#"{"type":"conversation.item.input_audio_transcription.completed","usage":{"input_tokens":9,"output_tokens":9}}"#,
        r#"{"type":"response.output_text.delta","delta":"\"response.done\" \"usage\": {\"input_tokens\": 9}"}"#,
        r#"{"usage":{"input_tokens":9}}"#,
        r#"{"type":"response.done","response":{"usage""#,
    ] {
        assert_eq!(read(&[&frame(0x81, text.as_bytes(), None)], 1 << 20), (Vec::new(), false), "{text}");
    }
}

#[test]
fn what_cannot_be_read() {
    let after = frame(0x81, COMPLETED.as_bytes(), None);
    let large = frame(0x81, &[b'x'; 600], None);
    let parts = [frame(0x01, &[b'x'; 300], None), frame(0x80, &[b'x'; 300], None)].concat();
    let binary = [frame(0x02, b"a", None), frame(0x80, b"b", None)].concat();
    for unread in [large, parts, binary] {
        let (found, is_unread) = at_every_split(&[unread, after.clone()].concat(), 500);
        assert!(found.len() == 1 && is_unread, "what follows is read");
    }
    // what is no frame is the end of reading
    let masked = frame(0x81, b"hi", Some([1; 4]));
    assert_eq!(read(&[&[masked, after.clone()].concat()], 500), (Vec::new(), true));
    // no room is more than the bound
    let claimed = [&b"\x81\x7f"[..], &(MAX_MESSAGE as u64 + 1).to_be_bytes()].concat();
    assert_eq!(read(&[&claimed], usize::MAX), (Vec::new(), true));
    let mut server = ServerFrames::new(Format::Auto);
    server.lose();
    server.chunk(&after, 500, &mut |_| panic!("nothing more is read"));
    assert!(server.has_unread());
}
