//! Token usage as reported by the provider.
//!
//! The contract is inclusive, as in Envoy's `envoy.data.ai.v3.TokenUsage`: `input` is all input (cache
//! reads and writes included), `output` all output (reasoning included); the details are subsets of them.

mod choices;
mod closing;
mod count;
mod counts;
mod digest;
mod estimate;
mod events;
mod fit;
mod format;
mod interruption;
mod large;
mod marks;
mod meter;
mod meter_state;
mod passage;
mod price;
mod prompt;
mod reading;
mod response_details;
mod skim;
mod text_tokens;

use std::ops::AddAssign;

pub use count::{read_count, Counter, Metering, COUNT_TIMEOUT, MAX_COUNT_ANSWER};
pub use estimate::{complete, EstimateInput};
pub(crate) use events::field_value;
pub use events::{event_data, Boundaries, Framing};
pub use format::Format;
pub use interruption::interruption;
pub use marks::EventKind;
pub use meter::{Meter, LARGE_EVENT, MAX_EVENT, MAX_JSON};
pub use passage::Pass;
pub use price::Price;
pub(crate) use prompt::{length_of_images, length_of_prompt, PromptLength};
pub use reading::UsageReading;
pub use response_details::ResponseDetails;

/// More tokens than any request uses. Larger reports are ignored, because they would overflow the sums.
pub const MAX_TOKENS: u64 = 1 << 40;

/// The tokens of one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// All input.
    pub input: u64,
    /// All output.
    pub output: u64,
    /// Input read from the provider's cache; part of `input`.
    pub cached_input: u64,
    /// Input written to the provider's cache; part of `input`.
    pub cache_write_input: u64,
    /// The part of the input that is cached for an hour, which costs more than the usual five minutes; part of
    /// `cache_write_input`.
    pub cache_write_1h_input: u64,
    /// Output spent on reasoning; part of `output`.
    pub reasoning_output: u64,
    /// Audio input; part of `input`.
    pub audio_input: u64,
    /// Audio output; part of `output`.
    pub audio_output: u64,
    /// Image input; part of `input`. Videos and documents only count as input.
    pub image_input: u64,
    /// Image output; part of `output`.
    pub image_output: u64,
}

impl AddAssign for TokenUsage {
    fn add_assign(&mut self, more: TokenUsage) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.input, more.input);
        add(&mut self.output, more.output);
        add(&mut self.cached_input, more.cached_input);
        add(&mut self.cache_write_input, more.cache_write_input);
        add(&mut self.cache_write_1h_input, more.cache_write_1h_input);
        add(&mut self.reasoning_output, more.reasoning_output);
        add(&mut self.audio_input, more.audio_input);
        add(&mut self.audio_output, more.audio_output);
        add(&mut self.image_input, more.image_input);
        add(&mut self.image_output, more.image_output);
    }
}

impl TokenUsage {
    /// Input and output together. Recomputed, since not every provider's own total is inclusive.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Whether a request can use that many.
    pub fn is_plausible(&self) -> bool {
        let mut tokens = *self;
        tokens.counts_mut().iter().all(|count| **count <= MAX_TOKENS)
    }

    /// Each count.
    pub(crate) fn counts_mut(&mut self) -> [&mut u64; 10] {
        [
            &mut self.input,
            &mut self.output,
            &mut self.cached_input,
            &mut self.cache_write_input,
            &mut self.cache_write_1h_input,
            &mut self.reasoning_output,
            &mut self.audio_input,
            &mut self.audio_output,
            &mut self.image_input,
            &mut self.image_output,
        ]
    }

    /// Each count with its `type` label.
    pub fn labelled(&self) -> [(&'static str, u64); 9] {
        [
            ("input", self.input),
            ("output", self.output),
            ("cached_input", self.cached_input),
            ("cache_write_input", self.cache_write_input),
            ("reasoning_output", self.reasoning_output),
            ("audio_input", self.audio_input),
            ("audio_output", self.audio_output),
            ("image_input", self.image_input),
            ("image_output", self.image_output),
        ]
    }
}

/// The source of a usage record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageSource {
    /// The provider reported it, and the answer is complete.
    Reported,
    /// The answer was cut, failed, or exceeded what the gateway reads; the tokens are those known by then.
    Partial,
    /// An endpoint counted the tokens, since the provider reported none. A meter never returns this.
    Counted,
    /// The gateway estimated them from the passed text. A meter never returns this.
    Estimated,
    /// The answer is complete and reports no usage.
    Missing,
}

impl UsageSource {
    /// All sources.
    pub const ALL: [UsageSource; 5] = [
        UsageSource::Reported,
        UsageSource::Partial,
        UsageSource::Counted,
        UsageSource::Estimated,
        UsageSource::Missing,
    ];

    /// The label in stats.
    pub fn label(self) -> &'static str {
        match self {
            UsageSource::Reported => "reported",
            UsageSource::Partial => "partial",
            UsageSource::Counted => "counted",
            UsageSource::Estimated => "estimated",
            UsageSource::Missing => "missing",
        }
    }
}
