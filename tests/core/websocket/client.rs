//! The client's messages are held until they have been judged.

use proptest::prelude::*;
use sluice::websocket::{ClientFrames, ClientMessage, Close, MAX_MESSAGE};

use super::{frame, text};

const MASK: Option<[u8; 4]> = Some([9, 8, 7, 6]);
const ROOM: usize = 1 << 20;

/// Gives the bytes in these pieces to a judge that refuses texts with `bad`; returns what passes, and the judged messages.
fn pass(pieces: &[&[u8]], room: usize) -> (Vec<u8>, Vec<String>) {
    let (mut client, mut out, mut judged) = (ClientFrames::default(), Vec::new(), Vec::new());
    for piece in pieces {
        out.extend(client.chunk(piece, room, &mut |message| {
            judged.push(match message {
                ClientMessage::Text(text) => text.to_owned(),
                ClientMessage::Binary => "binary".to_owned(),
                ClientMessage::Large => "large".to_owned(),
            });
            match message {
                ClientMessage::Text(text) if text.contains("bad") => Err(Close::policy("bad")),
                _ => Ok(()),
            }
        }));
        assert!(
            client.held() <= room.saturating_mul(2).saturating_add(2 * piece.len() + 200),
            "{} are held",
            client.held()
        );
    }
    (out, judged)
}

/// Every split in two, and one byte at a time.
fn at_every_split(bytes: &[u8], room: usize) -> (Vec<u8>, Vec<String>) {
    let whole = pass(&[bytes], room);
    for split in 0..=bytes.len() {
        let (one, other) = bytes.split_at(split);
        assert_eq!(pass(&[one, other], room), whole, "split at {split}");
    }
    assert_eq!(pass(&bytes.chunks(1).collect::<Vec<_>>(), room), whole);
    whole
}

#[test]
fn good_messages_pass_unchanged() {
    let bytes =
        [text("one"), frame(0x8a, b"", MASK), text(""), text("dr\u{fc}ei"), frame(0x88, b"\x03\xe8", MASK)].concat();
    let (out, judged) = at_every_split(&bytes, ROOM);
    assert_eq!(out, bytes);
    assert_eq!(judged, ["one", "", "dr\u{fc}ei"]);
}

#[test]
fn a_bad_message_closes_the_connection() {
    let bytes = [text("one"), text("a bad one"), text("three")].concat();
    let (out, judged) = at_every_split(&bytes, ROOM);
    assert_eq!(out, [text("one"), Close::policy("bad").as_client()].concat());
    assert_eq!(judged, ["one", "a bad one"]);
}

#[test]
fn fragments_are_one_message() {
    let parts = [frame(0x01, b"b", MASK), frame(0x00, b"", MASK), frame(0x00, b"a", MASK), frame(0x80, b"d", MASK)];
    let (out, judged) = at_every_split(&parts.concat(), ROOM);
    assert_eq!((out, judged), (Close::policy("bad").as_client(), vec!["bad".to_owned()]));
    // a character in two frames
    let parts = [frame(0x01, b"\xc3", MASK), frame(0x80, b"\xa9", MASK)].concat();
    assert_eq!(at_every_split(&parts, ROOM), (parts, vec!["\u{e9}".to_owned()]));
}

#[test]
fn control_frames_between_fragments_do_not_wait() {
    let (begin, ping, end) = (frame(0x01, b"o", MASK), frame(0x89, b"hello", MASK), frame(0x80, b"k", MASK));
    let mut client = ClientFrames::default();
    let judge = &mut |_: ClientMessage<'_>| Ok(());
    assert_eq!(client.chunk(&[begin.clone(), ping.clone()].concat(), ROOM, judge), ping);
    assert_eq!(client.chunk(&end, ROOM, judge), [begin, end].concat());
}

#[test]
fn a_close_passes_before_a_message_that_has_not_ended() {
    let (begin, close) = (frame(0x01, b"o", MASK), frame(0x88, b"\x03\xe8", MASK));
    assert_eq!(at_every_split(&[begin, close.clone()].concat(), ROOM).0, close);
}

