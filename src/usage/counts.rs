//! The counts in an answer, under all the names that providers use. `fit` interprets them.

use super::format::Format;
use crate::json::{JsonError, Scanner, Value};

/// The reported counts so far; 0 means unreported or none. Repeated counts are cumulative, so each is *set*, never
/// added. A later 0 for input erases nothing: servers write it where they do not count (`message_delta`).
///
/// A count is a JSON number from 0 to 2^64-1; a fraction is cut off, since some providers count in doubles (and write
/// `12.0`). Anything else, such as a negative number, a string, null or a larger number, changes nothing. Neither does
/// an array or a word instead of an object of details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Input or output was reported, even as 0; details alone are not a report.
    pub(super) named: bool,
    /// The answer is a list (of embeddings, of ranks): nothing is generated, so a total is all input.
    pub(super) listed: bool,
    /// Bedrock's Converse counts cached tokens separately from the input, under its own names.
    pub(super) beside: bool,
    /// All input: OpenAI's `prompt_tokens`, Gemini's and Ollama's. Servers that write both this and `input_tokens` mean
    /// this one, and may leave the other at 0.
    pub(super) prompt: u64,
    /// All output, under the corresponding names.
    pub(super) completion: u64,
    /// `input_tokens`: OpenAI's includes cached tokens, Anthropic's does not.
    pub(super) input: u64,
    pub(super) output: u64,
    /// `output_tokens` was written, be it 0: that of a refusal replaces the estimate in `message_start`.
    pub(super) output_named: bool,
    /// Input and output as the server adds them up.
    pub(super) total: u64,
    /// Anthropic's cached tokens, separate from `input`. Beside `prompt` (LiteLLM), they are included in it.
    pub(super) cache_creation: u64,
    pub(super) cache_read: u64,
    /// Cache writes by lifetime: five minutes, an hour.
    pub(super) cache_5m: u64,
    pub(super) cache_1h: u64,
    /// Parts of the input.
    pub(super) cached: u64,
    pub(super) cache_write: u64,
    /// The uncached part of the prompt (DeepSeek).
    pub(super) cache_miss: u64,
    pub(super) audio_input: u64,
    pub(super) image_input: u64,
    /// Perplexity's sources, which count separately from the prompt.
    pub(super) citations: u64,
    /// A part of the output; some servers do not include it in theirs.
    pub(super) reasoning: u64,
    pub(super) audio_output: u64,
    pub(super) image_output: u64,
    /// Gemini usually counts these separately from the candidates' and the prompt's tokens.
    pub(super) thoughts: u64,
    pub(super) tool_prompt: u64,
    /// llama.cpp's `timings`: prompt, cached tokens, output.
    pub(super) timed: [u64; 3],
}

impl Counts {
    /// Adds the report of an answer or an event.
    pub(super) fn merge(&mut self, report: &Counts) {
        if report.named || report.total > 0 {
            self.total = report.total; // an earlier total does not belong to these counts
        }
        self.named |= report.named;
        self.listed |= report.listed;
        self.beside |= report.beside;
        if report.output_named {
            (self.output, self.output_named) = (report.output, true);
        }
        for (count, reported) in self.all().into_iter().zip({ *report }.all()) {
            if *reported > 0 {
                *count = *reported;
            }
        }
    }

    /// Adds the report about another prompt.
    pub(super) fn add(&mut self, report: &Counts) {
        self.named |= report.named;
        for (count, reported) in self.all().into_iter().zip({ *report }.all()) {
            *count = count.saturating_add(*reported);
        }
    }

    fn all(&mut self) -> [&mut u64; 23] {
        let [timed_prompt, timed_cached, timed_output] = &mut self.timed;
        [
            &mut self.prompt,
            &mut self.completion,
            &mut self.input,
            &mut self.output,
            &mut self.total,
            &mut self.cache_creation,
            &mut self.cache_read,
            &mut self.cache_5m,
            &mut self.cache_1h,
            &mut self.cached,
            &mut self.cache_write,
            &mut self.cache_miss,
            &mut self.audio_input,
            &mut self.image_input,
            &mut self.citations,
            &mut self.reasoning,
            &mut self.audio_output,
            &mut self.image_output,
            &mut self.thoughts,
            &mut self.tool_prompt,
            timed_prompt,
            timed_cached,
            timed_output,
        ]
    }

