//! Metering allocates nothing per chunk once its buffers have grown. The allocator itself counts.

#![cfg(not(target_arch = "wasm32"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sluice::usage::{Framing, Meter, Pass, UsageSource};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed to the system's allocator; the counter is a plain cell that does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const DELTA: &str = concat!(
    r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o","choices":[{"index":0,"#,
    r#""delta":{"content":" wörd"},"finish_reason":null}],"usage":null}"#,
    "\n\n"
);
/// The meter reads this event: every count in it is a running total.
const RUNNING: &str = concat!(
    r#"data: {"choices":[{"index":0,"delta":{"content":"a"}}],"#,
    r#""usage":{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":1}}}"#,
    "\n\n"
);
const LINES: &str = "data: {\"choices\":[{\"index\":0,\r\ndata:\"delta\":{}}],\r\ndata: \"usage\":null}\r\n\r\n";
const ANTHROPIC: &str = concat!(
    "event: message_delta\n",
    r#"data: {"type":"message_delta","delta":{},"usage":{"input_tokens":3,"output_tokens":15}}"#,
    "\n\n"
);
const OLLAMA: &str = "{\"model\":\"llama3.2\",\"message\":{\"content\":\"a\"},\"done\":false}\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n";
const CHUNKS: usize = 10_000;
const WARM_UP: usize = 100;

/// The number of allocations for the chunks after the warm-up. `pass` is the expected output of each.
fn allocations(meter: &mut Meter, chunks: &[&[u8]], is_right: impl Fn(Pass<'_>) -> bool) -> u64 {
    let mut before = 0;
    for count in 0..WARM_UP + CHUNKS {
        if count == WARM_UP {
            before = ALLOCATIONS.get();
        }
        let pass = meter.chunk(chunks[count % chunks.len()], false);
        assert!(is_right(pass), "chunk {count}: {pass:?}");
    }
    ALLOCATIONS.get() - before
}

/// The event in three chunks that do not end at its end.
fn split(event: &str) -> [Vec<u8>; 3] {
    let twice = [event, event, event].concat().into_bytes();
    let third = event.len();
    let (head, rest) = twice.split_at(third / 2);
    let (middle, tail) = rest.split_at(third);
    [head.to_vec(), middle.to_vec(), tail.to_vec()]
}

#[test]
fn no_chunk_allocates() {
    let events = [
        ("a delta", Framing::Sse, DELTA),
        ("running totals", Framing::Sse, RUNNING),
        ("several data lines", Framing::Sse, LINES),
        ("Anthropic", Framing::Sse, ANTHROPIC),
        ("Ollama", Framing::Ndjson, OLLAMA),
    ];
    for (name, framing, event) in events {
        for strip in [false, true] {
            let mut whole = Meter::new(framing, strip);
            let count = allocations(&mut whole, &[event.as_bytes()], |pass| pass == Pass::Unchanged);
            println!("{name}, strip {strip}, an event each: {count} allocations in {CHUNKS} chunks");
            assert_eq!(count, 0, "{name}, strip {strip}");

            let parts = split(event);
            let parts = parts.each_ref().map(Vec::as_slice);
            let mut cut = Meter::new(framing, strip);
            let replaces = strip && framing == Framing::Sse;
            let count = allocations(&mut cut, &parts, |pass| replaces || pass == Pass::Unchanged);
            println!("{name}, strip {strip}, cut within events: {count} allocations in {CHUNKS} chunks");
            assert_eq!(count, 0, "{name}, strip {strip}, cut");
        }
    }
}

#[test]
fn a_stripped_chunk_allocates_nothing_either() {
    let mut meter = Meter::new(Framing::Sse, true);
    let chunk = [DELTA, USAGE].concat();
    let count = allocations(&mut meter, &[chunk.as_bytes()], |pass| pass == Pass::Replace(DELTA.as_bytes()));
    println!("stripped: {count} allocations in {CHUNKS} chunks");
    assert_eq!(count, 0);
    meter.chunk(b"data: [DONE]\n\n", true);
    assert_eq!(meter.finish().1, UsageSource::Reported);
}

#[test]
fn a_json_answer_in_one_piece_allocates_nothing() {
    let answer =
        br#"{"choices":[{"message":{"content":"a \"b\""}}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let before = ALLOCATIONS.get();
    let mut meter = Meter::new(Framing::Json, false);
    meter.chunk(answer, true);
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!(meter.finish().1, UsageSource::Reported);
}
