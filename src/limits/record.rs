//! A subject's usage, as the bytes that the workers share.
//!
//! In this order: the version, one byte; a bit for each part; the last time seen, in seconds since the epoch; the parts.
//! Only limited kinds have a part, and only nonzero buckets take space: a minute of requests takes about 70 bytes if
//! every second has some, and 7 if none has.

use std::time::Duration;

use super::leases::ConcurrencyLeases;
use super::warning::Warned;
use super::window::{Day, Minute, Month, ReadableWindow, Sliding, Window};
use super::{Limited, Limits, PastUsage};
use crate::codec::{Forgettable, Reader, SharedRecord, Writer};

/// The maximum difference between the workers' clocks, in seconds; a larger one means that a clock was set back.
const CLOCKS_APART: u64 = 60;

/// The number of parts, one bit each.
const PARTS: u32 = 10;

/// A subject's usage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitRecord {
    /// The last time seen, in seconds since the epoch; ages are counted from here.
    pub(super) seen: u64,
    requests_minute: Option<Minute>,
    requests_day: Option<Day>,
    requests_month: Option<Month>,
    tokens_minute: Option<Minute>,
    tokens_day: Option<Day>,
    tokens_month: Option<Month>,
    microusd_day: Option<Day>,
    microusd_month: Option<Month>,
    pub(super) leases: Option<ConcurrencyLeases>,
    /// The warnings given.
    pub(super) warned: Warned,
}

impl LimitRecord {
    /// A record to count on with from `now`. The subject's limits are still unknown: what is not limited is dropped with
    /// the first request.
    pub fn begun(past: PastUsage, now: Duration) -> Self {
        LimitRecord {
            seen: now.as_secs(),
            requests_day: Some(past.requests_day),
            requests_month: Some(past.requests_month),
            tokens_day: Some(past.tokens_day),
            tokens_month: Some(past.tokens_month),
            microusd_day: Some(past.microusd_day),
            microusd_month: Some(past.microusd_month),
            ..LimitRecord::default()
        }
    }

    /// The usage of this kind at `now`; zero for kinds that are not counted.
    pub fn used(&self, what: Limited, now: Duration) -> u64 {
        let (seen, now) = (self.seen, now.as_secs());
        match self.window(what) {
            Some(window) => window.used(seen, now),
            None if what == Limited::Concurrency => {
                self.leases.as_ref().map_or(0, |leases| leases.used(now.saturating_sub(seen)))
            }
            None => 0,
        }
    }

    /// The time until at most `room` is used, if nothing is added. `None` for concurrency: the end of requests is
    /// unknown.
    pub fn wait(&self, what: Limited, room: u64, now: Duration) -> Option<Duration> {
        match self.window(what) {
            Some(window) => Some(window.wait(self.seen, now, room)),
            None => (what != Limited::Concurrency).then_some(Duration::ZERO),
        }
    }

    fn window(&self, what: Limited) -> Option<&dyn Window> {
        match what {
            Limited::RequestsPerMinute => counted(&self.requests_minute),
            Limited::RequestsPerDay => counted(&self.requests_day),
            Limited::RequestsPerMonth => counted(&self.requests_month),
            Limited::TokensPerMinute => counted(&self.tokens_minute),
            Limited::TokensPerDay => counted(&self.tokens_day),
            Limited::TokensPerMonth => counted(&self.tokens_month),
            Limited::CostPerDay => counted(&self.microusd_day),
            Limited::CostPerMonth => counted(&self.microusd_month),
            Limited::Concurrency => None,
        }
    }

    /// The counted windows of these kinds.
    pub(super) fn windows_mut(&mut self) -> impl Iterator<Item = (Limited, &mut dyn Window)> {
        let windows: [Option<&mut dyn Window>; 8] = [
            counted_mut(&mut self.requests_minute),
            counted_mut(&mut self.requests_day),
            counted_mut(&mut self.requests_month),
            counted_mut(&mut self.tokens_minute),
            counted_mut(&mut self.tokens_day),
            counted_mut(&mut self.tokens_month),
            counted_mut(&mut self.microusd_day),
            counted_mut(&mut self.microusd_month),
        ];
        Limited::ALL.into_iter().zip(windows).filter_map(|(what, window)| Some((what, window?)))
    }

