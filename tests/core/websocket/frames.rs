//! Frames' headers, order and pieces.

use proptest::prelude::*;
use sluice::websocket::{FramePart, Frames, Sender, Violation};

use super::{frame, read};

const MASK: Option<[u8; 4]> = Some([1, 2, 3, 4]);

#[test]
fn lengths_of_all_sizes() {
    for size in [0, 1, 125, 126, 127, 255, 256, 65535, 65536, 70000] {
        let payload = vec![b'x'; size];
        for (sender, mask) in [(Sender::Client, MASK), (Sender::Server, None)] {
            let bytes = frame(0x82, &payload, mask);
            assert_eq!(read(sender, &[&bytes]), Ok(vec![("Binary true".to_owned(), payload.clone())]), "{size}");
        }
    }
}

#[test]
fn a_longer_form_of_a_length() {
    assert_eq!(read(Sender::Server, &[b"\x81\x7e\0\x02hi"]), Ok(vec![("Text true".to_owned(), b"hi".to_vec())]));
    assert_eq!(
        read(Sender::Server, &[b"\x81\x7f\0\0\0\0\0\0\0\x02hi"]),
        Ok(vec![("Text true".to_owned(), b"hi".to_vec())])
    );
}

#[test]
fn what_is_no_frame() {
    let endless = [&b"\x81\xff\x80\0\0\0\0\0\0\0"[..], &[0; 4]].concat();
    let cases: [(&str, Sender, Vec<u8>); 14] = [
        ("unmasked client", Sender::Client, frame(0x81, b"hi", None)),
        ("masked server", Sender::Server, frame(0x81, b"hi", MASK)),
        ("RSV1", Sender::Client, frame(0xc1, b"hi", MASK)),
        ("RSV2", Sender::Client, frame(0xa1, b"hi", MASK)),
        ("RSV3", Sender::Server, frame(0x91, b"hi", None)),
        ("opcode 3", Sender::Client, frame(0x83, b"", MASK)),
        ("opcode 11", Sender::Client, frame(0x8b, b"", MASK)),
        ("2^63", Sender::Client, endless),
        ("fragmented ping", Sender::Client, frame(0x09, b"", MASK)),
        ("long close", Sender::Client, frame(0x88, &[0; 126], MASK)),
        ("nothing to continue", Sender::Client, frame(0x80, b"", MASK)),
        ("after the end", Sender::Server, [frame(0x81, b"", None), frame(0x80, b"", None)].concat()),
        ("text in text", Sender::Server, [frame(0x01, b"", None), frame(0x81, b"", None)].concat()),
        ("binary in text", Sender::Server, [frame(0x01, b"", None), frame(0x82, b"", None)].concat()),
    ];
    for (name, sender, bytes) in cases {
        assert!(matches!(read(sender, &[&bytes]), Err(Violation(_))), "{name}");
    }
}

/// The length is only claimed; the parser allocates nothing.
#[test]
fn the_longest_length() {
    let bytes = [&b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"[..], &[0; 4], b"abc"].concat();
    let (mut frames, mut input) = (Frames::new(Sender::Client), &bytes[..]);
    let Ok(Some(FramePart::Begin(found))) = frames.next(&mut input) else { panic!() };
    assert_eq!(found.length, i64::MAX as u64);
    assert!(matches!(frames.next(&mut input), Ok(Some(FramePart::Payload { bytes: b"abc", .. }))));
    assert_eq!(frames.next(&mut input), Ok(None));
    assert!(!frames.is_between());
}

/// Frames in a valid order, and what they are.
fn conversation() -> impl Strategy<Value = (Vec<(u8, Vec<u8>)>, [u8; 4])> {
    let payload = || prop::collection::vec(any::<u8>(), 0..200);
    let control = (prop::sample::select(vec![0x88, 0x89, 0x8a]), prop::collection::vec(any::<u8>(), 0..126));
    let message = (prop::sample::select(vec![1u8, 2]), prop::collection::vec((payload(), control), 1..5));
    (prop::collection::vec(message, 0..4), any::<[u8; 4]>()).prop_map(|(messages, mask)| {
        let mut frames = Vec::new();
        for (kind, parts) in messages {
            let last = parts.len() - 1;
            for (index, (payload, control)) in parts.into_iter().enumerate() {
                let fin = if index == last { 0x80 } else { 0 };
                frames.push((fin | if index == 0 { kind } else { 0 }, payload));
                frames.push(control);
            }
        }
        (frames, mask)
    })
}

proptest! {
    #[test]
    fn any_pieces((frames, mask) in conversation(), size in 1..40usize) {
        for (sender, mask) in [(Sender::Client, Some(mask)), (Sender::Server, None)] {
            let bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(*first, payload, mask)).collect();
            let whole = read(sender, &[&bytes]).unwrap();
            prop_assert_eq!(whole.iter().map(|(_, payload)| payload).collect::<Vec<_>>(),
                frames.iter().map(|(_, payload)| payload).collect::<Vec<_>>());
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(read(sender, &pieces).unwrap(), whole);
        }
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1..20usize) {
        for sender in [Sender::Client, Sender::Server] {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(read(sender, &pieces), read(sender, &[&bytes]));
        }
    }
}
