//! The answers of `tests/corpus/`, one file each, with the exact bytes of a provider. `index.json` has for each the
//! request, the framing, and the expected record (`usage`, `source`, `interrupted`). With `strip` it also has the bytes
//! that are removed for a client that did not ask for them (`removed`).
//!
//! The files are compiled in, since the tests also run as WebAssembly.

use serde_json::Value;
use sluice::endpoint::Dialect;
use sluice::usage::{Framing, TokenUsage, UsageSource};

macro_rules! files {
    ($($name:literal,)*) => {
        &[$(($name, include_bytes!(concat!("../../corpus/", $name)))),*]
    };
}

pub const INDEX: &str = include_str!("../../corpus/index.json");
pub const FILES: &[(&str, &[u8])] = files![
    "anthropic-cache-creation-number.json",
    "anthropic-cache-creation-object-only.json",
    "anthropic-cache-creation-one-hour.json",
    "anthropic-cut.json",
    "anthropic-details-absent.json",
    "anthropic-details-mistyped.json",
    "anthropic-details-null.json",
    "anthropic-stream-cumulative.sse",
    "anthropic-stream-cut-before-stop.sse",
    "anthropic-stream-cut-within-an-event.sse",
    "anthropic-stream-details-absent.sse",
    "anthropic-stream-details-null.sse",
    "anthropic-stream-object-only.sse",
    "anthropic-stream-overloaded.sse",
    "anthropic-stream.sse",
    "anthropic-usage-absent.json",
    "anthropic.json",
    "azure-chat-stream.sse",
    "gemini-array-stream-cut-before-its-end.json",
    "gemini-array-stream-cut-within-an-answer.json",
    "gemini-array-stream-usage-absent.json",
    "gemini-array-stream.json",
    "gemini-blocked-prompt.json",
    "gemini-cut.json",
    "gemini-details-absent.json",
    "gemini-details-mistyped.json",
    "gemini-details-null.json",
    "gemini-no-candidates-count.json",
    "gemini-stream-cut-before-finish.sse",
    "gemini-stream-cut-within-an-event.sse",
    "gemini-stream-details-null.sse",
    "gemini-stream-details.sse",
    "gemini-stream-usage-absent.sse",
    "gemini-stream.sse",
    "gemini-usage-absent.json",
    "gemini.json",
    "images-edit-stream.sse",
    "images-stream-cut.sse",
    "images-stream.sse",
    "images-usage-absent.json",
    "images.json",
    "litellm-anthropic-chat.json",
    "litellm-chat-stream-stripped.sse",
    "litellm-chat-stream.sse",
    "new-api-chat-both-names.json",
    "ollama-chat-prompt-cached.json",
    "ollama-chat-stream-crlf.ndjson",
    "ollama-chat-stream-cut-before-done.ndjson",
    "ollama-chat-stream-cut-within-a-line.ndjson",
    "ollama-chat-stream-error.ndjson",
    "ollama-chat-stream-no-last-line-end.ndjson",
    "ollama-chat-stream.ndjson",
    "ollama-chat.json",
    "ollama-cut.json",
    "ollama-embed-count-absent.json",
    "ollama-embed.json",
    "ollama-generate-load.json",
    "ollama-generate-stream-counts-null.ndjson",
    "ollama-generate-stream-prompt-cached.ndjson",
    "ollama-generate.json",
    "openai-chat-cut.json",
    "openai-chat-detail-beyond-its-whole.json",
    "openai-chat-details-absent.json",
    "openai-chat-details-members-null.json",
    "openai-chat-details-mistyped.json",
    "openai-chat-details-null.json",
    "openai-chat-details.json",
    "openai-chat-doubles.json",
    "openai-chat-negative-and-huge.json",
    "openai-chat-one-of-a-wrong-type.json",
    "openai-chat-pretty-crlf.json",
    "openai-chat-stream-bom.sse",
    "openai-chat-stream-cr.sse",
    "openai-chat-stream-crlf-stripped.sse",
    "openai-chat-stream-crlf.sse",
    "openai-chat-stream-cut-before-done-stripped.sse",
    "openai-chat-stream-cut-before-done.sse",
    "openai-chat-stream-cut-before-usage-stripped.sse",
    "openai-chat-stream-cut-before-usage.sse",
    "openai-chat-stream-cut-within-an-event-stripped.sse",
    "openai-chat-stream-cut-within-an-event.sse",
    "openai-chat-stream-details-absent-stripped.sse",
    "openai-chat-stream-details-absent.sse",
    "openai-chat-stream-details-null-stripped.sse",
    "openai-chat-stream-details-null.sse",
    "openai-chat-stream-error.sse",
    "openai-chat-stream-no-last-blank-line.sse",
    "openai-chat-stream-not-asked.sse",
    "openai-chat-stream-several-data-lines.sse",
    "openai-chat-stream-stripped.sse",
    "openai-chat-stream-tool-calls.sse",
    "openai-chat-stream-two-choices-cut.sse",
    "openai-chat-stream-two-choices.sse",
    "openai-chat-stream-usage-chunk-twice.sse",
    "openai-chat-stream-usage-twice.sse",
    "openai-chat-stream-without-done.sse",
    "openai-chat-stream.sse",
    "openai-chat-usage-absent.json",
    "openai-chat-usage-null.json",
    "openai-completion-prompt-only.json",
    "openai-completion-stream-stripped.sse",
    "openai-completion-stream.sse",
    "openai-completion.json",
    "openai-embeddings-base64-two.json",
    "openai-embeddings-usage-absent.json",
    "openai-embeddings.json",
    "openai-error.json",
    "openrouter-chat-cache-write.json",
    "openrouter-chat-stream-comments.sse",
    "responses-cut.json",
    "responses-details-absent.json",
    "responses-details-null.json",
    "responses-stream-completed-details-null.sse",
    "responses-stream-completed-usage-null.sse",
    "responses-stream-completed.sse",
    "responses-stream-cut-before-completed.sse",
    "responses-stream-cut-within-completed.sse",
    "responses-stream-error.sse",
    "responses-stream-failed-with-usage.sse",
    "responses-stream-failed.sse",
    "responses-stream-incomplete.sse",
    "responses-usage-null.json",
    "responses.json",
    "speech-stream.sse",
    "transcription-details-null.json",
    "transcription-duration.json",
    "transcription-stream-cut.sse",
    "transcription-stream-done-marker.sse",
    "transcription-stream-duration.sse",
    "transcription-stream-usage-absent.sse",
    "transcription-stream.sse",
    "transcription.json",
    "vllm-chat-stream-continuous-cut.sse",
    "vllm-chat-stream-continuous-stripped.sse",
    "vllm-chat-stream-continuous.sse",
    "vllm-chat-stream-error-flat.sse",
    "vllm-chat.json",
    "vllm-error-flat.json",
];

