//! The same usage in whole answers and streams: metered at every cut, with and without the chunk that only has usage.

use sluice::usage::{Framing, Meter, Pass, TokenUsage, UsageSource};

use super::hour;
use super::reasoning::REASONING;
use crate::usage::tokens;

use Framing::{Json, Ndjson, Sse};

/// A name, the framing, the events or the whole answer, and the tokens. An event that starts with `~` is stripped.
pub type Case = (&'static str, Framing, &'static [&'static str], TokenUsage);

pub const TEXT: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hi"}}]}"#;
pub const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
pub const DONE: &str = "[DONE]";

const PLACES: &[Case] = &[
    (
        "in a choice alone (Moonshot)",
        Sse,
        &[
            TEXT,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}]}"#,
            DONE,
        ],
        tokens(9, 3, [0; 5]),
    ),
    (
        "in a choice of an answer",
        Json,
        &[
            r#"{"choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}]}"#,
        ],
        tokens(9, 3, [0; 5]),
    ),
    (
        "in a choice of completions",
        Sse,
        &[
            r#"{"choices":[{"index":0,"text":"Hi","finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"text":"","finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}]}"#,
            DONE,
        ],
        tokens(9, 3, [0; 5]),
    ),
    (
        "only a total, beside pixels (Voyage)",
        Json,
        &[
            r#"{"object":"list","data":[{"object":"embedding","embedding":"AAAA","index":0}],"model":"voyage-multimodal-3","usage":{"text_tokens":5,"image_pixels":2000000,"total_tokens":12}}"#,
        ],
        tokens(12, 0, [0; 5]),
    ),
    (
        "only a total, of ranks (Voyage)",
        Json,
        &[r#"{"object":"list","data":[{"relevance_score":0.4,"index":0}],"usage":{"total_tokens":12}}"#],
        tokens(12, 0, [0; 5]),
    ),
    (
        "hits and misses (DeepSeek)",
        Sse,
        &[
            TEXT,
            r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":6},"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":3}}"#,
            DONE,
        ],
        tokens(9, 1, [6, 0, 0, 0, 0]),
    ),
    (
        "no hits",
        Json,
        &[
            r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":9}}"#,
        ],
        tokens(9, 1, [0; 5]),
    ),
    (
        "a later zero (SGLang)",
        Sse,
        &[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":15,"output_tokens":0}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":0,"output_tokens":5}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        tokens(15, 5, [0; 5]),
    ),
    (
        "later zeros of a cache",
        Sse,
        &[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":15,"cache_read_input_tokens":100,"cache_creation_input_tokens":20,"output_tokens":1}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":0,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"output_tokens":5}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        tokens(135, 5, [100, 20, 0, 0, 0]),
    ),
    (
        "a later zero of Gemini's",
        Sse,
        &[
            r#"{"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":15,"candidatesTokenCount":1,"totalTokenCount":16}}"#,
            r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":0,"candidatesTokenCount":5}}"#,
        ],
        tokens(15, 5, [0; 5]),
    ),
    (
        "JSON, and then the mark of a stream's end",
        Json,
        &[
            "{\"choices\":[{\"message\":{\"content\":\"Hi\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n",
        ],
        tokens(9, 3, [0; 5]),
    ),
    (
        "Responses, and then that mark",
        Json,
        &[
            "{\"object\":\"response\",\"output\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":3}}\r\n\r\ndata: [DONE]\r\n\r\n",
        ],
        tokens(9, 3, [0; 5]),
    ),
    (
        "a message, and then that mark",
        Json,
        &["{\"type\":\"message\",\"content\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":3}}\ndata: [DONE]"],
        tokens(9, 3, [0; 5]),
    ),
    (
        "x_groq, in an answer",
        Json,
        &[
            r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":9,"completion_tokens":3}}}"#,
        ],
        tokens(9, 3, [0; 5]),
    ),
    (
        "timings, in an answer (llama.cpp)",
        Json,
        &[
            r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"timings":{"cache_n":3,"prompt_n":9,"predicted_n":1}}"#,
        ],
        tokens(12, 1, [3, 0, 0, 0, 0]),
    ),
    (
        "metrics, in a stream (Llama API)",
        Sse,
        &[
            r#"{"event":{"event_type":"progress","delta":{"type":"text","text":"Hi"}}}"#,
            r#"{"event":{"event_type":"complete","delta":{"type":"text","text":""},"stop_reason":"stop"}}"#,
            r#"{"event":{"event_type":"metrics","delta":{"type":"text","text":""},"metrics":[{"metric":"num_completion_tokens","value":5,"unit":"tokens"},{"metric":"num_prompt_tokens","value":2,"unit":"tokens"},{"metric":"num_total_tokens","value":7,"unit":"tokens"}]}}"#,
        ],
        tokens(2, 5, [0; 5]),
    ),
    (
        "what is billed, alone (Cohere)",
        Json,
        &[
            r#"{"message":{"role":"assistant","content":[{"type":"text","text":"Hi"}]},"usage":{"billed_units":{"input_tokens":2,"output_tokens":3}}}"#,
        ],
        tokens(2, 3, [0; 5]),
    ),
    (
        "Gemini's Interactions, with tools",
        Sse,
        &[
            r#"{"event_type":"content.delta","index":0,"delta":{"type":"text","text":"Hi"}}"#,
            r#"{"event_type":"interaction.completed","interaction":{"status":"completed","usage":{"total_input_tokens":7,"total_tool_use_tokens":6,"total_output_tokens":4,"total_thought_tokens":9,"total_tokens":26}}}"#,
        ],
        tokens(13, 13, [0, 0, 9, 0, 0]),
    ),
    (
        "a later zero of Ollama's",
        Ndjson,
        &[
            r#"{"message":{"content":"Hi"},"done":false,"prompt_eval_count":15}"#,
            r#"{"message":{"content":""},"done":true,"prompt_eval_count":0,"eval_count":5}"#,
        ],
        tokens(15, 5, [0; 5]),
    ),
];

