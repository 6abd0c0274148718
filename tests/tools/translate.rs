//! Translates its standard input, so that tests in other languages can check the output: each input line is a JSON
//! object, and so is each output line.
//!
//! `{"pair": "ChatToMessages", "do": "request" | "answer" | "stream" | "error", "model": "m", "stream": false, "body":
//! "...", "status": 400, "size": 7}`: the body is base64. `size` is the size of a stream's chunks in bytes; 0 tries
//! every way to cut the stream in two; all must give the same result. `request` is the client's request, which the translation of
//! an answer needs. Output: `{"body": "<base64>", "dropped": "..."}`, or `{"refused": "...", "param": "..."}`.

use std::io::{stdin, stdout, BufRead, Write};

use serde_json::{json, Value};
use sluice::base64::{decode_standard, encode_standard};
use sluice::translate::{Pair, Platform, Reply, Target, MAX_OUTPUT_TOKENS};

fn main() {
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let line = line.expect("lines of text");
        let task: Value = serde_json::from_str(&line).expect("a JSON object a line");
        writeln!(out, "{}", answer(&task)).expect("somebody reads");
    }
}

fn answer(task: &Value) -> Value {
    let text = |name: &str| task[name].as_str().unwrap_or_default();
    let bytes = |name: &str| decode_standard(text(name)).expect("base64");
    let pair = Pair::ALL.into_iter().find(|pair| format!("{pair:?}") == text("pair")).expect("a pair");
    let target = Target {
        model: text("model"),
        stream: task["stream"] == true,
        include_usage: true,
        max_output_tokens: MAX_OUTPUT_TOKENS,
        platform: Platform::Own,
    };
    let mut reply = Reply { created: 1_700_000_000, id: 1, include_usage: true, ..Reply::default() };
    if task["request"].is_string() {
        reply.notes = pair.request(&bytes("request"), &target).map(|translated| translated.notes).unwrap_or_default();
    }
    match text("do") {
        "request" => match pair.request(&bytes("body"), &target) {
            Ok(done) => json!({"body": encode_standard(&done.body), "dropped": done.dropped.header()}),
            Err(error) => json!({"refused": error.message, "param": error.param}),
        },
        "answer" => match pair.answer(&bytes("body"), &reply) {
            Ok(done) => json!({"body": encode_standard(&done.body)}),
            Err(_) => json!({"refused": "not an answer"}),
        },
        "error" => {
            let status = task["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
            json!({"body": encode_standard(&pair.error(status, &bytes("body"))), "status": pair.status(status)})
        }
        "stream" => {
            let body = bytes("body");
            let whole = stream(pair, &reply, &[&body]);
            let size = usize::try_from(task["size"].as_u64().unwrap_or(0)).unwrap_or(0);
            let same = match size {
                0 => (1..body.len()).all(|cut| {
                    let (before, after) = body.split_at(cut);
                    stream(pair, &reply, &[before, after]) == whole
                }),
                size => stream(pair, &reply, &body.chunks(size).collect::<Vec<_>>()) == whole,
            };
            json!({"body": encode_standard(&whole), "same": same})
        }
        other => panic!("`do` is none of these: {other:?}"),
    }
}

fn stream(pair: Pair, reply: &Reply, chunks: &[&[u8]]) -> Vec<u8> {
    let mut stream = pair.stream(reply);
    let mut out = Vec::new();
    for (number, chunk) in chunks.iter().enumerate() {
        stream.chunk(chunk, number + 1 == chunks.len());
        out.extend_from_slice(stream.written());
        stream.clear();
    }
    out
}