#[test]
fn protocol_errors() {
    let bytes = [text("one"), frame(0x81, b"unmasked", None), text("two")].concat();
    let (out, judged) = at_every_split(&bytes, ROOM);
    assert_eq!(judged, ["one"]);
    assert_eq!(out, [text("one"), Close::protocol("a client must mask its frames").as_client()].concat());
    let (out, judged) = at_every_split(&frame(0x81, b"\xff", MASK), ROOM);
    assert_eq!((out, judged.is_empty()), (Close::not_text().as_client(), true));
}

#[test]
fn what_is_too_long_or_binary_is_judged_at_its_beginning() {
    let long = frame(0x81, &[b'x'; 300], MASK);
    let bytes = [text("one"), long, frame(0x02, b"\xff", MASK), frame(0x80, b"bad", MASK), text("two")].concat();
    let (out, judged) = at_every_split(&bytes, 500);
    assert_eq!(out, bytes);
    assert_eq!(judged, ["one", "large", "binary", "two"]);
    // fragments together
    let parts: Vec<u8> = (0..100).flat_map(|part| frame(u8::from(part == 0), b"xxxx", MASK)).collect();
    let bytes = [parts, frame(0x80, b"", MASK), text("bad")].concat();
    let (out, judged) = pass(&[&bytes], 400);
    assert_eq!(judged, ["large", "bad"]);
    assert!(out.ends_with(&Close::policy("bad").as_client()));
    // even without payloads
    let empty: Vec<u8> = (0..10_000).flat_map(|part| frame(u8::from(part == 0), b"", MASK)).collect();
    assert_eq!(pass(&empty.chunks(100).collect::<Vec<_>>(), 400).1, ["large"]);
    // an announced length alone is enough
    let claimed = [&b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"[..], &[0; 4]].concat();
    assert_eq!(pass(&[&claimed], usize::MAX), (claimed, vec!["large".to_owned()]));
    let largest = frame(0x81, &vec![b'x'; MAX_MESSAGE], MASK);
    assert_eq!(pass(&[&largest], usize::MAX).1.concat().len(), MAX_MESSAGE);
}

/// A message was announced while there was room, and others have taken it since.
#[test]
fn room_that_is_gone() {
    let bytes = frame(0x81, &[b'x'; 300], MASK);
    for (may, closes) in [(true, false), (false, true)] {
        let mut client = ClientFrames::default();
        let judge = &mut |message: ClientMessage<'_>| match message {
            ClientMessage::Large if !may => Err(Close::policy("large")),
            _ => Ok(()),
        };
        let mut out = client.chunk(&bytes[..100], 1000, judge);
        assert!(out.is_empty());
        out.extend(client.chunk(&bytes[100..], 150, judge));
        assert_eq!((out == bytes, client.is_closed(), client.held()), (!closes, closes, 0));
    }
}

#[test]
fn lost_bytes() {
    let mut client = ClientFrames::default();
    let judge = &mut |_: ClientMessage<'_>| Ok(());
    client.chunk(&text("one")[..4], ROOM, judge);
    assert!(client.lose().starts_with(&[0x88]) && client.is_closed() && client.held() == 0);
    assert!(client.chunk(&text("two"), ROOM, judge).is_empty());
    // the upstream is in the middle of a frame, where nothing can be said
    let mut client = ClientFrames::default();
    client.chunk(&frame(0x82, &[1; 50], MASK)[..20], ROOM, judge);
    assert!(client.lose().is_empty() && client.is_closed());
}

proptest! {
    /// Nothing passes that was not judged, and what passes is the same in any pieces.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1..20usize, room in 0..300usize) {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        prop_assert_eq!(pass(&pieces, room).1, pass(&[&bytes], room).1);
        prop_assert_eq!(pass(&pieces, room).0, pass(&[&bytes], room).0);
    }
}
