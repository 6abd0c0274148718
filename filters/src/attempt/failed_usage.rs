//! Tokens of failed attempts: the gateway pays for them, though no client gets the answer.

use sluice::usage::TokenUsage;

use super::held::Held;
use crate::host::{self, Buffer};
use crate::known_models;
use crate::metrics::{count_failed_usage, Labels};
use crate::registry::SharedExchange;

/// One attempt's tokens. They are counted once it is known that the client does not get the answer.
pub(super) struct FailedUsage {
    key: String,
    model: String,
    cluster: String,
    issued: bool,
    tokens: TokenUsage,
    cost: u64,
}

impl FailedUsage {
    /// Reads the received part of the held answer, before the exchange moves on to another target. `None` if it shows
    /// no generated tokens.
    #[cold]
    pub fn of(exchange: &SharedExchange, held: &Held) -> Option<Self> {
        if !(200..=299).contains(&held.status) || held.seen == 0 {
            return None;
        }
        let answer = host::bytes(Buffer::ResponseBody, held.seen)?;
        let mut exchange = exchange.try_borrow_mut().ok()?;
        let (tokens, cost) = exchange.failed_usage(&answer)?;
        known_models::decide(&mut exchange);
        let (key, model, cluster) = exchange.labels();
        let [key, model, cluster] = [key, model, cluster].map(str::to_owned);
        let issued = exchange.is_issued();
        Some(FailedUsage { key, model, cluster, issued, tokens, cost })
    }

    /// Counts them.
    pub fn count(self) {
        let FailedUsage { key, model, cluster, issued, tokens, cost } = &self;
        count_failed_usage(Labels { key, model, cluster }, *issued, tokens, *cost);
    }
}
