//! The counts an answer reports, field by field, and what they come to.

use super::format::Format;
use super::TokenUsage;
use crate::json::{JsonError, Scanner, Value};

/// What has been reported so far. Counts are cumulative wherever they repeat, so each is *set*, never added.
///
/// A count is a JSON number from 0 to 2^64-1; a fraction is cut off, since some providers count in doubles
/// (and write `12.0`). Whatever else stands in its place, a negative number, a string, null, a larger number,
/// changes nothing. Neither does an array or a word where an object of details should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// All input: OpenAI's `prompt_tokens`, Gemini's and Ollama's. Servers that write both this and
    /// `input_tokens` mean this one, and may have left the other at 0.
    prompt: Option<u64>,
    /// All output, under the names that go with it.
    completion: Option<u64>,
    /// `input_tokens`: OpenAI's includes what was cached, Anthropic's does not.
    input: Option<u64>,
    output: Option<u64>,
    /// Anthropic's, beside `input`. Where they stand beside `prompt` (LiteLLM), it includes them.
    cache_creation: Option<u64>,
    /// The same by how long it is kept: five minutes, an hour.
    cache_5m: Option<u64>,
    cache_1h: Option<u64>,
    cache_read: Option<u64>,
    cached: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
    audio_input: Option<u64>,
    audio_output: Option<u64>,
    /// Gemini counts these beside the candidates' and the prompt's tokens.
    thoughts: Option<u64>,
    tool_prompt: Option<u64>,
}

impl Counts {
    /// Whether any input or output was reported; details alone are no report.
    pub(super) fn is_reported(&self) -> bool {
        [self.prompt, self.completion, self.input, self.output].iter().any(Option::is_some)
    }

    /// The tokens, by the inclusive contract. A detail is a part of its whole: one that is larger is cut to it.
    pub(super) fn tokens(&self, format: Format) -> TokenUsage {
        let cache_creation = self.cache_creation.or_else(|| sum(&[self.cache_5m, self.cache_1h]));
        let input = match (self.prompt, format) {
            (Some(_), _) => sum(&[self.prompt, self.tool_prompt]),
            (None, Format::OpenAi) => self.input,
            (None, Format::Auto | Format::Anthropic | Format::Ollama | Format::Gemini) => {
                sum(&[self.input, cache_creation, self.cache_read, self.tool_prompt])
            }
        };
        let output = sum(&[self.completion.or(self.output), self.thoughts]);
        let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
        let part = |part: Option<u64>, whole: u64| part.unwrap_or(0).min(whole);
        let cache_write_input = part(self.cache_write.or(cache_creation), input);
        TokenUsage {
            input,
            output,
            cached_input: part(self.cached.or(self.cache_read), input),
            cache_write_input,
            cache_write_1h_input: part(self.cache_1h, cache_write_input),
            reasoning_output: part(self.reasoning.or(self.thoughts), output),
            audio_input: part(self.audio_input, input),
            audio_output: part(self.audio_output, output),
        }
    }

    /// Reads OpenAI's or Anthropic's `usage`; `false` if it is no object.
    pub(super) fn usage(&mut self, format: Format, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
        let openai = format.reads(&[Format::OpenAi]);
        scanner.object(|key, scanner| match key.raw() {
            b"input_tokens" => set(&mut self.input, scanner),
            b"output_tokens" => set(&mut self.output, scanner),
            b"cache_creation_input_tokens" => set(&mut self.cache_creation, scanner),
            b"cache_read_input_tokens" => set(&mut self.cache_read, scanner),
            b"cache_creation" => self.cache_creation(scanner),
            b"prompt_tokens" if openai => set(&mut self.prompt, scanner),
            b"completion_tokens" if openai => set(&mut self.completion, scanner),
            // the Audio API writes `token`
            b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details" if openai => {
                self.input_details(scanner)
            }
            b"completion_tokens_details" | b"output_tokens_details" | b"output_token_details" if openai => {
                self.output_details(scanner)
            }
            _ => skip(scanner),
        })
    }

    /// Reads Gemini's `usageMetadata`; `false` if it is no object.
    pub(super) fn usage_metadata(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, JsonError> {
        scanner.object(|key, scanner| match key.raw() {
            b"promptTokenCount" => set(&mut self.prompt, scanner),
            b"candidatesTokenCount" => set(&mut self.completion, scanner),
            b"thoughtsTokenCount" => set(&mut self.thoughts, scanner),
            b"toolUsePromptTokenCount" => set(&mut self.tool_prompt, scanner),
            b"cachedContentTokenCount" => set(&mut self.cached, scanner),
            b"promptTokensDetails" => audio(&mut self.audio_input, scanner),
            b"candidatesTokensDetails" => audio(&mut self.audio_output, scanner),
            _ => skip(scanner),
        })
    }

    /// Reads Ollama's `prompt_eval_count`, which is absent when the prompt was cached.
    pub(super) fn prompt_eval(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        set(&mut self.prompt, scanner)
    }

    /// Reads Ollama's `eval_count`.
    pub(super) fn eval(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        set(&mut self.completion, scanner)
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

    fn input_details(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.object(|key, scanner| match key.raw() {
            b"cached_tokens" => set(&mut self.cached, scanner),
            b"cache_write_tokens" => set(&mut self.cache_write, scanner),
            b"audio_tokens" => set(&mut self.audio_input, scanner),
            _ => skip(scanner),
        })?;
        Ok(())
    }

    fn output_details(&mut self, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        scanner.object(|key, scanner| match key.raw() {
            // the latter is Anthropic's
            b"reasoning_tokens" | b"thinking_tokens" => set(&mut self.reasoning, scanner),
            b"audio_tokens" => set(&mut self.audio_output, scanner),
            _ => skip(scanner),
        })?;
        Ok(())
    }
}

/// Sets a count, unless what stands there is none.
fn set(count: &mut Option<u64>, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    if let Some(value) = scanner.value()?.as_count() {
        *count = Some(value);
    }
    Ok(())
}

/// Sets a count to Gemini's audio tokens, if there are any in `[{"modality":"AUDIO","tokenCount":5}, ...]`.
fn audio(count: &mut Option<u64>, scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    let mut all = None;
    scanner.array(|scanner| {
        let (mut is_audio, mut tokens) = (false, None);
        scanner.object(|key, scanner| {
            match key.raw() {
                b"modality" => is_audio = matches!(scanner.value()?, Value::String(name) if name.raw() == b"AUDIO"),
                b"tokenCount" => set(&mut tokens, scanner)?,
                _ => skip(scanner)?,
            }
            Ok(())
        })?;
        all = sum(&[all, tokens.filter(|_| is_audio)]);
        Ok(())
    })?;
    *count = all.or(*count);
    Ok(())
}

fn skip(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    scanner.value().map(|_| ())
}

/// `None` if none of them was reported.
fn sum(counts: &[Option<u64>]) -> Option<u64> {
    counts.iter().flatten().copied().reduce(u64::saturating_add)
}
