//! The messages of OpenAI's chat clients and servers: completions, stream chunks, and requests.
//!
//! Sources: OpenAI's API reference (chat/object, chat/streaming). For reasoning, the common fields: `reasoning_content`
//! (DeepSeek, vLLM), `thinking_blocks` with signatures (LiteLLM).

mod blocks;
mod choice;
mod chunks;
mod ending;
mod model;
mod parts;

pub(super) use blocks::Blocks;
pub(super) use choice::ToolChoice;
pub(super) use chunks::{Call, Chunks};
pub(super) use ending::{ChatMachine, Ending};
pub(super) use model::{is_openai_reasoning, takes_effort};
pub(super) use parts::{said, texts, Parts};

use crate::translate::writer::Writer;
use crate::usage::TokenUsage;

/// The common fields of a server's chat message and of a chunk's `delta`.
pub(super) const MESSAGE_FIELDS: [&str; 7] =
    ["content", "reasoning_content", "reasoning", "thinking_blocks", "refusal", "tool_calls", "function_call"];

/// A complete completion that has been read.
#[derive(Default)]
pub(super) struct Completion {
    pub text: String,
    pub reasoning: String,
    /// Elements of LiteLLM's `thinking_blocks`, separated by commas.
    pub thoughts: Writer,
    /// Elements of `tool_calls`, separated by commas.
    pub calls: Writer,
    pub refusal: Option<String>,
}

/// A completion's metadata.
pub(super) struct Head<'a> {
    pub id: &'a str,
    pub model: &'a str,
    pub created: u64,
}

impl Completion {
    /// Writes the choice with this index.
    pub fn write_choice(&self, out: &mut Writer, index: u64, finish_reason: &str) {
        out.object(|out| {
            out.put_number("index", index);
            out.put_object("message", |out| {
                out.put_string("role", "assistant");
                match self.text.is_empty() && !self.calls.is_empty() {
                    true => out.put("content", "null"),
                    false => out.put_string("content", &self.text),
                }
                match &self.refusal {
                    Some(refusal) => out.put_string("refusal", refusal),
                    None => out.put("refusal", "null"),
                }
                if !self.reasoning.is_empty() {
                    out.put_string("reasoning_content", &self.reasoning);
                }
                if !self.thoughts.is_empty() {
                    out.put_array("thinking_blocks", |out| out.raw(self.thoughts.as_str()));
                }
                if !self.calls.is_empty() {
                    out.put_array("tool_calls", |out| out.raw(self.calls.as_str()));
                }
            });
            out.put("logprobs", "null");
            out.put_string("finish_reason", finish_reason);
        });
    }

    /// Adds a tool call; `arguments` is the JSON in its string.
    pub fn call(&mut self, id: &str, name: &str, arguments: &str, signature: Option<&str>) {
        self.calls.object(|out| {
            out.put_string("id", id);
            out.put_string("type", "function");
            out.put_object("function", |out| {
                out.put_string("name", name);
                out.put_string("arguments", arguments);
            });
            write_signature(out, signature);
        });
    }
}

/// Gemini's reasoning signature is stored in a call, in the same place as in Google's own OpenAI endpoint.
pub(super) fn write_signature(out: &mut Writer, signature: Option<&str>) {
    if let Some(signature) = signature {
        out.put_object("extra_content", |out| {
            out.put_object("google", |out| out.put_string("thought_signature", signature));
        });
    }
}

/// Writes a completion with its choices.
pub(super) fn completion(head: &Head<'_>, choices: &str, usage: Option<&TokenUsage>, tier: Option<&str>) -> Vec<u8> {
    let mut out = Writer::with_capacity(choices.len() + 512);
    out.object(|out| {
        out.put_string("id", head.id);
        out.put_string("object", "chat.completion");
        out.put_number("created", head.created);
        out.put_string("model", head.model);
        out.put_array("choices", |out| out.raw(choices));
        if let Some(usage) = usage {
            out.key("usage");
            write_usage(out, usage);
        }
        if let Some(tier) = tier {
            out.put_string("service_tier", tier);
        }
    });
    out.into_bytes()
}

/// Usage in OpenAI's fields: cached tokens are part of the prompt, reasoning is part of the completion.
pub(super) fn write_usage(out: &mut Writer, usage: &TokenUsage) {
    out.object(|out| {
        out.put_number("prompt_tokens", usage.input);
        out.put_number("completion_tokens", usage.output);
        out.put_number("total_tokens", usage.total());
        out.put_object("prompt_tokens_details", |out| {
            out.put_number("cached_tokens", usage.cached_input);
            if usage.cache_write_input > 0 {
                out.put_number("cache_write_tokens", usage.cache_write_input);
            }
            if usage.audio_input > 0 {
                out.put_number("audio_tokens", usage.audio_input);
            }
            if usage.image_input > 0 {
                out.put_number("image_tokens", usage.image_input);
            }
        });
        out.put_object("completion_tokens_details", |out| {
            out.put_number("reasoning_tokens", usage.reasoning_output);
            if usage.audio_output > 0 {
                out.put_number("audio_tokens", usage.audio_output);
            }
            if usage.image_output > 0 {
                out.put_number("image_tokens", usage.image_output);
            }
        });
    });
}
