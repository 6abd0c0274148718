//! The cost of searches; only native, because WebAssembly has no clock.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::cast_precision_loss)]

use std::time::{Duration, Instant};

use sluice::guard::pii::{Entity, Patterns, Vault};

use super::all;

/// Lower in unoptimised builds.
const SIZE: usize = if cfg!(debug_assertions) { 32 << 10 } else { 1 << 20 };

const PROSE: &str = "It was a bright cold day in the spring, and all the clocks were striking. People went about \
    their errands; some of them - not many - looked up. \"What is it?\" asked one (nobody answered): it was nothing. ";
const DIGITS: &str = "2024-01-31 12:30:45 id=1234567890 took 12.5 ms, 3 of 17 rows, price 1,299.00, v1.2.3, \
    550e8400-e29b-41d4-a716-446655440000, 1234 5678 9012 3456, 98.6%, 12 34 56 78 90\n";

fn repeated(piece: &str, size: usize) -> String {
    piece.repeat(size / piece.len() + 1)
}

/// The best time of several, because other programs use the machine too.
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

/// Texts from pieces that almost match.
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
    "ask-",
    "aeyJ",
    "aAKIA",
    "@a-",
    "a@a",
    "@.",
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
    "1-1-",
    "1-",
    "1.",
    "1/",
    "(1)",
    "12-34-",
    "212-555-",
    "123-45-",
    "00-1",
    "0-1 ",
    "030 1 ",
    "é",
];

#[test]
fn linear() {
    for piece in HOSTILE {
        linear_in(piece, SIZE * 2, |text| drop(all().find(text)));
    }
}

/// Each match is one character, and the pattern looks for a longer one up to the end of its window.
#[test]
#[cfg_attr(debug_assertions, ignore = "takes long unless optimised")]
fn linear_whatever_the_pattern() {
    let greedy = Patterns::new(&[], &[("GREEDY", r".*[^A-Z]|[A-Z]"), ("LONG", r"[a-z]+@corp\.example")]).unwrap();
    for piece in ["A", "a", "a@corp.", "é"] {
        linear_in(piece, SIZE / 4, |text| drop(greedy.find(text)));
    }
}

/// A text takes as long as its eight parts; with quadratic time it would take eight times as long. Both are the same
/// amount of work, so other programs interrupt both equally often.
fn linear_in(piece: &str, size: usize, run: impl Fn(&str)) {
    let (part, whole) = (repeated(piece, size / 8), repeated(piece, size));
    let ratio = |_| {
        let parts = best(|| (0..8).for_each(|_| run(&part)));
        let time = best(|| run(&whole));
        println!("{piece:?}: {:.1} MB/s", whole.len() as f64 / time.as_secs_f64() / 1e6);
        time.as_secs_f64() / parts.as_secs_f64()
    };
    assert!((0..8).map(ratio).any(|ratio| ratio < 1.5), "{piece:?}: more than linear, eight times");
}

/// The same for restoring, in the smallest pieces.
#[test]
fn restoring_is_linear() {
    let mut vault = Vault::default();
    let text = "jo@example.com";
    vault.hide(text, &all().find(text)).unwrap();
    for piece in ["<", "<EMAIL_ADDRESS_", "&lt;EMAIL_ADDRESS_1&", "<EMAIL_ADDRESS_1>", "words "] {
        linear_in(piece, SIZE, |text| {
            let mut restorer = vault.restorer();
            let length: usize = (0..text.len()).map(|at| restorer.push(&text[at..=at]).len()).sum();
            assert!(length + restorer.finish().len() > 0);
        });
    }
}
