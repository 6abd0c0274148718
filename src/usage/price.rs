//! The price of tokens.

use super::TokenUsage;

const MILLION: u128 = 1_000_000;

/// The prices of a model, or of a target, in millionths of a dollar per million tokens (`image`: per image).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Input without a specific price.
    pub input: u64,
    /// Input that was read from the provider's cache.
    pub cached_input: u64,
    /// Input written to it, for the usual time.
    pub cache_write: u64,
    /// Input written to it for an hour.
    pub cache_write_1h: u64,
    /// Audio input.
    pub audio_input: u64,
    /// Output without a specific price.
    pub output: u64,
    /// Audio output.
    pub audio_output: u64,
    /// Images in the input.
    pub image_input: u64,
    /// Images in the output, by their tokens.
    pub image_output: u64,
    /// Each image requested from `/v1/images/generations`, besides its tokens.
    pub image: u64,
}

impl Price {
    /// Prices of input and output, whatever it is. Only cache writes cost more than other input, as those do that report
    /// them: a quarter more, and twice as much for an hour (<https://platform.claude.com/docs/en/build-with-claude/prompt-caching>,
    /// "Pricing").
    pub const fn new(input: u64, output: u64) -> Self {
        Price {
            input,
            cached_input: input,
            cache_write: input.saturating_add(input / 4),
            cache_write_1h: input.saturating_mul(2),
            audio_input: input,
            output,
            audio_output: output,
            image_input: input,
            image_output: output,
            image: 0,
        }
    }

    /// The cost in millionths of a dollar, with halves rounded up. No token is charged twice: cache reads are charged
    /// first, whatever else they are, then cache writes, then audio, then images.
    ///
    /// ```
    /// use sluice::usage::{Price, TokenUsage};
    ///
    /// let price = Price { cached_input: 1_250_000, ..Price::new(2_500_000, 10_000_000) };
    /// let usage = TokenUsage { input: 1000, cached_input: 400, output: 100, ..TokenUsage::default() };
    /// assert_eq!(price.cost(&usage), 1500 + 500 + 1000);
    /// ```
    pub fn cost(&self, usage: &TokenUsage) -> u64 {
        // providers may report wrong parts, so each part is cut to what is left of its total
        let mut input = usage.input;
        let mut output = usage.output;
        let mut take = |count: u64| {
            let taken = count.min(input);
            input -= taken;
            taken
        };
        let cached = take(usage.cached_input);
        let written = take(usage.cache_write_input);
        let written_1h = written.min(usage.cache_write_1h_input);
        let audio_input = take(usage.audio_input);
        let image_input = take(usage.image_input);
        let audio_output = usage.audio_output.min(output);
        output -= audio_output;
        let image_output = usage.image_output.min(output);
        output -= image_output;
        let priced = [
            (input, self.input),
            (cached, self.cached_input),
            (written - written_1h, self.cache_write),
            (written_1h, self.cache_write_1h),
            (audio_input, self.audio_input),
            (output, self.output),
            (audio_output, self.audio_output),
            (image_input, self.image_input),
            (image_output, self.image_output),
        ];
        let cost = |(tokens, price): (u64, u64)| u128::from(tokens) * u128::from(price);
        let sum = priced.into_iter().map(cost).fold(0, u128::saturating_add);
        u64::try_from(sum.saturating_add(MILLION / 2) / MILLION).unwrap_or(u64::MAX)
    }
}
