//! Events larger than usual, and streams of many events: the stream continues after them.

use std::time::Duration;

use sluice::endpoint::Endpoint;
use sluice::guard::api::Failure;
use sluice::guard::pii::{Entity, Patterns, Vault};
use sluice::guard::rewriting::Restoring;
use sluice::guard::stream::{Limits, Mode, StreamGuard, Unchecked};
use sluice::usage::Framing;

const NOW: Duration = Duration::from_secs(1_800_000_000);
const LIMITS: Limits = Limits {
    window: 10,
    delay: Duration::from_millis(500),
    overlap: 50,
    collected: 1 << 20,
    held: 1 << 20,
    event: 100 << 10,
    unchecked: Unchecked::Pass,
};

fn event(text: &str) -> String {
    format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}]}}}}]}}\n\n")
}

fn image(size: usize, text: &str) -> String {
    event(&format!("{text}\"}},{{\"inlineData\":{{\"data\":\"{}\"}}}},{{\"text\":\"", "A".repeat(size)))
}

/// The output, the reason for unchecked parts, and the most that was held.
fn shown(stream: &str, limits: Limits, size: usize) -> (String, Vec<Failure>, usize) {
    let mut vault = Vault::default();
    vault.hide("jo@example.com", &Patterns::new(Entity::ALL, &[]).unwrap().find("jo@example.com")).unwrap();
    let guard = StreamGuard::new(Endpoint::StreamGenerateContent, Framing::Sse, Mode::Window, limits);
    let mut guard = guard.with_rewrite(Box::new(Restoring::new(vault)));
    let (mut out, mut failures, mut held) = (Vec::new(), Vec::new(), 0);
    let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
    for (index, chunk) in chunks.iter().enumerate() {
        out.extend(guard.chunk(chunk, index + 1 == chunks.len(), NOW));
        held = held.max(guard.held());
        failures.extend(guard.unchecked());
        while let Some(window) = guard.ready() {
            let cards = window
                .text
                .match_indices("4111 1111 1111 1111")
                .map(|(at, card)| (at..at + card.len(), "<CARD>".into()));
            out.extend(guard.release(window.id, &cards.collect::<Vec<_>>()));
        }
    }
    assert!(guard.is_finished());
    (String::from_utf8(out).unwrap(), failures, held)
}

fn changed(text: &str) -> String {
    text.replace("4111 1111 1111 1111", "<CARD>").replace("<EMAIL_ADDRESS_1>", "jo@example.com")
}

const TEXT: &str = "To <EMAIL_ADDRESS_1>: 4111 1111 1111 1111!";

#[test]
fn large_ones_are_read() {
    let stream =
        [event(TEXT), image(90_000, TEXT), event(&format!("{} {TEXT}", "x".repeat(80_000))), event(TEXT)].concat();
    for size in [1000, 16_384, usize::MAX >> 1] {
        let (text, failures, _) = shown(&stream, LIMITS, size);
        assert!(text == changed(&stream), "{size}");
        assert_eq!(failures, []);
    }
}

#[test]
fn larger_ones_are_read_in_pieces() {
    let stream =
        [event(TEXT), image(300_000, TEXT), event(&format!("{} {TEXT}", "x y ".repeat(80_000))), event(TEXT)].concat();
    for size in [1000, 16_384, usize::MAX >> 1] {
        let (text, failures, held) = shown(&stream, LIMITS, size);
        assert!(text == changed(&stream), "{size}");
        assert_eq!(failures, []);
        println!("chunks of {size}: {held} bytes held at most");
        assert!(held < 2 * LIMITS.held, "{held}");
    }
}

/// Events pile up while no check answers: they pass, or the answer ends; later events are checked.
#[test]
fn waiting_events_pass_unchecked() {
    let guard = |unchecked| {
        StreamGuard::new(Endpoint::StreamGenerateContent, Framing::Sse, Mode::Window, Limits { unchecked, ..LIMITS })
    };
    let mut open = guard(Unchecked::Pass);
    let mut out = Vec::new();
    while out.is_empty() {
        out = open.chunk(event(TEXT).as_bytes(), false, NOW);
    }
    assert_eq!((open.unchecked(), open.unchecked(), open.is_blocked()), (Some(Failure::Busy), None, false));
    assert!(open.chunk(event(TEXT).as_bytes(), false, NOW).is_empty(), "this one waits again");
    let window = std::iter::from_fn(|| open.ready()).last().unwrap();
    assert!(!open.release(window.id, &[]).is_empty());

    let mut overflown = guard(Unchecked::Pass);
    let (half, rest) = (&event(TEXT)[..30], &event(TEXT)[30..]);
    assert!(overflown.chunk([event(TEXT).as_str(), half].concat().as_bytes(), false, NOW).is_empty());
    assert_eq!(overflown.overflow(), [event(TEXT).as_str(), half].concat().as_bytes());
    assert_eq!(overflown.chunk(rest.as_bytes(), false, NOW), rest.as_bytes());
    assert!(overflown.chunk(event(TEXT).as_bytes(), false, NOW).is_empty());

    let mut closed = guard(Unchecked::Block);
    closed.chunk(event(TEXT).as_bytes(), false, NOW);
    assert!(String::from_utf8(closed.overflow()).unwrap().contains("SAFETY") && closed.is_blocked());
}

/// The maximum number of events.
#[test]
fn two_hundred_thousand_events() {
    let count = if cfg!(debug_assertions) { 70_000 } else { 200_000 };
    let stream = event("a ").repeat(count) + &event(TEXT);
    let (text, failures, held) = shown(&stream, LIMITS, 65_536);
    assert!(text == changed(&stream));
    assert_eq!(failures, []);
    println!("{count} events: {held} bytes held at most");
    assert!(held < LIMITS.held);
}