/// One answer, and the expected result.
pub struct Entry {
    pub name: &'static str,
    pub bytes: &'static [u8],
    pub path: String,
    pub dialect: Dialect,
    pub framing: Framing,
    pub content_type: String,
    pub stream: bool,
    pub strip: bool,
    pub usage: TokenUsage,
    pub source: UsageSource,
    pub interrupted: bool,
    /// The client's part of it.
    pub passes: Vec<u8>,
}

/// Every answer, in the index's order.
pub fn entries() -> Vec<Entry> {
    let index: Vec<Value> = serde_json::from_str(INDEX).unwrap();
    let names: Vec<&str> = index.iter().map(|entry| entry["file"].as_str().unwrap()).collect();
    assert_eq!(names, FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "the index names these files");
    index.iter().zip(FILES).map(|(entry, (name, bytes))| read(entry, name, bytes)).collect()
}

fn read(entry: &Value, name: &'static str, bytes: &'static [u8]) -> Entry {
    let text = |field: &str| entry[field].as_str().unwrap().to_owned();
    let flag = |field: &str| entry[field].as_bool().unwrap();
    let count = |field: &str| entry["usage"][field].as_u64().unwrap();
    let mut passes = bytes.to_vec();
    for range in entry["removed"].as_array().unwrap().iter().rev() {
        let bound = |at: usize| usize::try_from(range[at].as_u64().unwrap()).unwrap();
        passes.drain(bound(0)..bound(1));
    }
    Entry {
        name,
        bytes,
        path: text("path"),
        dialect: Dialect::ALL.into_iter().find(|dialect| dialect.name() == text("dialect")).unwrap(),
        framing: match text("framing").as_str() {
            "sse" => Framing::Sse,
            "ndjson" => Framing::Ndjson,
            other => {
                assert_eq!(other, "json");
                Framing::Json
            }
        },
        content_type: text("content_type"),
        stream: flag("stream"),
        strip: flag("strip"),
        usage: TokenUsage {
            input: count("input"),
            output: count("output"),
            cached_input: count("cached_input"),
            cache_write_input: count("cache_write_input"),
            cache_write_1h_input: entry["usage"]["cache_write_1h_input"].as_u64().unwrap_or(0),
            reasoning_output: count("reasoning_output"),
            audio_input: count("audio_input"),
            audio_output: count("audio_output"),
            image_input: entry["usage"]["image_input"].as_u64().unwrap_or(0),
            image_output: entry["usage"]["image_output"].as_u64().unwrap_or(0),
        },
        source: UsageSource::ALL.into_iter().find(|source| source.label() == text("source")).unwrap(),
        interrupted: flag("interrupted"),
        passes,
    }
}
