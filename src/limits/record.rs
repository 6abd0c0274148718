//! A subject's usage, as the bytes that the workers share.
//!
//! In this order: the version and a bit for each part, one byte each; the last time seen, in seconds since the epoch;
//! the parts. Only limited kinds have a part, and only nonzero buckets take space: a minute of requests takes about 70
//! bytes if every second has some, and 7 if none has.

use std::time::Duration;

use super::leases::ConcurrencyLeases;
use super::window::{Day, Minute, Month, Window};
use super::{Limited, Limits};
use crate::codec::{Forgettable, Reader, SharedRecord, Writer};

/// The maximum difference between the workers' clocks, in seconds; a larger one means that a clock was set back.
const CLOCKS_APART: u64 = 60;

/// A subject's usage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitRecord {
    /// The last time seen, in seconds since the epoch; ages are counted from here.
    pub(super) seen: u64,
    pub(super) requests: Option<Minute>,
    pub(super) tokens_minute: Option<Minute>,
    pub(super) tokens_day: Option<Day>,
    pub(super) tokens_month: Option<Month>,
    pub(super) microusd_day: Option<Day>,
    pub(super) leases: Option<ConcurrencyLeases>,
}

impl LimitRecord {
    /// The usage of this kind at `now`; zero for kinds that are not counted.
    pub fn used(&self, what: Limited, now: Duration) -> u64 {
        let (seen, now) = (self.seen, now.as_secs());
        match what {
            Limited::Requests => used(&self.requests, seen, now),
            Limited::TokensPerMinute => used(&self.tokens_minute, seen, now),
            Limited::TokensPerDay => used(&self.tokens_day, seen, now),
            Limited::TokensPerMonth => used(&self.tokens_month, seen, now),
            Limited::Cost => used(&self.microusd_day, seen, now),
            Limited::Concurrency => self.leases.as_ref().map_or(0, |leases| leases.used(now.saturating_sub(seen))),
        }
    }

    /// The time until at most `room` is used, if nothing is added. `None` for concurrency: the end of requests is
    /// unknown.
    pub fn wait(&self, what: Limited, room: u64, now: Duration) -> Option<Duration> {
        match what {
            Limited::Requests => Some(wait(&self.requests, self.seen, now, room)),
            Limited::TokensPerMinute => Some(wait(&self.tokens_minute, self.seen, now, room)),
            Limited::TokensPerDay => Some(wait(&self.tokens_day, self.seen, now, room)),
            Limited::TokensPerMonth => Some(wait(&self.tokens_month, self.seen, now, room)),
            Limited::Cost => Some(wait(&self.microusd_day, self.seen, now, room)),
            Limited::Concurrency => None,
        }
    }

    /// Advances to `now`.
    pub(super) fn slide(&mut self, now: Duration) {
        let (seen, now) = (self.seen, now.as_secs());
        if now > seen {
            slide(&mut self.requests, seen, now);
            slide(&mut self.tokens_minute, seen, now);
            slide(&mut self.tokens_day, seen, now);
            slide(&mut self.tokens_month, seen, now);
            slide(&mut self.microusd_day, seen, now);
            if let Some(leases) = &mut self.leases {
                leases.slide(now - seen);
            }
            self.seen = now;
        } else if now.saturating_add(CLOCKS_APART) < seen {
            self.seen = now;
        }
    }

    /// Starts to count the limited kinds, and drops the others.
    pub(super) fn fit(&mut self, limits: &Limits) {
        fit(&mut self.requests, limits.requests_per_minute);
        fit(&mut self.tokens_minute, limits.tokens_per_minute);
        fit(&mut self.tokens_day, limits.tokens_per_day);
        fit(&mut self.tokens_month, limits.tokens_per_month);
        fit(&mut self.microusd_day, limits.microusd_per_day);
        fit(&mut self.leases, limits.concurrency);
    }
}

/// ```
/// use sluice::codec::{Forgettable, SharedRecord};
/// use sluice::limits::LimitRecord;
///
/// assert_eq!(LimitRecord::decode(&LimitRecord::default().encode()), LimitRecord::default());
/// assert_eq!(LimitRecord::decode(b"?"), LimitRecord::default());
/// ```
impl SharedRecord for LimitRecord {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        let parts = [
            self.requests.is_some(),
            self.tokens_minute.is_some(),
            self.tokens_day.is_some(),
            self.tokens_month.is_some(),
            self.microusd_day.is_some(),
            self.leases.is_some(),
        ];
        out.u8(parts.iter().rev().fold(0, |bits, part| bits << 1 | u8::from(*part)));
        out.number(self.seen);
        write(&self.requests, out);
        write(&self.tokens_minute, out);
        write(&self.tokens_day, out);
        write(&self.tokens_month, out);
        write(&self.microusd_day, out);
        if let Some(leases) = &self.leases {
            leases.write(out);
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let parts = input.u8().filter(|parts| parts >> Limited::ALL.len() == 0)?;
        let has = |part: u32| parts >> part & 1 == 1;
        Some(LimitRecord {
            seen: input.number()?,
            requests: read(has(0), input)?,
            tokens_minute: read(has(1), input)?,
            tokens_day: read(has(2), input)?,
            tokens_month: read(has(3), input)?,
            microusd_day: read(has(4), input)?,
            leases: if has(5) { Some(ConcurrencyLeases::read(input)?) } else { None },
        })
    }
}

/// An unreadable record is an unused subject: so nobody is locked out by mistake, and new usage is counted.
impl Forgettable for LimitRecord {}

type Part<const BUCKETS: usize, const SECONDS: u64> = Option<Window<BUCKETS, SECONDS>>;

fn used<const B: usize, const S: u64>(window: &Part<B, S>, seen: u64, now: u64) -> u64 {
    window.as_ref().map_or(0, |window| window.used(seen, now))
}

fn wait<const B: usize, const S: u64>(window: &Part<B, S>, seen: u64, now: Duration, room: u64) -> Duration {
    window.as_ref().map_or(Duration::ZERO, |window| window.wait(seen, now, room))
}

fn slide<const B: usize, const S: u64>(window: &mut Part<B, S>, seen: u64, now: u64) {
    if let Some(window) = window {
        window.slide(seen, now);
    }
}

fn fit<T: Default>(part: &mut Option<T>, limit: Option<u64>) {
    match limit {
        Some(_) => {
            part.get_or_insert_default();
        }
        None => *part = None,
    }
}

fn write<const B: usize, const S: u64>(window: &Part<B, S>, out: &mut Writer) {
    if let Some(window) = window {
        window.write(out);
    }
}

/// `None`: unreadable.
fn read<const B: usize, const S: u64>(there: bool, input: &mut Reader<'_>) -> Option<Part<B, S>> {
    match there {
        true => Window::read(input).map(Some),
        false => Some(None),
    }
}
