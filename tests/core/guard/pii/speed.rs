//! What finding costs; natively only, since WebAssembly has no clock.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::cast_precision_loss)]

use std::time::{Duration, Instant};

use sluice::guard::pii::{Entity, Patterns, Vault};

use super::all;

/// Less where nothing is optimised.
const SIZE: usize = if cfg!(debug_assertions) { 8 << 10 } else { 1 << 20 };

const PROSE: &str = "It was a bright cold day in the spring, and all the clocks were striking. People went about \
    their errands; some of them - not many - looked up. \"What is it?\" asked one (nobody answered): it was nothing. ";
const DIGITS: &str = "2024-01-31 12:30:45 id=1234567890 took 12.5 ms, 3 of 17 rows, price 1,299.00, v1.2.3, \
    550e8400-e29b-41d4-a716-446655440000, 1234 5678 9012 3456, 98.6%, 12 34 56 78 90\n";

fn repeated(piece: &str, size: usize) -> String {
    piece.repeat(size / piece.len() + 1)
}

/// The best time of several: others may use the machine.
fn best(mut run: impl FnMut()) -> Duration {
    let timed = |_| {
        let begun = Instant::now();
        run();
        begun.elapsed()
    };
    (0..3).map(timed).min().unwrap()
}

#[test]
fn throughput() {
    let custom = Patterns::new(&[], &[("EMPLOYEE", r"\bE-[0-9]{5}\b"), ("WORD", "(?i)falcon|eagle")]).unwrap();
    for (name, patterns) in [("built-in", all()), ("two custom", custom)] {
        for (kind, text) in [("prose", PROSE), ("digits", DIGITS)] {
            let text = repeated(text, SIZE);
            let time = best(|| assert!(patterns.find(&text).is_empty(), "{name}, {kind}"));
            println!("{name}, {kind}: {:.0} MB/s", text.len() as f64 / time.as_secs_f64() / 1e6);
        }
    }
    for entity in Entity::ALL {
        let patterns = Patterns::new(&[*entity], &[]).unwrap();
        let text = repeated(PROSE, SIZE);
        let time = best(|| assert!(patterns.find(&text).is_empty()));
        println!("{}, prose: {:.0} MB/s", entity.name(), text.len() as f64 / time.as_secs_f64() / 1e6);
    }
}

/// Texts out of what almost is something.
const HOSTILE: &[&str] = &[
    "a@",
    "a@a.",
    "a.",
    "a@b.co ",
    "@",
    "1111 ",
    "1111 1111-",
    "1",
    "4111 1111 1111 1111 ",
    "0",
    "+1 ",
    "(1",
    "(212) 555-",
    "1.1.1.1.",
    "255.255.255.",
    ":",
    "::",
    "1:",
    "::1 ",
    "f:f:",
    "AKIA",
    "AKIA1",
    "AIza",
    "sk-",
    "sk-a1-",
    "ghp_",
    "github_pat_",
    "xoxb-1",
    "eyJ",
    "eyJ.",
    "eyJaaaaaaaaaa.eyJ",
    "DE89",
    "DE89 3704 ",
    "call 12345678901234 ",
    "\u{a0}1",
    "é",
];

/// Twice the text, twice the time: whatever the text is made of.
#[test]
fn linear() {
    for piece in HOSTILE {
        twice_the_time(&all(), piece, SIZE);
    }
}

/// Here each match is one character, and the pattern looks for a longer one up to the end of what it is shown.
#[test]
fn linear_whatever_the_pattern() {
    let greedy = Patterns::new(&[], &[("GREEDY", r".*[^A-Z]|[A-Z]"), ("LONG", r"[a-z]+@corp\.example")]).unwrap();
    for piece in ["A", "a", "a@corp.", "é"] {
        twice_the_time(&greedy, piece, SIZE / 8);
    }
}

fn twice_the_time(patterns: &Patterns, piece: &str, size: usize) {
    let (text, twice) = (repeated(piece, size), repeated(piece, 2 * size));
    // two runs beside one of twice the text: each is interrupted as often by whoever else uses the machine
    let mut least = f64::MAX;
    let (mut one, mut other) = (Duration::MAX, Duration::MAX);
    for _ in 0..8 {
        one = one.min(best(|| (0..2).for_each(|_| drop(patterns.find(&text)))) / 2);
        other = other.min(best(|| drop(patterns.find(&twice))));
        least = other.as_secs_f64() / one.as_secs_f64();
        if least < 3.0 {
            break;
        }
    }
    println!("{piece:?}: {least:.1}, {:.1} MB/s", twice.len() as f64 / other.as_secs_f64() / 1e6);
    assert!(least < 3.0, "{piece:?}: {least:.1} times as long");
}

/// The same of restoring, in pieces as small as they come.
#[test]
fn restoring_is_linear() {
    let mut vault = Vault::default();
    let text = "jo@example.com";
    vault.hide(text, &all().find(text)).unwrap();
    for piece in ["<", "<EMAIL_ADDRESS_", "&lt;EMAIL_ADDRESS_1&", "<EMAIL_ADDRESS_1>", "words "] {
        let stream = |text: &str| {
            let mut restorer = vault.restorer();
            let length: usize = (0..text.len()).map(|at| restorer.push(&text[at..=at]).len()).sum();
            assert!(length + restorer.finish().len() > 0);
        };
        let (text, twice) = (repeated(piece, SIZE / 2), repeated(piece, SIZE));
        let ratio = |_| {
            let one = best(|| (0..2).for_each(|_| stream(&text))) / 2;
            best(|| stream(&twice)).as_secs_f64() / one.as_secs_f64()
        };
        let ratio = (0..3).map(ratio).fold(f64::MAX, f64::min);
        assert!(ratio < 3.0, "{piece:?}: {ratio:.1}");
    }
}