    /// Reads the `usage` of OpenAI, of Anthropic, and of servers that add their own fields; `false` if it is not an
    /// object.
    pub(super) fn usage(&mut self, format: Format, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
        let openai = format.reads(&[Format::OpenAi]);
        let mut billed = Counts::default();
        let mut iterations = Iterations::default();
        let is_object = scanner.object(|key, scanner| match key.raw() {
            b"inputTokens" => {
                self.beside = true;
                main(&mut self.input, &mut self.named, scanner)
            }
            b"input_tokens" => main(&mut self.input, &mut self.named, scanner),
            b"output_tokens" | b"outputTokens" => main(&mut self.output, &mut self.output_named, scanner),
            b"cache_creation_input_tokens" | b"cacheWriteInputTokens" => set(&mut self.cache_creation, scanner),
            b"cache_read_input_tokens" | b"cacheReadInputTokens" => set(&mut self.cache_read, scanner),
            b"total_tokens" | b"totalTokens" => set(&mut self.total, scanner),
            b"cache_creation" => self.cache_creation(scanner),
            b"cacheDetails" => self.cache_details(scanner),
            b"iterations" => iterations.read(scanner),
            // the Audio API writes `token`, and so do Mistral and Writer
            b"completion_tokens_details"
            | b"completion_token_details"
            | b"output_tokens_details"
            | b"output_token_details" => self.output_details(scanner),
            _ if !openai => skip(scanner),
            b"prompt_tokens" => main(&mut self.prompt, &mut self.named, scanner),
            b"completion_tokens" => main(&mut self.completion, &mut self.named, scanner),
            b"prompt_tokens_details" | b"prompt_token_details" | b"input_tokens_details" | b"input_token_details" => {
                self.input_details(scanner)
            }
            b"cached_tokens" | b"num_cached_tokens" | b"prompt_cache_hit_tokens" => set(&mut self.cached, scanner),
            b"prompt_cache_miss_tokens" => set(&mut self.cache_miss, scanner),
            b"reasoning_tokens" | b"reasoning_output_tokens" => set(&mut self.reasoning, scanner),
            b"citation_tokens" => set(&mut self.citations, scanner),
            // Cohere: what the model read, and what it bills of that
            b"tokens" => self.tokens_of(scanner),
            b"billed_units" => billed.tokens_of(scanner),
            // LM Studio's own API, and Gemini's Interactions
            b"total_input_tokens" => main(&mut self.prompt, &mut self.named, scanner),
            b"total_output_tokens" => main(&mut self.completion, &mut self.named, scanner),
            b"total_cached_tokens" => set(&mut self.cached, scanner),
            b"total_thought_tokens" => set(&mut self.thoughts, scanner),
            b"total_tool_use_tokens" => set(&mut self.tool_prompt, scanner),
            b"input_tokens_by_modality" => modalities(&mut self.audio_input, &mut self.image_input, scanner),
            b"output_tokens_by_modality" => modalities(&mut self.audio_output, &mut self.image_output, scanner),
            _ => skip(scanner),
        })?;
        self.named |= self.output_named;
        if !self.named && billed.named {
            self.merge(&billed);
        }
        iterations.replace(self);
        self.named |= self.cache_creation > 0 || self.cache_read > 0; // all input was read from or written to a cache
        Ok(is_object)
    }

