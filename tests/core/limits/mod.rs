mod admission;
mod headers;
mod months;
mod properties;
mod record;
mod shared;
mod speed;
mod store;
mod warnings;

use std::time::Duration;

use sluice::codec::{Forgettable, SharedRecord};
use sluice::limits::{Excess, LimitRecord, Limits, Reservation, UsageEstimate};

/// The start of an hour, but not of a day.
const START: u64 = 1_700_002_800;

/// Seconds after [`START`].
fn at(seconds: u64) -> Duration {
    Duration::from_secs(START + seconds)
}

const NONE: Limits = Limits {
    requests_per_minute: None,
    requests_per_day: None,
    requests_per_month: None,
    tokens_per_minute: None,
    tokens_per_day: None,
    tokens_per_month: None,
    microusd_per_day: None,
    microusd_per_month: None,
    concurrency: None,
    reserve_output: None,
    warn_at: None,
};

const WIDE: Limits = Limits {
    requests_per_minute: Some(1 << 40),
    requests_per_day: Some(1 << 40),
    requests_per_month: Some(1 << 40),
    tokens_per_minute: Some(1 << 40),
    tokens_per_day: Some(1 << 40),
    tokens_per_month: Some(1 << 40),
    microusd_per_day: Some(1 << 40),
    microusd_per_month: Some(1 << 40),
    concurrency: Some(1 << 40),
    reserve_output: None,
    warn_at: None,
};

fn requests(limit: u64) -> Limits {
    Limits { requests_per_minute: Some(limit), ..NONE }
}

fn ask(tokens: u64) -> UsageEstimate {
    UsageEstimate { prompt: tokens, output: 0, microusd: 0, vm: 1 }
}

fn shared(record: &LimitRecord) -> LimitRecord {
    let bytes = record.encode();
    LimitRecord::decode(&bytes)
}

/// As a worker does it: a refusal is not written.
fn admit(
    record: &mut LimitRecord,
    limits: &Limits,
    estimate: UsageEstimate,
    now: Duration,
) -> Result<Reservation, Excess> {
    let mut changed = shared(record);
    let reservation = changed.admit(limits, estimate, now)?;
    *record = shared(&changed);
    assert_eq!(*record, changed);
    Ok(reservation)
}
