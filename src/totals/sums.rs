//! The sums of a row.

use crate::codec::{Reader, Writer};
use crate::usage::{TokenUsage, UsageSource};

/// The number of sums.
const FIELDS: usize = 10;

/// The usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests, including refused and failed ones.
    pub requests: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens read from providers' caches; part of `input`.
    pub cached_input: u64,
    /// Output tokens spent on reasoning; part of `output`.
    pub reasoning_output: u64,
    /// Millionths of a dollar.
    pub microusd: u64,
    /// Requests with incomplete or unknown tokens: the answer was cut, or reported nothing.
    pub incomplete: u64,
    /// Requests that the cache has answered.
    pub cache_hits: u64,
    /// The input tokens of their answers, which no model server has counted again.
    pub saved_input: u64,
    /// The output tokens of their answers.
    pub saved_output: u64,
}

impl Sums {
    /// The fields' names, in order.
    pub(super) const NAMES: [&str; FIELDS] = [
        "requests",
        "input_tokens",
        "output_tokens",
        "cached_input_tokens",
        "reasoning_output_tokens",
        "cost_microusd",
        "incomplete_requests",
        "cache_hits",
        "saved_input_tokens",
        "saved_output_tokens",
    ];

    /// One request. `usage` is `None` if no model server answered it; `saved`: the input and output tokens of an
    /// answer from the cache.
    pub fn of(usage: Option<(TokenUsage, UsageSource)>, microusd: u64, saved: Option<(u64, u64)>) -> Self {
        let (saved_input, saved_output) = saved.unwrap_or_default();
        let cached = Sums { cache_hits: u64::from(saved.is_some()), saved_input, saved_output, ..Sums::default() };
        let Some((tokens, source)) = usage else {
            return Sums { requests: 1, ..cached };
        };
        let complete = match source {
            UsageSource::Reported | UsageSource::Counted => true,
            UsageSource::Partial | UsageSource::Estimated | UsageSource::Missing => false,
        };
        Sums {
            requests: 1,
            input: tokens.input,
            output: tokens.output,
            cached_input: tokens.cached_input,
            reasoning_output: tokens.reasoning_output,
            microusd,
            incomplete: u64::from(!complete),
            ..cached
        }
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Sums) {
        for (sum, more) in self.fields_mut().into_iter().zip(other.fields()) {
            *sum = sum.saturating_add(more);
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.fields().into_iter().for_each(|sum| out.number(sum));
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Option<Self> {
        let mut sums = Sums::default();
        for sum in sums.fields_mut() {
            *sum = input.number()?;
        }
        Some(sums)
    }

    pub(super) fn fields(&self) -> [u64; FIELDS] {
        let mut sums = *self;
        sums.fields_mut().map(|sum| *sum)
    }

    fn fields_mut(&mut self) -> [&mut u64; FIELDS] {
        let Sums { requests, input, output, cached_input, reasoning_output, microusd, incomplete, .. } = self;
        let Sums { cache_hits, saved_input, saved_output, .. } = self;
        [
            requests,
            input,
            output,
            cached_input,
            reasoning_output,
            microusd,
            incomplete,
            cache_hits,
            saved_input,
            saved_output,
        ]
    }
}