    /// Reads Gemini's `usageMetadata`; `false` if it is not an object.
    pub(super) fn usage_metadata(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
        scanner.object(|key, scanner| match key.raw() {
            b"promptTokenCount" => main(&mut self.prompt, &mut self.named, scanner),
            b"candidatesTokenCount" => main(&mut self.completion, &mut self.named, scanner),
            b"totalTokenCount" => set(&mut self.total, scanner),
            b"thoughtsTokenCount" => set(&mut self.thoughts, scanner),
            b"toolUsePromptTokenCount" => set(&mut self.tool_prompt, scanner),
            b"cachedContentTokenCount" => set(&mut self.cached, scanner),
            b"promptTokensDetails" => modalities(&mut self.audio_input, &mut self.image_input, scanner),
            b"candidatesTokensDetails" => modalities(&mut self.audio_output, &mut self.image_output, scanner),
            _ => skip(scanner),
        })
    }

    /// Reads llama.cpp's `timings`, which it always sends. They are used if there is no usage, and for cached tokens
    /// that it does not report.
    pub(super) fn timings(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let [prompt, cached, output] = &mut self.timed;
        scanner.object(|key, scanner| match key.raw() {
            b"prompt_n" => set(prompt, scanner),
            b"cache_n" => set(cached, scanner),
            b"predicted_n" => set(output, scanner),
            _ => skip(scanner),
        })?;
        Ok(())
    }

