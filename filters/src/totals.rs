//! What has been used, in the data that all workers of this Envoy share. A worker adds what its requests have used
//! twice a second at most; one that breaks loses what it had not added.

use std::cell::RefCell;
use std::time::Duration;

use sluice::contract;
use sluice::exchange::Exchange;
use sluice::totals::{Row, Sums, Totals, SHARDS};

use crate::host;

/// How often a change that another worker was faster than is tried again at once.
const MAX_TRIES: usize = 20;
/// How long sums stay with the worker.
const PAUSE: Duration = Duration::from_millis(500);

thread_local! {
    static PENDING: RefCell<Pending> = RefCell::default();
}

/// What has not been added yet, by part.
#[derive(Default)]
struct Pending {
    shards: Vec<(u64, Totals)>,
    flushed: Duration,
}

/// Counts a request that has ended.
pub fn count(exchange: &Exchange) {
    let (key, model, cluster) = exchange.labels();
    let microusd = exchange.usage.map_or(0, |(tokens, _)| exchange.cost(&tokens));
    let row = Row::new(host::recent(), key, model, cluster);
    let (shard, sums) = (Row::shard(key), Sums::of(exchange.usage, microusd));
    PENDING.with_borrow_mut(|pending| match pending.shards.iter_mut().find(|(known, _)| *known == shard) {
        Some((_, totals)) => totals.add(row, &sums),
        None => {
            let mut totals = Totals::default();
            totals.add(row, &sums);
            pending.shards.push((shard, totals));
        }
    });
}

/// Adds what is pending, if it is time. For each tick.
pub fn flush_now_and_then() {
    let now = host::recent();
    let due = PENDING.with_borrow(|pending| !pending.shards.is_empty() && now >= pending.flushed + PAUSE);
    if due {
        flush();
    }
}

/// All there is. Other workers may have more for half a second.
pub fn all() -> Totals {
    flush();
    let mut all = Totals::default();
    for shard in 0..SHARDS {
        all.append(read(&contract::totals(shard)).0);
    }
    all
}

/// What one key has used.
pub fn of_key(key: &str) -> Totals {
    flush();
    read(&contract::totals(Row::shard(key))).0
}

fn flush() {
    PENDING.with_borrow_mut(|pending| {
        pending.flushed = host::recent();
        pending.shards.retain(|(shard, new)| !add(&contract::totals(*shard), new));
    });
}

fn add(key: &str, new: &Totals) -> bool {
    (0..MAX_TRIES).any(|_| {
        let (mut totals, version) = read(key);
        totals.merge(new);
        host::set_shared(key, &totals.encode(), version)
    })
}

fn read(key: &str) -> (Totals, u32) {
    let (value, version) = host::shared(key).unwrap_or((Vec::new(), host::ABSENT));
    (Totals::decode(&value), version)
}
