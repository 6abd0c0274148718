//! Providers' answers, and the record that each must leave.

use sluice::usage::UsageSource::{Missing, Partial, Reported};
use sluice::usage::{Framing, TokenUsage, UsageSource};

use super::tokens;

/// One answer. An event that starts with `~` has only usage, and must be stripped; the mark is not part of it.
pub struct Transcript {
    pub name: &'static str,
    pub framing: Framing,
    pub events: &'static [&'static str],
    pub usage: TokenUsage,
    pub source: UsageSource,
}

impl Transcript {
    /// Whether it is a stream that ends without its last event: cut, but not an error.
    pub fn is_interrupted(&self) -> bool {
        let cut = self.source == Partial && !self.events.iter().any(|event| event.contains("error"));
        cut && self.framing != Framing::Json
    }
}

const fn sse(
    name: &'static str,
    events: &'static [&'static str],
    usage: TokenUsage,
    source: UsageSource,
) -> Transcript {
    Transcript { name, framing: Framing::Sse, events, usage, source }
}

const fn ndjson(
    name: &'static str,
    events: &'static [&'static str],
    usage: TokenUsage,
    source: UsageSource,
) -> Transcript {
    Transcript { name, framing: Framing::Ndjson, events, usage, source }
}

const fn json(name: &'static str, text: &'static [&'static str], usage: TokenUsage, source: UsageSource) -> Transcript {
    Transcript { name, framing: Framing::Json, events: text, usage, source }
}

const NOTHING: TokenUsage = tokens(0, 0, [0; 5]);

pub const TRANSCRIPTS: &[Transcript] = &[
    json(
        "OpenAI chat",
        &[r#"{"id":"c","choices":[{"message":{"content":"Grüße 😀","usage":{"prompt_tokens":1}}}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":3},"completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":2,"accepted_prediction_tokens":1,"rejected_prediction_tokens":9}}}"#],
        tokens(19, 10, [4, 0, 5, 3, 2]),
        Reported,
    ),
    json("OpenAI embeddings", &[r#"{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#], tokens(8, 0, [0; 5]), Reported),
    json(
        "OpenAI responses",
        &[r#"{"error":null,"output":[],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":30},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}"#],
        tokens(36, 87, [30, 0, 64, 0, 0]),
        Reported,
    ),
    json("details null and missing", &[r#"{"choices":[{}],"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":null}}"#], tokens(3, 4, [0; 5]), Reported),
    json("no usage", &[r#"{"choices":[{}]}"#], NOTHING, Missing),
    json("usage null", &[r#"{"choices":[{}],"usage":null}"#], NOTHING, Missing),
    json("an error", &[r#"{"error":{"message":"m","type":"t","param":null,"code":null}}"#], NOTHING, Missing),
    json("a duration", &[r#"{"text":"t","usage":{"type":"duration","seconds":3}}"#], NOTHING, Missing),
    json("doubles", &[r#"{"usage":{"prompt_tokens":12.0,"completion_tokens":1.5e2}}"#], tokens(12, 150, [0; 5]), Reported),
    json("absurd numbers", &[r#"{"usage":{"prompt_tokens":-5,"completion_tokens":1e300,"total_tokens":{}}}"#], NOTHING, Missing),
    json("one absurd number", &[r#"{"usage":{"prompt_tokens":"7","completion_tokens":6}}"#], tokens(0, 6, [0; 5]), Reported),
    json("cut", &[r#"{"usage":{"prompt_tokens":19,"completion_tokens":10}"#], NOTHING, Partial),
    json("compressed", &["\u{1f}\u{8b}\u{8}\u{0}"], NOTHING, Partial),
    json(
        "Anthropic",
        &[r#"{"type":"message","content":[],"usage":{"input_tokens":20,"cache_creation_input_tokens":100,"cache_read_input_tokens":3000,"cache_creation":{"ephemeral_5m_input_tokens":60,"ephemeral_1h_input_tokens":40},"output_tokens":9}}"#],
        TokenUsage { cache_write_1h_input: 40, ..tokens(3120, 9, [3000, 100, 0, 0, 0]) },
        Reported,
    ),
    json(
        "Ollama",
        &[r#"{"model":"m","message":{"role":"assistant","content":"a"},"done":true,"total_duration":5000000000,"prompt_eval_count":26,"eval_count":298}"#],
        tokens(26, 298, [0; 5]),
        Reported,
    ),
    json("Ollama embed", &[r#"{"embeddings":[[0.1]],"prompt_eval_count":8}"#], tokens(8, 0, [0; 5]), Reported),
    json(
        "Gemini",
        &[r#"{"candidates":[{"content":{},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":20,"thoughtsTokenCount":30,"toolUsePromptTokenCount":5,"cachedContentTokenCount":4,"totalTokenCount":65}}"#],
        tokens(15, 50, [4, 0, 30, 0, 0]),
        Reported,
    ),
    json(
        "Gemini array",
        &[concat!(
            r#"[{"candidates":[{}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1}}"#,
            "\n,\r\n",
            r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":7}}]"#,
        )],
        tokens(10, 7, [0; 5]),
        Reported,
    ),
    sse(
        "OpenAI",
        &[
            r#"data: {"choices":[{"delta":{"content":"Grüße"}}],"usage":null}"#,
            r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#,
            r#"~data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}"#,
            "data: [DONE]",
        ],
        tokens(9, 12, [0; 5]),
        Reported,
    ),
    sse("comments", &[": ping", "~: x\nevent: y\ndata: {\"choices\":[],\ndata: \"usage\":{\"prompt_tokens\":9}}", "id: 1\ndata:[DONE]"], tokens(9, 0, [0; 5]), Reported),
    sse("cut before usage", &[r#"data: {"choices":[{"delta":{"content":"a"}}],"usage":null}"#], NOTHING, Partial),
    sse("not asked", &[r#"data: {"choices":[{"delta":{}}]}"#, "data: [DONE]"], NOTHING, Missing),
    sse("Azure's first chunk", &[r#"data: {"choices":[],"prompt_filter_results":[]}"#, r#"~data: {"choices":[],"usage":{"prompt_tokens":1}}"#, "data: [DONE]"], tokens(1, 0, [0; 5]), Reported),
    sse("an error", &[r#"data: {"choices":[{"delta":{}}]}"#, r#"data: {"error":{"message":"m"}}"#], NOTHING, Partial),
    sse("an error, then the end", &[r#"data: {"error":{"message":"m"}}"#, r#"~data: {"choices":[],"usage":{"prompt_tokens":5}}"#, "data: [DONE]"], tokens(5, 0, [0; 5]), Partial),
    sse("an error by its name", &[r#"data: {"choices":[{"delta":{}}]}"#, "event: error\ndata: {}", "data: [DONE]"], NOTHING, Partial),
    sse("white space around the end", &[r#"data: {"choices":[{"delta":{}}]}"#, "data:  [DONE] \t"], NOTHING, Missing),
    sse("cut after usage", &[r#"data: {"choices":[{"delta":{}}]}"#, r#"~data: {"choices":[],"usage":{"prompt_tokens":5}}"#], tokens(5, 0, [0; 5]), Partial),
    sse("no end but a finish reason", &[r#"data: {"choices":[{"delta":{}}]}"#, r#"data: {"choices":[{"index":0,"finish_reason":"stop"}]}"#], NOTHING, Missing),
    sse(
        "no end but a finish reason and usage",
        &[r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#, r#"~data: {"choices":[],"usage":{"prompt_tokens":5}}"#],
        tokens(5, 0, [0; 5]),
        Reported,
    ),
    sse("one of two choices finished", &[r#"data: {"choices":[{"index":0},{"index":1,"finish_reason":"stop"}]}"#], NOTHING, Partial),
    sse("nothing but comments", &[": ping", "retry: 5"], NOTHING, Partial),
    sse("usage twice", &[r#"~data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#, r#"~data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}}"#, "data: [DONE]"], tokens(5, 3, [0; 5]), Reported),
    sse(
        "LiteLLM",
        &[r#"data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#, "data: [DONE]"],
        tokens(5, 2, [0; 5]),
        Reported,
    ),
    // the usage that the gateway requested is removed in any form, and nothing else
    sse(
        "usage with choices of null",
        &[
            r#"data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"usage":null}"#,
            r#"~data: {"id":"c","choices":null,"usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
            "data: [DONE]",
        ],
        tokens(5, 1, [0; 5]),
        Reported,
    ),
    sse(
        "usage without choices",
        &[
            r#"data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#,
            r#"~data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
            "data: [DONE]",
        ],
        tokens(5, 1, [0; 5]),
        Reported,
    ),
    sse(
        "usage before content, and in a chunk of it",
        &[
            r#"~data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":0}}"#,
            r#"data: {"choices":[{"index":0,"delta":{"content":"a"}}]}"#,
            r#"data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
            "data: [DONE]",
        ],
        tokens(5, 1, [0; 5]),
        Reported,
    ),
    sse(
        "Groq",
        &[
            r#"data: {"choices":[{"index":0,"delta":{"content":"a"}}],"x_groq":{"id":"r"}}"#,
            r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":5,"completion_tokens":1}}}"#,
            r#"~data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1},"x_groq":{"id":"r","usage":{"prompt_tokens":5,"completion_tokens":1}}}"#,
            "data: [DONE]",
        ],
        tokens(5, 1, [0; 5]),
        Reported,
    ),
    sse(
        "llama.cpp, times in the last chunk",
        &[
            r#"data: {"choices":[{"index":0,"delta":{"content":"a"}}],"timings":{"prompt_n":1}}"#,
            r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"timings":{"cache_n":4,"prompt_n":1,"predicted_n":1}}"#,
            "data: [DONE]",
        ],
        tokens(5, 1, [4, 0, 0, 0, 0]),
        Reported,
    ),
    sse(
        "llama.cpp, times in chunks of their own and with usage",
        &[
            r#"data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#,
            r#"data: {"choices":[],"timings":{"cache_n":4,"prompt_n":1,"predicted_n":1}}"#,
            r#"data: {"timings":{"cache_n":4,"prompt_n":1,"predicted_n":1}}"#,
            r#"~data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1},"timings":{"cache_n":4,"prompt_n":1,"predicted_n":1}}"#,
            "data: [DONE]",
        ],
        tokens(5, 1, [4, 0, 0, 0, 0]),
        Reported,
    ),
    sse(
        "what has no choices, and usage of null",
        &[
            r#"data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}],"usage":null}"#,
            r#"data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],"usage":null}"#,
            r#"data: {"choices":[],"citations":["https://a.example"]}"#,
            r#"data: {"citations":["https://a.example"],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
            "data: [DONE]",
        ],
        tokens(5, 1, [0; 5]),
        Reported,
    ),
    sse(
        "vLLM, continuous",
        &[
            r#"data: {"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#,
            r#"data: {"choices":[{"delta":{"content":"b"}}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#,
            r#"~data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#,
            "data: [DONE]",
        ],
        tokens(5, 2, [0; 5]),
        Reported,
    ),
    sse("vLLM, continuous, cut", &[r#"data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":5,"completion_tokens":1}}"#], tokens(5, 1, [0; 5]), Partial),
    sse("garbage between", &["data: {\"usage\":{\"prompt_tokens\":5}", "data: <html>", "data: [DONE]"], NOTHING, Missing),
    sse(
        "OpenAI responses",
        &[
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\",\"usage\":null}}",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"a\"}",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[],\"usage\":{\"input_tokens\":36,\"input_tokens_details\":{\"cached_tokens\":6},\"output_tokens\":87,\"output_tokens_details\":{\"reasoning_tokens\":64}}}}",
        ],
        tokens(36, 87, [6, 0, 64, 0, 0]),
        Reported,
    ),
    sse("OpenAI responses, failed", &["data: {\"type\":\"response.failed\",\"response\":{\"usage\":null}}"], NOTHING, Missing),
    sse("OpenAI responses, incomplete", &["data: {\"response\":{\"usage\":{\"output_tokens\":3}},\"type\":\"response.incomplete\"}"], tokens(0, 3, [0; 5]), Reported),
    sse(
        "Anthropic",
        &[
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":10,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}",
            "event: ping\ndata: {\"type\":\"ping\"}",
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"é\"}}",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":9}}",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":15}}",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}",
        ],
        tokens(40, 15, [5, 10, 0, 0, 0]),
        Reported,
    ),
    sse("Anthropic, cut", &["data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}"], tokens(25, 1, [0; 5]), Partial),
    sse("Anthropic, overloaded", &["event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}"], NOTHING, Partial),
    sse("Anthropic, without its stop", &["data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}"], tokens(0, 9, [0; 5]), Reported),
    sse("OpenAI responses, an error", &["event: response.created\ndata: {\"type\":\"response.created\"}", "data: {\"type\":\"error\",\"code\":\"server_error\"}"], NOTHING, Partial),
    sse("Gemini, cut", &[r#"data: {"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":10}}"#], tokens(10, 0, [0; 5]), Partial),
    sse("Gemini, a blocked prompt", &[r#"data: {"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":10}}"#], tokens(10, 0, [0; 5]), Reported),
    sse(
        "Gemini",
        &[
            r#"data: {"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1}}"#,
            r#"data: {"candidates":[{"content":{},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":7,"thoughtsTokenCount":2}}"#,
        ],
        tokens(10, 9, [0, 0, 2, 0, 0]),
        Reported,
    ),
    ndjson(
        "Ollama chat",
        &[
            r#"{"message":{"content":"é"},"done":false}"#,
            r#"{"message":{"content":""},"done":true,"done_reason":"stop","total_duration":1,"prompt_eval_count":26,"eval_count":298}"#,
        ],
        tokens(26, 298, [0; 5]),
        Reported,
    ),
    ndjson("Ollama generate, prompt cached", &[r#"{"response":"a","done":false}"#, r#"{"response":"","done":true,"eval_count":4}"#], tokens(0, 4, [0; 5]), Reported),
    ndjson("Ollama, cut", &[r#"{"response":"a","done":false}"#], NOTHING, Partial),
    ndjson("Ollama, an error", &[r#"{"error":"model not found"}"#], NOTHING, Partial),
];