    /// Reads the Llama API's `metrics`: `[{"metric":"num_prompt_tokens","value":11}, ...]`.
    pub(super) fn metrics(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.array(|scanner| {
            let (mut name, mut count, mut is_count) = (&b""[..], 0, false);
            scanner.object(|key, scanner| {
                match (key.raw(), scanner.value()?) {
                    (b"metric", Value::String(text)) => name = text.raw(),
                    (b"value", value) => {
                        (count, is_count) = (value.as_count().unwrap_or(0), value.as_count().is_some())
                    }
                    _ => {}
                }
                Ok(())
            })?;
            match name {
                b"num_prompt_tokens" => (self.prompt, self.named) = (count, self.named | is_count),
                b"num_completion_tokens" => (self.completion, self.named) = (count, self.named | is_count),
                b"num_total_tokens" => self.total = count,
                _ => {}
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Reads Ollama's `prompt_eval_count`, which is absent if the prompt was cached; llama.cpp's `tokens_evaluated`.
    pub(super) fn prompt_eval(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        main(&mut self.prompt, &mut self.named, scanner)
    }

    /// Reads Ollama's `eval_count`; llama.cpp's `tokens_predicted`.
    pub(super) fn eval(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        main(&mut self.completion, &mut self.named, scanner)
    }

    /// Reads `input_tokens` and `output_tokens`, and nothing else.
    fn tokens_of(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.object(|key, scanner| match key.raw() {
            b"input_tokens" => main(&mut self.input, &mut self.named, scanner),
            b"output_tokens" => main(&mut self.output, &mut self.named, scanner),
            _ => skip(scanner),
        })?;
        Ok(())
    }

    /// A number, or an object of them.
    fn cache_creation(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        if scanner.peek() != Some(b'{') {
            return set(&mut self.cache_creation, scanner);
        }
        scanner.object(|key, scanner| match key.raw() {
            b"ephemeral_5m_input_tokens" => set(&mut self.cache_5m, scanner),
            b"ephemeral_1h_input_tokens" => set(&mut self.cache_1h, scanner),
            _ => skip(scanner),
        })?;
        Ok(())
    }

    /// Converse's cache writes by lifetime: `[{"ttl":"1h","inputTokens":5}, ...]`.
    fn cache_details(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.array(|scanner| {
            let (mut hour, mut tokens) = (false, 0);
            scanner.object(|key, scanner| match key.raw() {
                b"ttl" => scanner.value().map(|value| hour = matches!(value, Value::String(ttl) if ttl.raw() == b"1h")),
                b"inputTokens" => set(&mut tokens, scanner),
                _ => skip(scanner),
            })?;
            let kept = if hour { &mut self.cache_1h } else { &mut self.cache_5m };
            *kept = kept.saturating_add(tokens);
            Ok(())
        })?;
        Ok(())
    }

    fn input_details(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let mut written = Counts::default();
        scanner.object(|key, scanner| match key.raw() {
            b"cached_tokens" => set(&mut self.cached, scanner),
            b"cache_write_tokens" | b"cache_creation_tokens" | b"cache_creation_input_tokens" => {
                set(&mut self.cache_write, scanner)
            }
            b"cache_creation" | b"cache_creation_token_details" => written.cache_creation(scanner),
            b"audio_tokens" => set(&mut self.audio_input, scanner),
            b"image_tokens" => set(&mut self.image_input, scanner),
            _ => skip(scanner),
        })?;
        if written != Counts::default() {
            let sum = written.cache_creation.max(written.cache_5m.saturating_add(written.cache_1h));
            self.cache_write = self.cache_write.max(sum);
            self.cache_1h = written.cache_1h;
        }
        Ok(())
    }

    fn output_details(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.object(|key, scanner| match key.raw() {
            b"reasoning_tokens" | b"thinking_tokens" => set(&mut self.reasoning, scanner),
            b"audio_tokens" => set(&mut self.audio_output, scanner),
            b"image_tokens" => set(&mut self.image_output, scanner),
            _ => skip(scanner),
        })?;
        Ok(())
    }
}

/// Anthropic's `iterations`: the usage of each turn of the answer. The counts beside them leave out turns that
/// compacted the conversation, which are billed as well; an advisor is another model with its own bill.
#[derive(Default)]
struct Iterations {
    compacted: bool,
    sum: Counts,
}

impl Iterations {
    fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.array(|scanner| {
            let (mut one, mut kind) = (Counts::default(), &b""[..]);
            scanner.object(|key, scanner| match key.raw() {
                b"input_tokens" => set(&mut one.input, scanner),
                b"output_tokens" => set(&mut one.output, scanner),
                b"cache_creation_input_tokens" => set(&mut one.cache_creation, scanner),
                b"cache_read_input_tokens" => set(&mut one.cache_read, scanner),
                b"cache_creation" => one.cache_creation(scanner),
                b"type" => {
                    if let Value::String(text) = scanner.value()? {
                        kind = text.raw();
                    }
                    Ok(())
                }
                _ => skip(scanner),
            })?;
            match kind {
                b"compaction" => self.compacted = true,
                b"message" => {}
                _ => return Ok(()),
            }
            self.sum.add(&one);
            Ok(())
        })?;
        Ok(())
    }

    /// Replaces the counts with the sum; cached tokens only if the iterations have them.
    fn replace(&self, counts: &mut Counts) {
        if self.compacted {
            counts.merge(&Counts { named: true, total: counts.total, ..self.sum });
        }
    }
}

/// Sets a count, unless the value is invalid or 0.
fn set(count: &mut u64, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    main(count, &mut false, scanner)
}

/// Sets a count of input or output, and notes that there is one.
fn main(count: &mut u64, named: &mut bool, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    if let Some(value) = scanner.value()?.as_count() {
        *named = true;
        if value > 0 {
            *count = value;
        }
    }
    Ok(())
}

/// Sets the counts of audio and images, if there are any in Gemini's `[{"modality":"AUDIO","tokenCount":5}, ...]` (in
/// Interactions `[{"modality":"audio","tokens":5}, ...]`).
fn modalities(audio: &mut u64, image: &mut u64, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    let (mut sounds, mut images) = (0_u64, 0_u64);
    scanner.array(|scanner| {
        let (mut modality, mut tokens) = (&b""[..], 0);
        scanner.object(|key, scanner| {
            match key.raw() {
                b"modality" => {
                    if let Value::String(name) = scanner.value()? {
                        modality = name.raw();
                    }
                }
                b"tokenCount" | b"tokens" => set(&mut tokens, scanner)?,
                _ => skip(scanner)?,
            }
            Ok(())
        })?;
        match modality {
            b"AUDIO" | b"audio" => sounds = sounds.saturating_add(tokens),
            b"IMAGE" | b"image" => images = images.saturating_add(tokens),
            _ => {}
        }
        Ok(())
    })?;
    for (count, sum) in [(audio, sounds), (image, images)] {
        if sum > 0 {
            *count = sum;
        }
    }
    Ok(())
}

fn skip(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    scanner.value().map(|_| ())
}