const PARTS: &[Case] = &[
    (
        "compaction, in a stream",
        Sse,
        &[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":60,"output_tokens":1}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":60,"output_tokens":8,"iterations":[{"type":"compaction","input_tokens":500,"output_tokens":40},{"type":"message","input_tokens":60,"output_tokens":8}]}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        tokens(560, 48, [0; 5]),
    ),
    (
        "compaction, twice, with a cache",
        Json,
        &[
            r#"{"type":"message","content":[],"usage":{"input_tokens":60,"output_tokens":8,"iterations":[{"type":"compaction","input_tokens":500,"output_tokens":40},{"type":"compaction","input_tokens":100,"output_tokens":4},{"type":"message","input_tokens":60,"cache_read_input_tokens":9,"output_tokens":8}]}}"#,
        ],
        tokens(669, 52, [9, 0, 0, 0, 0]),
    ),
    (
        "a usage for each of three prompts (TGI)",
        Sse,
        &[
            r#"{"choices":[{"index":0,"text":"a","finish_reason":"stop"}],"usage":{"prompt_tokens":6,"completion_tokens":1,"total_tokens":7}}"#,
            r#"{"choices":[{"index":2,"text":"c","finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7}}"#,
            r#"{"choices":[{"index":1,"text":"b","finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
            DONE,
        ],
        tokens(15, 6, [0; 5]),
    ),
    (
        "cache writes within Responses' details",
        Json,
        &[
            r#"{"object":"response","output":[],"usage":{"input_tokens":90,"output_tokens":1,"total_tokens":91,"input_tokens_details":{"cached_tokens":20,"cache_creation_input_tokens":50}}}"#,
        ],
        tokens(90, 1, [20, 50, 0, 0, 0]),
    ),
    (
        "cache writes within the details of a chunk",
        Sse,
        &[
            TEXT,
            STOP,
            r#"~{"choices":[],"usage":{"prompt_tokens":90,"completion_tokens":1,"total_tokens":91,"prompt_tokens_details":{"cached_tokens":0,"cache_creation_tokens":50,"cache_creation_token_details":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":30}}}}"#,
            DONE,
        ],
        hour(30, tokens(90, 1, [0, 50, 0, 0, 0])),
    ),
    (
        "another name of them, in a chunk",
        Sse,
        &[
            STOP,
            r#"~{"choices":[],"usage":{"prompt_tokens":90,"completion_tokens":1,"prompt_tokens_details":{"cache_creation_input_tokens":50}}}"#,
            DONE,
        ],
        tokens(90, 1, [0, 50, 0, 0, 0]),
    ),
    (
        "cached_tokens at the top of a chunk's usage",
        Sse,
        &[STOP, r#"~{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"cached_tokens":6}}"#, DONE],
        tokens(9, 1, [6, 0, 0, 0, 0]),
    ),
    (
        "num_cached_tokens in a chunk",
        Sse,
        &[STOP, r#"~{"choices":null,"usage":{"prompt_tokens":9,"completion_tokens":1,"num_cached_tokens":6}}"#, DONE],
        tokens(9, 1, [6, 0, 0, 0, 0]),
    ),
    (
        "prompt_token_details in a chunk",
        Sse,
        &[
            STOP,
            r#"~{"usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_token_details":{"cached_tokens":6}}}"#,
            DONE,
        ],
        tokens(9, 1, [6, 0, 0, 0, 0]),
    ),
    (
        "input_token_details",
        Json,
        &[
            r#"{"text":"Hi","usage":{"type":"tokens","input_tokens":9,"output_tokens":1,"total_tokens":10,"input_token_details":{"cached_tokens":6,"audio_tokens":3}}}"#,
        ],
        tokens(9, 1, [6, 0, 0, 3, 0]),
    ),
];

/// The answer, and the client's part of it without the stripped events.
fn written(framing: Framing, events: &[&str]) -> (String, String) {
    let (mut whole, mut stripped) = (String::new(), String::new());
    for event in events {
        let bare = event.trim_start_matches('~');
        let text = match framing {
            Framing::Sse => format!("data: {bare}\n\n"),
            Framing::Ndjson => format!("{bare}\n"),
            Framing::Json | Framing::EventStream => bare.to_owned(),
        };
        whole.push_str(&text);
        if bare == *event {
            stripped.push_str(&text);
        }
    }
    (whole, stripped)
}

#[test]
fn at_every_cut() {
    for (name, framing, events, want) in REASONING.iter().chain(PLACES).chain(PARTS) {
        let (whole, stripped) = written(*framing, events);
        for strip in [false, true] {
            for at in 0..=whole.len() {
                let mut meter = Meter::new(*framing, strip);
                let mut out = Vec::new();
                for (chunk, end) in [(&whole.as_bytes()[..at], false), (&whole.as_bytes()[at..], true)] {
                    match meter.chunk(chunk, end) {
                        Pass::Unchanged => out.extend_from_slice(chunk),
                        Pass::Replace(replaced) => out.extend_from_slice(replaced),
                    }
                }
                assert_eq!(meter.finish(), (*want, UsageSource::Reported), "{name}, strip {strip}, cut at {at}");
                let want = if strip { &stripped } else { &whole };
                assert_eq!(&String::from_utf8(out).unwrap(), want, "{name}, strip {strip}, cut at {at}");
            }
        }
    }
}
