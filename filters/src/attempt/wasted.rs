//! What attempts that failed have generated: the gateway has paid for it, though no client gets it.

use sluice::usage::TokenUsage;

use super::held::Held;
use crate::host::{self, Buffer};
use crate::metrics::{count_wasted, Labels};
use crate::names;
use crate::registry::SharedExchange;

/// What one attempt has generated. To be counted once it is known that the client gets nothing of it.
pub(super) struct Wasted {
    key: String,
    model: String,
    cluster: String,
    issued: bool,
    tokens: TokenUsage,
    cost: u64,
}

impl Wasted {
    /// Reads what has come of the answer that is held, before the exchange turns to another target. `None` if it shows
    /// nothing that was generated.
    #[cold]
    pub fn of(exchange: &SharedExchange, held: &Held) -> Option<Self> {
        if !(200..=299).contains(&held.status) || held.seen == 0 {
            return None;
        }
        let answer = host::bytes(Buffer::ResponseBody, held.seen)?;
        let mut exchange = exchange.try_borrow_mut().ok()?;
        let (tokens, cost) = exchange.wasted(&answer)?;
        names::decide(&mut exchange);
        let (key, model, cluster) = exchange.labels();
        let [key, model, cluster] = [key, model, cluster].map(str::to_owned);
        let issued = exchange.is_issued();
        Some(Wasted { key, model, cluster, issued, tokens, cost })
    }

    /// Counts it.
    pub fn count(self) {
        let Wasted { key, model, cluster, issued, tokens, cost } = &self;
        count_wasted(Labels { key, model, cluster }, *issued, tokens, *cost);
    }
}