    /// Advances to `now`.
    pub(super) fn slide(&mut self, now: Duration) {
        let (seen, now) = (self.seen, now.as_secs());
        if now > seen {
            self.windows_mut().for_each(|(_, window)| window.slide(seen, now));
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
        fit(&mut self.requests_minute, limits.requests_per_minute);
        fit(&mut self.requests_day, limits.requests_per_day);
        fit(&mut self.requests_month, limits.requests_per_month);
        fit(&mut self.tokens_minute, limits.tokens_per_minute);
        fit(&mut self.tokens_day, limits.tokens_per_day);
        fit(&mut self.tokens_month, limits.tokens_per_month);
        fit(&mut self.microusd_day, limits.microusd_per_day);
        fit(&mut self.microusd_month, limits.microusd_per_month);
        fit(&mut self.leases, limits.concurrency);
        if limits.warn_at.is_none() {
            self.warned = Warned::default();
        }
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
    const VERSION: u8 = 2;
    /// Version 1 has the month as 30 days.
    const OLDEST: u8 = 1;

    /// Parts that version 1 has come first, in its order.
    fn write(&self, out: &mut Writer) {
        let windows = [
            counted(&self.requests_minute),
            counted(&self.tokens_minute),
            counted(&self.tokens_day),
            counted(&self.tokens_month),
            counted(&self.microusd_day),
        ];
        let more = [counted(&self.requests_day), counted(&self.requests_month), counted(&self.microusd_month)];
        let parts = windows.iter().map(Option::is_some).chain([self.leases.is_some()]);
        let parts = parts.chain(more.iter().map(Option::is_some)).chain([!self.warned.is_empty()]);
        out.number(parts.enumerate().fold(0, |bits, (place, part)| bits | u64::from(part) << place));
        out.number(self.seen);
        windows.into_iter().flatten().for_each(|window| window.write(out));
        if let Some(leases) = &self.leases {
            leases.write(out);
        }
        more.into_iter().flatten().for_each(|window| window.write(out));
        if !self.warned.is_empty() {
            self.warned.write(out);
        }
    }

    fn read(input: &mut Reader<'_>, version: u8) -> Option<Self> {
        let parts = input.number().filter(|parts| parts >> PARTS == 0)?;
        let has = |part: u32| parts >> part & 1 == 1;
        let seen = input.number()?;
        Some(LimitRecord {
            seen,
            requests_minute: read(has(0), input)?,
            tokens_minute: read(has(1), input)?,
            tokens_day: read(has(2), input)?,
            tokens_month: match version {
                1 => read(has(3), input)?.map(|days: Sliding<30, 86_400>| Month::of_days(&days, seen)),
                _ => read(has(3), input)?,
            },
            microusd_day: read(has(4), input)?,
            leases: if has(5) { Some(ConcurrencyLeases::read(input)?) } else { None },
            requests_day: read(has(6), input)?,
            requests_month: read(has(7), input)?,
            microusd_month: read(has(8), input)?,
            warned: if has(9) { Warned::read(input)? } else { Warned::default() },
        })
    }
}

/// An unreadable record is an unused subject: so nobody is locked out by mistake, and new usage is counted.
impl Forgettable for LimitRecord {}

fn counted<W: Window>(window: &Option<W>) -> Option<&dyn Window> {
    window.as_ref().map(|window| window as &dyn Window)
}

fn counted_mut<W: Window>(window: &mut Option<W>) -> Option<&mut dyn Window> {
    window.as_mut().map(|window| window as &mut dyn Window)
}

fn fit<T: Default>(part: &mut Option<T>, limit: Option<u64>) {
    match limit {
        Some(_) => {
            part.get_or_insert_default();
        }
        None => *part = None,
    }
}

/// `None`: unreadable.
fn read<W: ReadableWindow>(there: bool, input: &mut Reader<'_>) -> Option<Option<W>> {
    match there {
        true => W::read(input).map(Some),
        false => Some(None),
    }
}
