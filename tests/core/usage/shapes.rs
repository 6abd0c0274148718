//! Usage from real servers: totals and parts are checked against each other, and the reading that fits is used.

mod reasoning;
mod streams;

use sluice::usage::{EventKind, TokenUsage, UsageReading};

use super::tokens;

const fn hour(writes: u64, usage: TokenUsage) -> TokenUsage {
    TokenUsage { cache_write_1h_input: writes, ..usage }
}

const fn images(image_input: u64, image_output: u64, usage: TokenUsage) -> TokenUsage {
    TokenUsage { image_input, image_output, ..usage }
}

/// A name, the events or the complete answer, and the tokens.
type Case = (&'static str, &'static [&'static str], TokenUsage);

/// The parts for audio and images.
const MODALITIES: &[Case] = &[
    (
        "OpenAI's chat with sound",
        &[
            r#"{"usage":{"prompt_tokens":50,"completion_tokens":30,"total_tokens":80,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":40},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":20}}}"#,
        ],
        tokens(50, 30, [0, 0, 0, 40, 20]),
    ),
    (
        "a chat with images (xAI)",
        &[
            r#"{"usage":{"prompt_tokens":300,"completion_tokens":5,"total_tokens":305,"prompt_tokens_details":{"text_tokens":44,"audio_tokens":0,"image_tokens":256,"cached_tokens":3}}}"#,
        ],
        images(256, 0, tokens(300, 5, [3, 0, 0, 0, 0])),
    ),
    (
        "a chat with images, sound and videos (Qwen)",
        &[
            r#"{"usage":{"prompt_tokens":100,"completion_tokens":7,"total_tokens":107,"prompt_tokens_details":{"text_tokens":10,"image_tokens":20,"audio_tokens":30,"video_tokens":40},"completion_tokens_details":{"text_tokens":7}}}"#,
        ],
        images(20, 0, tokens(100, 7, [0, 0, 0, 30, 0])),
    ),
    (
        "a chat that answers with an image (OpenRouter)",
        &[
            r#"{"usage":{"prompt_tokens":9,"completion_tokens":1300,"total_tokens":1309,"completion_tokens_details":{"reasoning_tokens":0,"image_tokens":1290}}}"#,
        ],
        images(0, 1290, tokens(9, 1300, [0; 5])),
    ),
    (
        "OpenAI's images",
        &[
            r#"{"data":[{"b64_json":"AA=="}],"usage":{"input_tokens":50,"input_tokens_details":{"image_tokens":40,"text_tokens":10},"output_tokens":4160,"output_tokens_details":{"image_tokens":4150,"text_tokens":10},"total_tokens":4210}}"#,
        ],
        images(40, 4150, tokens(50, 4160, [0; 5])),
    ),
    (
        "OpenAI's Responses",
        &[
            r#"{"type":"response.completed","response":{"usage":{"input_tokens":90,"input_tokens_details":{"cached_tokens":10,"image_tokens":70},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":93}}}"#,
        ],
        images(70, 0, tokens(90, 3, [10, 0, 0, 0, 0])),
    ),
    (
        "Gemini, with two parts of one kind, and the last event's counts alone",
        &[
            r#"{"usageMetadata":{"promptTokenCount":900,"promptTokensDetails":[{"modality":"IMAGE","tokenCount":258}]}}"#,
            r#"{"usageMetadata":{"promptTokenCount":900,"candidatesTokenCount":1300,"totalTokenCount":2200,"promptTokensDetails":[{"modality":"TEXT","tokenCount":84},{"modality":"IMAGE","tokenCount":258},{"modality":"IMAGE","tokenCount":258},{"modality":"VIDEO","tokenCount":200},{"modality":"AUDIO","tokenCount":100}],"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":1290},{"modality":"TEXT","tokenCount":10}]}}"#,
        ],
        images(516, 1290, tokens(900, 1300, [0, 0, 0, 100, 0])),
    ),
    (
        "Gemini's Interactions",
        &[
            r#"{"usage":{"total_input_tokens":300,"total_output_tokens":9,"total_tokens":309,"input_tokens_by_modality":[{"modality":"text","tokens":12},{"modality":"image","tokens":258},{"modality":"audio","tokens":30}],"output_tokens_by_modality":[{"modality":"text","tokens":9}]}}"#,
        ],
        images(258, 0, tokens(300, 9, [0, 0, 0, 30, 0])),
    ),
    (
        "parts that are no counts, and one that is larger than all",
        &[
            r#"{"usage":{"prompt_tokens":9,"completion_tokens":8,"prompt_tokens_details":{"image_tokens":"7"},"completion_tokens_details":{"image_tokens":99}}}"#,
        ],
        images(0, 8, tokens(9, 8, [0; 5])),
    ),
];

const CASES: &[Case] = &[
    (
        "reasoning beside the completion, as the total says (xAI)",
        &[
            r#"{"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}}"#,
        ],
        tokens(32, 103, [0, 0, 94, 0, 0]),
    ),
    (
        "reasoning within the completion",
        &[
            r#"{"usage":{"prompt_tokens":32,"completion_tokens":103,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}}"#,
        ],
        tokens(32, 103, [0, 0, 94, 0, 0]),
    ),
    (
        "no completion beside reasoning",
        &[
            r#"{"usage":{"prompt_tokens":21,"completion_tokens":0,"total_tokens":81,"completion_tokens_details":{"reasoning_tokens":60}}}"#,
        ],
        tokens(21, 60, [0, 0, 60, 0, 0]),
    ),
    (
        "more reasoning than completion, and a total without it",
        &[
            r#"{"usage":{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12,"completion_tokens_details":{"reasoning_tokens":40}}}"#,
        ],
        tokens(7, 45, [0, 0, 40, 0, 0]),
    ),
    (
        "reasoning in the total alone (Gemini's endpoint for OpenAI's clients)",
        &[r#"{"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":100}}"#],
        tokens(30, 70, [0, 0, 58, 0, 0]),
    ),
    (
        "an absurd total moves nothing",
        &[r#"{"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":9000000000000}}"#],
        tokens(30, 12, [0; 5]),
    ),
    (
        "the cache beside the prompt",
        &[
            r#"{"usage":{"prompt_tokens":40,"completion_tokens":2,"total_tokens":102,"prompt_tokens_details":{"cached_tokens":60}}}"#,
        ],
        tokens(100, 2, [60, 0, 0, 0, 0]),
    ),
    (
        "sources and reasoning beside what was asked (Perplexity)",
        &[
            r#"{"usage":{"prompt_tokens":30,"completion_tokens":50,"total_tokens":80,"citation_tokens":20,"reasoning_tokens":900}}"#,
        ],
        tokens(50, 950, [0, 0, 900, 0, 0]),
    ),
    (
        "only a total, of embeddings (Voyage)",
        &[r#"{"data":[{"embedding":[0.1]}],"usage":{"total_tokens":12}}"#],
        tokens(12, 0, [0; 5]),
    ),
    (
        "only a total, of ranks (Jina)",
        &[r#"{"usage":{"total_tokens":12},"results":[{"index":0}]}"#],
        tokens(12, 0, [0; 5]),
    ),
    ("only a total, of a chat", &[r#"{"choices":[{}],"usage":{"total_tokens":12}}"#], tokens(0, 0, [0; 5])),
    ("a prompt and a total", &[r#"{"usage":{"prompt_tokens":10,"total_tokens":42}}"#], tokens(10, 32, [0; 5])),
    (
        "no prompt tokens where embeddings are",
        &[r#"{"usage":{"prompt_tokens":8,"total_tokens":8}}"#],
        tokens(8, 0, [0; 5]),
    ),
    (
        "hits and misses (DeepSeek)",
        &[
            r#"{"usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":3}}"#,
        ],
        tokens(9, 1, [6, 0, 0, 0, 0]),
    ),
    (
        "hits and misses alone",
        &[r#"{"usage":{"completion_tokens":1,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":3}}"#],
        tokens(9, 1, [6, 0, 0, 0, 0]),
    ),
    (
        "cached_tokens at the top",
        &[r#"{"usage":{"prompt_tokens":9,"cached_tokens":6}}"#],
        tokens(9, 0, [6, 0, 0, 0, 0]),
    ),
    ("num_cached_tokens", &[r#"{"usage":{"prompt_tokens":9,"num_cached_tokens":6}}"#], tokens(9, 0, [6, 0, 0, 0, 0])),
    (
        "prompt_token_details",
        &[r#"{"usage":{"prompt_tokens":9,"prompt_token_details":{"cached_tokens":6}}}"#],
        tokens(9, 0, [6, 0, 0, 0, 0]),
    ),
    (
        "cache writes within details, by the time they are kept",
        &[
            r#"{"usage":{"prompt_tokens":90,"prompt_tokens_details":{"cache_creation_tokens":50,"cache_creation_token_details":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":30}}}}"#,
        ],
        hour(30, tokens(90, 0, [0, 50, 0, 0, 0])),
    ),
    (
        "another name of them",
        &[r#"{"usage":{"prompt_tokens":90,"prompt_tokens_details":{"cache_creation_input_tokens":50}}}"#],
        tokens(90, 0, [0, 50, 0, 0, 0]),
    ),
    (
        "a later zero (SGLang)",
        &[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":15,"output_tokens":0}}}"#,
            r#"{"type":"message_delta","usage":{"input_tokens":0,"output_tokens":5}}"#,
        ],
        tokens(15, 5, [0; 5]),
    ),
    (
        "thinking (Anthropic)",
        &[r#"{"usage":{"input_tokens":3,"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}}"#],
        tokens(3, 9, [0, 0, 4, 0, 0]),
    ),
    (
        "compaction is billed, an advisor is another model",
        &[
            r#"{"usage":{"iterations":[{"type":"compaction","input_tokens":500,"output_tokens":40,"cache_creation":{"ephemeral_1h_input_tokens":7}},{"type":"advisor_message","input_tokens":900},{"type":"message","input_tokens":60,"output_tokens":8}],"input_tokens":60,"output_tokens":8}}"#,
        ],
        hour(7, tokens(567, 48, [0, 7, 0, 0, 0])),
    ),
    (
        "iterations without compaction",
        &[
            r#"{"usage":{"input_tokens":60,"output_tokens":8,"iterations":[{"type":"message","input_tokens":50,"output_tokens":8}]}}"#,
        ],
        tokens(60, 8, [0; 5]),
    ),
    (
        "an Anthropic cache in the total",
        &[r#"{"usage":{"input_tokens":60,"cache_read_input_tokens":50,"output_tokens":8,"total_tokens":68}}"#],
        tokens(60, 8, [50, 0, 0, 0, 0]),
    ),
    (
        "candidates with the thoughts (Gemini)",
        &[
            r#"{"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7,"thoughtsTokenCount":3,"totalTokenCount":12}}"#,
        ],
        tokens(5, 7, [0, 0, 3, 0, 0]),
    ),
    (
        "candidates beside the thoughts",
        &[
            r#"{"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7,"thoughtsTokenCount":3,"totalTokenCount":15}}"#,
        ],
        tokens(5, 10, [0, 0, 3, 0, 0]),
    ),
    (
        "Gemini's Interactions",
        &[
            r#"{"interaction":{"usage":{"total_tokens":20,"total_input_tokens":7,"total_output_tokens":4,"total_thought_tokens":9,"total_cached_tokens":2}},"event_type":"interaction.completed"}"#,
        ],
        tokens(7, 13, [2, 0, 9, 0, 0]),
    ),
    (
        "a choice's usage (Moonshot)",
        &[
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"cached_tokens":4}}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"cached_tokens":4}}"#,
        ],
        tokens(9, 3, [4, 0, 0, 0, 0]),
    ),
    (
        "x_groq",
        &[
            r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":{"prompt_tokens":9,"completion_tokens":3}}}"#,
        ],
        tokens(9, 3, [0; 5]),
    ),
    (
        "timings alone (llama.cpp)",
        &[r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"timings":{"cache_n":3,"prompt_n":9,"predicted_n":1}}"#],
        tokens(12, 1, [3, 0, 0, 0, 0]),
    ),
    (
        "timings beside usage",
        &[
            r#"{"usage":{"prompt_tokens":12,"completion_tokens":2},"timings":{"cache_n":3,"prompt_n":9,"predicted_n":1}}"#,
        ],
        tokens(12, 2, [3, 0, 0, 0, 0]),
    ),
    (
        "metrics (Llama API)",
        &[
            r#"{"metrics":[{"metric":"num_completion_tokens","value":5,"unit":"tokens"},{"metric":"num_prompt_tokens","value":2}]}"#,
        ],
        tokens(2, 5, [0; 5]),
    ),
    (
        "metrics of an event",
        &[
            r#"{"event":{"event_type":"metrics","metrics":[{"metric":"num_completion_tokens","value":5},{"metric":"num_prompt_tokens","value":2}]}}"#,
        ],
        tokens(2, 5, [0; 5]),
    ),
    (
        "Cohere",
        &[
            r#"{"usage":{"billed_units":{"input_tokens":2,"output_tokens":3},"tokens":{"input_tokens":20,"output_tokens":4},"cached_tokens":8}}"#,
        ],
        tokens(20, 4, [8, 0, 0, 0, 0]),
    ),
    (
        "Cohere's stream",
        &[
            r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"tokens":{"input_tokens":20,"output_tokens":4}}}}"#,
        ],
        tokens(20, 4, [0; 5]),
    ),
    (
        "Cohere's embeddings",
        &[r#"{"embeddings":{},"meta":{"billed_units":{"input_tokens":10}}}"#],
        tokens(10, 0, [0; 5]),
    ),
    (
        "Bedrock's Converse",
        &[r#"{"usage":{"inputTokens":5,"outputTokens":2,"cacheReadInputTokens":10,"totalTokens":17}}"#],
        tokens(15, 2, [10, 0, 0, 0, 0]),
    ),
    (
        "Bedrock's Converse, whose total leaves out what was cached",
        &[
            r#"{"usage":{"inputTokens":5,"outputTokens":2,"cacheReadInputTokens":10,"cacheWriteInputTokens":4,"totalTokens":7}}"#,
        ],
        tokens(19, 2, [10, 4, 0, 0, 0]),
    ),
    (
        "a usage for each prompt, to be added (TGI)",
        &[
            r#"{"choices":[{"index":0,"text":"a","finish_reason":"length"}],"usage":{"prompt_tokens":6,"completion_tokens":10,"total_tokens":16}}"#,
            r#"{"choices":[{"index":1,"text":"b","finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":10,"total_tokens":15}}"#,
        ],
        tokens(11, 20, [0; 5]),
    ),
    (
        "a last usage is the sum (vLLM)",
        &[
            r#"{"choices":[{"index":0,"text":"a","finish_reason":"length"}],"usage":{"prompt_tokens":6,"completion_tokens":10,"total_tokens":16}}"#,
            r#"{"choices":[{"index":1,"text":"b","finish_reason":"stop"}],"usage":{"prompt_tokens":6,"completion_tokens":9,"total_tokens":15}}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":6,"completion_tokens":19,"total_tokens":25}}"#,
        ],
        tokens(6, 19, [0; 5]),
    ),
];

#[test]
fn real_servers() {
    for (name, texts, want) in CASES.iter().chain(MODALITIES) {
        let mut reading = UsageReading::default();
        for text in *texts {
            assert_ne!(reading.read(text.as_bytes()), EventKind::Garbage, "{name}");
        }
        assert_eq!(reading.tokens(), *want, "{name}");
        assert_eq!(reading.is_reported(), *want != TokenUsage::default(), "{name}");
    }
}
