//! Reasoning: beside the output that a server reports, within it, or in the total alone.

use sluice::usage::Framing::{Json, Sse};

use super::streams::{Case, DONE, STOP, TEXT};
use crate::usage::tokens;

pub const REASONING: &[Case] = &[
    (
        "beside the completion (xAI)",
        Sse,
        &[
            TEXT,
            STOP,
            r#"~{"choices":[],"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}}"#,
            DONE,
        ],
        tokens(32, 103, [0, 0, 94, 0, 0]),
    ),
    (
        "beside the output, in Responses",
        Json,
        &[
            r#"{"object":"response","output":[],"usage":{"input_tokens":32,"output_tokens":9,"total_tokens":135,"output_tokens_details":{"reasoning_tokens":94}}}"#,
        ],
        tokens(32, 103, [0, 0, 94, 0, 0]),
    ),
    (
        "beside the output, in Responses' stream",
        Sse,
        &[
            r#"{"type":"response.output_text.delta","delta":"Hi"}"#,
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":32,"output_tokens":9,"total_tokens":135,"output_tokens_details":{"reasoning_tokens":94}}}}"#,
        ],
        tokens(32, 103, [0, 0, 94, 0, 0]),
    ),
    (
        "without any completion",
        Sse,
        &[
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"Well"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":{"prompt_tokens":21,"completion_tokens":0,"total_tokens":81,"completion_tokens_details":{"reasoning_tokens":60}}}"#,
            DONE,
        ],
        tokens(21, 60, [0, 0, 60, 0, 0]),
    ),
    (
        "without any output, in Responses",
        Json,
        &[
            r#"{"object":"response","output":[],"usage":{"input_tokens":21,"output_tokens":0,"total_tokens":81,"output_tokens_details":{"reasoning_tokens":60}}}"#,
        ],
        tokens(21, 60, [0, 0, 60, 0, 0]),
    ),
    (
        "without any candidate (Gemini)",
        Sse,
        &[
            r#"{"candidates":[{"finishReason":"MAX_TOKENS"}],"usageMetadata":{"promptTokenCount":21,"thoughtsTokenCount":60,"totalTokenCount":81}}"#,
        ],
        tokens(21, 60, [0, 0, 60, 0, 0]),
    ),
    (
        "in the total alone (Gemini's endpoint for OpenAI's clients)",
        Sse,
        &[
            r#"{"choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":{"prompt_tokens":30,"completion_tokens":2,"total_tokens":90}}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":100}}"#,
            DONE,
        ],
        tokens(30, 70, [0, 0, 58, 0, 0]),
    ),
    (
        "in the total alone, and a cache",
        Json,
        &[
            r#"{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":100,"prompt_tokens_details":{"cached_tokens":20}}}"#,
        ],
        tokens(30, 70, [20, 0, 58, 0, 0]),
    ),
    (
        "within the candidates (Gemini)",
        Sse,
        &[
            r#"{"candidates":[{"content":{}}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":4,"thoughtsTokenCount":3,"totalTokenCount":9}}"#,
            r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7,"thoughtsTokenCount":3,"totalTokenCount":12}}"#,
        ],
        tokens(5, 7, [0, 0, 3, 0, 0]),
    ),
    (
        "within the candidates, in an array",
        Json,
        &[
            r#"[{"candidates":[{"content":{}}]},{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7,"thoughtsTokenCount":3,"totalTokenCount":12}}]"#,
        ],
        tokens(5, 7, [0, 0, 3, 0, 0]),
    ),
    (
        "thinking (Anthropic)",
        Sse,
        &[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        tokens(3, 9, [0, 0, 4, 0, 0]),
    ),
    (
        "thinking, in an answer",
        Json,
        &[
            r#"{"type":"message","content":[],"usage":{"input_tokens":3,"cache_read_input_tokens":2,"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}}"#,
        ],
        tokens(5, 9, [2, 0, 4, 0, 0]),
    ),
];
