//! What one subject has used, as the bytes that the workers share.
//!
//! In this order: the version and a bit for each part that is there, one byte each; the last time seen, in seconds
//! since the epoch; the parts. Only what is limited is there, and only buckets that hold anything take room: a minute
//! of requests is some 70 bytes when every second has some, and 7 when none has.

use std::time::Duration;

use super::places::Places;
use super::varint;
use super::window::{Day, Minute, Month, Window};
use super::{Limited, Limits};

const VERSION: u8 = 1;

/// How far the workers' clocks may be apart, in seconds; what is further back was set back.
const CLOCKS_APART: u64 = 60;

/// Whether a record has changed, so that it has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is as it was.
    Keep,
    /// It must be written.
    Write,
}

/// What one subject has used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The last time seen, in seconds since the epoch; ages are counted from here.
    pub(super) seen: u64,
    pub(super) requests: Option<Minute>,
    pub(super) tokens_minute: Option<Minute>,
    pub(super) tokens_day: Option<Day>,
    pub(super) tokens_month: Option<Month>,
    pub(super) microusd_day: Option<Day>,
    pub(super) places: Option<Places>,
}

impl Record {
    /// What is used at `now`; nothing of what is not counted.
    pub fn used(&self, what: Limited, now: Duration) -> u64 {
        let (seen, now) = (self.seen, now.as_secs());
        match what {
            Limited::Requests => used(&self.requests, seen, now),
            Limited::TokensPerMinute => used(&self.tokens_minute, seen, now),
            Limited::TokensPerDay => used(&self.tokens_day, seen, now),
            Limited::TokensPerMonth => used(&self.tokens_month, seen, now),
            Limited::Cost => used(&self.microusd_day, seen, now),
            Limited::Concurrency => self.places.as_ref().map_or(0, |places| places.used(now.saturating_sub(seen))),
        }
    }

    /// How long it takes until no more than `room` is used, if nothing is added. `None` for requests under way: nobody
    /// knows when they end.
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

    /// Moves on to `now`.
    pub(super) fn slide(&mut self, now: Duration) {
        let (seen, now) = (self.seen, now.as_secs());
        if now > seen {
            slide(&mut self.requests, seen, now);
            slide(&mut self.tokens_minute, seen, now);
            slide(&mut self.tokens_day, seen, now);
            slide(&mut self.tokens_month, seen, now);
            slide(&mut self.microusd_day, seen, now);
            if let Some(places) = &mut self.places {
                places.slide(now - seen);
            }
            self.seen = now;
        } else if now.saturating_add(CLOCKS_APART) < seen {
            self.seen = now;
        }
    }

    /// Counts what is limited, and forgets what is not.
    pub(super) fn fit(&mut self, limits: &Limits) {
        fit(&mut self.requests, limits.requests_per_minute);
        fit(&mut self.tokens_minute, limits.tokens_per_minute);
        fit(&mut self.tokens_day, limits.tokens_per_day);
        fit(&mut self.tokens_month, limits.tokens_per_month);
        fit(&mut self.microusd_day, limits.microusd_per_day);
        fit(&mut self.places, limits.concurrency);
    }

    /// Appends the bytes to share.
    ///
    /// ```
    /// use sluice::limits::Record;
    ///
    /// let mut bytes = Vec::new();
    /// Record::default().encode_into(&mut bytes);
    /// assert_eq!(Record::decode(&bytes), Record::default());
    /// assert_eq!(Record::decode(b"?"), Record::default());
    /// ```
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let parts = [
            self.requests.is_some(),
            self.tokens_minute.is_some(),
            self.tokens_day.is_some(),
            self.tokens_month.is_some(),
            self.microusd_day.is_some(),
            self.places.is_some(),
        ];
        out.push(VERSION);
        out.push(parts.iter().rev().fold(0, |bits, part| bits << 1 | u8::from(*part)));
        varint::write(out, self.seen);
        encode(&self.requests, out);
        encode(&self.tokens_minute, out);
        encode(&self.tokens_day, out);
        encode(&self.tokens_month, out);
        encode(&self.microusd_day, out);
        if let Some(places) = &self.places {
            places.encode_into(out);
        }
    }

    /// Reads shared bytes. What it cannot read, such as another version's, is a subject that has used nothing: nobody is
    /// locked out by mistake, and what is used from now on is counted.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (&[version, parts], mut rest) = bytes.split_first_chunk()?;
        if version != VERSION || parts >> Limited::ALL.len() != 0 {
            return None;
        }
        let rest = &mut rest;
        let has = |part: u32| parts >> part & 1 == 1;
        let record = Record {
            seen: varint::read(rest)?,
            requests: decode(has(0), rest)?,
            tokens_minute: decode(has(1), rest)?,
            tokens_day: decode(has(2), rest)?,
            tokens_month: decode(has(3), rest)?,
            microusd_day: decode(has(4), rest)?,
            places: if has(5) { Some(Places::decode(rest)?) } else { None },
        };
        rest.is_empty().then_some(record)
    }
}

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

fn encode<const B: usize, const S: u64>(window: &Part<B, S>, out: &mut Vec<u8>) {
    if let Some(window) = window {
        window.encode_into(out);
    }
}

/// `None`: it cannot be read.
fn decode<const B: usize, const S: u64>(there: bool, rest: &mut &[u8]) -> Option<Part<B, S>> {
    match there {
        true => Window::decode(rest).map(Some),
        false => Some(None),
    }
}
