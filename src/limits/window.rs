//! The usage in the last minute, in the last day, or in the current month.
//!
//! A [`Sliding`] window is a row of buckets, the newest first, and slides by whole buckets: it has the current bucket and
//! the ones before it. So it never covers more than its length, and usage is dropped up to a bucket early. It only knows
//! ages; the record knows the time.
//!
//! A [`Month`] is the calendar's, in UTC, because budgets are billed by it.

use std::time::Duration;

use super::Period;
use crate::codec::{Reader, Writer};
use crate::date::civil_from_days;

/// The maximum of one bucket, far beyond any use, so that a sum of 64 buckets fits a `u64`.
const MAX_COUNT: u64 = 1 << 56;

/// A time over which usage is counted. `seen`: the time of its last change, in seconds since the epoch.
pub(super) trait Window {
    /// Advances from the time `from` to the later time `to`.
    fn slide(&mut self, from: u64, to: u64);

    /// The sum at `now`.
    fn used(&self, seen: u64, now: u64) -> u64;

    /// Adds `more` now.
    fn add(&mut self, more: u64);

    /// Replaces `wrong` with `right`, counted at the time `at`, unless it has left the window. A time in the future is
    /// from before a clock was set back: its share is somewhere in the window.
    fn correct(&mut self, seen: u64, at: u64, wrong: u64, right: u64);

    /// The time from `now` until at most `room` is used, if nothing is added.
    fn wait(&self, seen: u64, now: Duration, room: u64) -> Duration;

    /// Writes what [`ReadableWindow::read`] reads.
    fn write(&self, out: &mut Writer);
}

/// A window that can be read.
pub(super) trait ReadableWindow: Window + Default {
    /// Reads it; `None` if it is invalid.
    fn read(input: &mut Reader<'_>) -> Option<Self>;
}

/// `BUCKETS` (at most 64) buckets of `SECONDS` each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sliding<const BUCKETS: usize, const SECONDS: u64> {
    /// By age: the current bucket is the first.
    counts: [u64; BUCKETS],
}

pub(super) type Minute = Sliding<60, 1>;
pub(super) type Day = Sliding<24, 3600>;

impl<const BUCKETS: usize, const SECONDS: u64> Default for Sliding<BUCKETS, SECONDS> {
    fn default() -> Self {
        Sliding { counts: [0; BUCKETS] }
    }
}

impl<const BUCKETS: usize, const SECONDS: u64> Sliding<BUCKETS, SECONDS> {
    /// The number of buckets that begin after `from` and until `to` (seconds since the epoch); at most all of them.
    fn passed(from: u64, to: u64) -> usize {
        let passed = (to / SECONDS).saturating_sub(from / SECONDS);
        usize::try_from(passed).unwrap_or(BUCKETS).min(BUCKETS)
    }
}

impl<const BUCKETS: usize, const SECONDS: u64> Window for Sliding<BUCKETS, SECONDS> {
    fn slide(&mut self, from: u64, to: u64) {
        let passed = Self::passed(from, to);
        if passed > 0 {
            self.counts.rotate_right(passed);
            self.counts.iter_mut().take(passed).for_each(|count| *count = 0);
        }
    }

    fn used(&self, seen: u64, now: u64) -> u64 {
        self.counts.iter().take(BUCKETS - Self::passed(seen, now)).sum()
    }

    fn add(&mut self, more: u64) {
        if let Some(count) = self.counts.first_mut() {
            *count = count.saturating_add(more).min(MAX_COUNT);
        }
    }

    fn correct(&mut self, seen: u64, at: u64, wrong: u64, right: u64) {
        // of a time in the future: from the current bucket
        if let Some(count) = self.counts.get_mut(Self::passed(at, seen)) {
            *count = count.saturating_add(right).saturating_sub(wrong).min(MAX_COUNT);
        }
    }

    fn wait(&self, seen: u64, now: Duration, room: u64) -> Duration {
        let mut left = self.used(seen, seen);
        let mut slides = 0;
        for (slid, count) in self.counts.iter().rev().enumerate() {
            if left <= room {
                break;
            }
            left = left.saturating_sub(*count);
            slides = slid as u64 + 1;
        }
        if slides == 0 {
            return Duration::ZERO;
        }
        let free = (seen / SECONDS).saturating_add(slides).saturating_mul(SECONDS);
        Duration::from_secs(free).saturating_sub(now)
    }

    /// Writes a bit for each nonzero bucket, the newest lowest, and the counts of those.
    fn write(&self, out: &mut Writer) {
        let bit = |(age, count): (usize, &u64)| u64::from(*count > 0) << age;
        out.number(self.counts.iter().enumerate().map(bit).fold(0, |mask, bit| mask | bit));
        for count in self.counts.iter().filter(|count| **count > 0) {
            out.number(*count);
        }
    }
}

impl<const BUCKETS: usize, const SECONDS: u64> ReadableWindow for Sliding<BUCKETS, SECONDS> {
    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let mut window = Self::default();
        let mut mask = input.number()?;
        while mask != 0 {
            let count = window.counts.get_mut(mask.trailing_zeros() as usize)?;
            *count = input.number()?.min(MAX_COUNT);
            mask &= mask - 1;
        }
        Some(window)
    }
}

/// The usage in the calendar month of the record's time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Month(u64);

impl Month {
    /// From a window of 30 days that was last changed at `seen`: the days of the month so far.
    pub(super) fn of_days(days: &Sliding<30, 86_400>, seen: u64) -> Self {
        let (.., day) = civil_from_days(i64::try_from(seen / 86_400).unwrap_or(0));
        let days = days.counts.iter().take(usize::try_from(day).unwrap_or(1));
        Month(days.sum::<u64>().min(MAX_COUNT))
    }

    /// Whether another month has begun; a clock that was set back keeps its month.
    fn has_ended(from: u64, to: u64) -> bool {
        Period::Month.end(from) <= to
    }
}

impl Window for Month {
    fn slide(&mut self, from: u64, to: u64) {
        if self.0 > 0 && Self::has_ended(from, to) {
            self.0 = 0;
        }
    }

    fn used(&self, seen: u64, now: u64) -> u64 {
        match self.0 > 0 && Self::has_ended(seen, now) {
            true => 0,
            false => self.0,
        }
    }

    fn add(&mut self, more: u64) {
        self.0 = self.0.saturating_add(more).min(MAX_COUNT);
    }

    fn correct(&mut self, seen: u64, at: u64, wrong: u64, right: u64) {
        if !Self::has_ended(at, seen) {
            self.0 = self.0.saturating_add(right).saturating_sub(wrong).min(MAX_COUNT);
        }
    }

    fn wait(&self, seen: u64, now: Duration, room: u64) -> Duration {
        match self.0 <= room {
            true => Duration::ZERO,
            false => Duration::from_secs(Period::Month.end(seen)).saturating_sub(now),
        }
    }

    fn write(&self, out: &mut Writer) {
        out.number(self.0);
    }
}

impl ReadableWindow for Month {
    fn read(input: &mut Reader<'_>) -> Option<Self> {
        input.number().map(|used| Month(used.min(MAX_COUNT)))
    }
}
