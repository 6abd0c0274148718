//! The speed of metering: `cargo test --release -p sluice --test throughput -- --nocapture`.
//!
//! It prints its measurements, and fails only if metering is absurdly slow, because a shared machine cannot measure
//! percents.

#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::time::{Duration, Instant};

use sluice::usage::{Framing, Meter, UsageSource};

/// Envoy passes on the bytes of each read from the socket; these are common sizes.
const CHUNK_SIZES: [usize; 3] = [256, 4096, 16_384];
const MEASURED: Duration = Duration::from_millis(if cfg!(debug_assertions) { 5 } else { 300 });
/// Gigabytes per second; far below the slowest machine.
const LEAST: f64 = if cfg!(debug_assertions) { 0.0 } else { 0.02 };

fn openai_stream() -> Vec<u8> {
    let mut stream = Vec::new();
    for word in 0..2000 {
        let event = format!(
            r#"data: {{"id":"chatcmpl-BtVx1qk0uV3ZpGmYH8","object":"chat.completion.chunk","created":1752600000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_a288987b44","choices":[{{"index":0,"delta":{{"content":" word{word}"}},"logprobs":null,"finish_reason":null}}],"usage":null,"obfuscation":"kVY2s"}}"#
        );
        stream.extend_from_slice(event.as_bytes());
        stream.extend_from_slice(b"\n\n");
    }
    stream.extend_from_slice(
        b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    );
    stream.extend_from_slice(
        b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2000}}\n\ndata: [DONE]\n\n",
    );
    stream
}

fn anthropic_stream() -> Vec<u8> {
    let mut stream = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n".to_vec();
    for word in 0..2000 {
        let event = format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\" word{word}\"}}}}\n\n"
        );
        stream.extend_from_slice(event.as_bytes());
    }
    stream.extend_from_slice(b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":2000}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    stream
}

fn ollama_stream() -> Vec<u8> {
    let mut stream = Vec::new();
    for word in 0..2000 {
        let event = format!(
            "{{\"model\":\"llama3.2\",\"created_at\":\"2026-07-15T12:00:00.123456Z\",\"message\":{{\"role\":\"assistant\",\"content\":\" word{word}\"}},\"done\":false}}\n"
        );
        stream.extend_from_slice(event.as_bytes());
    }
    stream.extend_from_slice(b"{\"done\":true,\"prompt_eval_count\":26,\"eval_count\":2000}\n");
    stream
}

fn chat_answer() -> Vec<u8> {
    let text = "Some words of an answer, a \\\"quotation\\\", and a line end.\\n".repeat(400);
    let answer = format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":2000}}}}"#
    );
    answer.into_bytes()
}

fn embedding_answer() -> Vec<u8> {
    let vector = ["-0.006929283495992422", "0.0053363773"].repeat(768).join(",");
    let answer = format!(
        r#"{{"object":"list","data":[{{"object":"embedding","index":0,"embedding":[{vector}]}}],"model":"text-embedding-3-small","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#
    );
    answer.into_bytes()
}

/// Meters the answer repeatedly; gigabytes per second, the best run, because others use the machine too.
fn measure(framing: Framing, strip: bool, answer: &[u8], size: usize) -> f64 {
    let begun = Instant::now();
    let mut best = Duration::MAX;
    while begun.elapsed() < MEASURED {
        let started = Instant::now();
        let mut meter = Meter::new(framing, strip);
        for chunk in answer.chunks(size) {
            meter.chunk(chunk, false);
        }
        meter.chunk(b"", true);
        best = best.min(started.elapsed());
        assert_eq!(meter.finish().1, UsageSource::Reported);
    }
    answer.len() as f64 / best.as_secs_f64() / 1e9
}

#[test]
fn throughput() {
    let answers = [
        ("SSE, OpenAI chat", Framing::Sse, openai_stream()),
        ("SSE, Anthropic", Framing::Sse, anthropic_stream()),
        ("NDJSON, Ollama", Framing::Ndjson, ollama_stream()),
        ("JSON, chat", Framing::Json, chat_answer()),
        ("JSON, embedding", Framing::Json, embedding_answer()),
    ];
    for (name, framing, answer) in &answers {
        for strip in [false, true] {
            if strip && *framing != Framing::Sse {
                continue;
            }
            for size in CHUNK_SIZES.into_iter().chain([answer.len()]) {
                let speed = measure(*framing, strip, answer, size);
                println!("{name:<17} strip {strip:<5} chunks of {size:>6}: {speed:.2} GB/s");
                assert!(speed > LEAST, "{name}, chunks of {size}: {speed} GB/s");
            }
        }
    }
}
