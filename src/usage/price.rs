//! What tokens cost.

use super::TokenUsage;

const MILLION: u128 = 1_000_000;

/// A model's prices, in millionths of a dollar per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Input that was not read from the provider's cache.
    pub input: u64,
    /// Input that was.
    pub cached_input: u64,
    /// All output.
    pub output: u64,
}

impl Price {
    /// The cost in millionths of a dollar, half of one rounded up.
    ///
    /// ```
    /// use sluice::usage::{Price, TokenUsage};
    ///
    /// let price = Price { input: 2_500_000, cached_input: 1_250_000, output: 10_000_000 };
    /// let usage = TokenUsage { input: 1000, cached_input: 400, output: 100, ..TokenUsage::default() };
    /// assert_eq!(price.cost(&usage), 1500 + 500 + 1000);
    /// ```
    pub fn cost(&self, usage: &TokenUsage) -> u64 {
        // a provider may err, but there is never more cached input than input
        let cached = usage.cached_input.min(usage.input);
        let priced = [(usage.input - cached, self.input), (cached, self.cached_input), (usage.output, self.output)];
        let cost = |(tokens, price): (u64, u64)| u128::from(tokens) * u128::from(price);
        let sum = priced.into_iter().map(cost).fold(0, u128::saturating_add);
        u64::try_from(sum.saturating_add(MILLION / 2) / MILLION).unwrap_or(u64::MAX)
    }
}
