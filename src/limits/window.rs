//! The usage in the last minute, day or month.
//!
//! A window is a row of buckets, the newest first, and slides by whole buckets: it has the current bucket and the ones
//! before it. So it never covers more than its length, and usage is dropped up to a bucket early. It only knows ages;
//! the record knows the time.

use std::time::Duration;

use crate::codec::{Reader, Writer};

/// The maximum of one bucket, far beyond any use, so that a sum of 64 buckets fits a `u64`.
const MAX_COUNT: u64 = 1 << 56;

/// `BUCKETS` (at most 64) buckets of `SECONDS` each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window<const BUCKETS: usize, const SECONDS: u64> {
    /// By age: the current bucket is the first.
    counts: [u64; BUCKETS],
}

pub(super) type Minute = Window<60, 1>;
pub(super) type Day = Window<24, 3600>;
pub(super) type Month = Window<30, 86_400>;

impl<const BUCKETS: usize, const SECONDS: u64> Default for Window<BUCKETS, SECONDS> {
    fn default() -> Self {
        Window { counts: [0; BUCKETS] }
    }
}

impl<const BUCKETS: usize, const SECONDS: u64> Window<BUCKETS, SECONDS> {
    /// The number of buckets that begin after `from` and until `to` (seconds since the epoch); at most all of them.
    fn passed(from: u64, to: u64) -> usize {
        let passed = (to / SECONDS).saturating_sub(from / SECONDS);
        usize::try_from(passed).unwrap_or(BUCKETS).min(BUCKETS)
    }

    /// Advances from the time `from` to the time `to`.
    pub(super) fn slide(&mut self, from: u64, to: u64) {
        let passed = Self::passed(from, to);
        if passed > 0 {
            self.counts.rotate_right(passed);
            self.counts.iter_mut().take(passed).for_each(|count| *count = 0);
        }
    }

    /// The sum at `now` of a window that was last advanced at `seen`.
    pub(super) fn used(&self, seen: u64, now: u64) -> u64 {
        self.counts.iter().take(BUCKETS - Self::passed(seen, now)).sum()
    }

    /// Adds `more` to the current bucket.
    pub(super) fn add(&mut self, more: u64) {
        if let Some(count) = self.counts.first_mut() {
            *count = count.saturating_add(more).min(MAX_COUNT);
        }
    }

    /// Replaces `wrong` with `right` in the bucket of the time `at`, unless it has slid out. A time in the future is
    /// from before a clock was set back: its share is somewhere in the window, and is taken from the current bucket.
    pub(super) fn correct(&mut self, seen: u64, at: u64, wrong: u64, right: u64) {
        if let Some(count) = self.counts.get_mut(Self::passed(at, seen)) {
            *count = count.saturating_add(right).saturating_sub(wrong).min(MAX_COUNT);
        }
    }

    /// The time from `now` until at most `room` is used, if nothing is added.
    pub(super) fn wait(&self, seen: u64, now: Duration, room: u64) -> Duration {
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
    pub(super) fn write(&self, out: &mut Writer) {
        let bit = |(age, count): (usize, &u64)| u64::from(*count > 0) << age;
        out.number(self.counts.iter().enumerate().map(bit).fold(0, |mask, bit| mask | bit));
        for count in self.counts.iter().filter(|count| **count > 0) {
            out.number(*count);
        }
    }

    /// Reads a window; `None` if it is invalid.
    pub(super) fn read(input: &mut Reader<'_>) -> Option<Self> {
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
