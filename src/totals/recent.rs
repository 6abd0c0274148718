//! A worker's latest usage, until it is merged into totals. Adding to a known row copies no name.

use std::time::Duration;

use super::{cut, day_of, part_of, Caller, Destination, Sums, Totals};
use crate::exchange::Exchange;

/// The maximum number of rows, because they are searched linearly.
const MAX_RECENT: usize = 32;

/// The latest usage.
#[derive(Debug, Default)]
pub struct Recent {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    day: u32,
    caller: Caller,
    configured: bool,
    destination: Destination,
    sums: Sums,
}

impl Recent {
    /// Counts a request that ended at `now`.
    pub fn count(&mut self, exchange: &Exchange, now: Duration) {
        let (key, model, cluster) = exchange.labels();
        let identity = exchange.identity().map(AsRef::as_ref);
        let labels = identity.map_or(&[][..], |identity| identity.labels.as_slice());
        let configured = identity.is_none_or(|identity| !identity.issued);
        let cost = exchange.usage().map_or(0, |(tokens, _)| exchange.cost(&tokens));
        let saved = exchange.cached().filter(|_| exchange.is_hit()).map(|cached| cached.saved);
        let (day, sums) = (day_of(now), Sums::of(exchange.usage(), cost, saved));
        let is_same = |row: &&mut Row| {
            row.day == day
                && row.caller.key == cut(key)
                && row.destination.model == cut(model)
                && row.destination.cluster == cut(cluster)
                && row.caller.labels == labels
        };
        match self.rows.iter_mut().find(is_same) {
            Some(row) => {
                row.configured |= configured;
                row.sums.add(&sums);
            }
            None => {
                let (caller, destination) = (Caller::new(key, labels), Destination::new(model, cluster));
                self.rows.push(Row { day, caller, configured, destination, sums });
            }
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether it is time to merge it.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= MAX_RECENT
    }

    /// Takes out the rows, each as totals of its part.
    pub fn drain(&mut self) -> impl Iterator<Item = (u64, Totals)> + '_ {
        self.rows.drain(..).map(|row| {
            let mut totals = Totals::new(row.day);
            totals.add(&row.caller, row.configured, &row.destination, &row.sums);
            (part_of(&row.caller.key), totals)
        })
    }
}
