//! The index of the memory store, and the requests under way: a fixed number of buckets, each one record in shared data.
//!
//! A request that finds neither an entry nor the same request under way puts down a flight, in the same change of the
//! bucket that has looked: so of all workers' requests one goes on, and the others wait for it. A flight is a lease,
//! because the worker that renews it may crash.

use std::time::Duration;

use super::CacheKey;
use crate::codec::{Forgettable, Reader, SharedRecord, Writer};

/// How long a flight lasts without renewal.
pub const LEASE: Duration = Duration::from_secs(6);

/// The maximum number of entries in a bucket; further ones take the place of the oldest.
const MAX_PLACED: usize = 16;
/// The maximum number of flights in a bucket; further requests go on without.
const MAX_FLIGHTS: usize = 32;

/// The number of buckets for a ring of so many blocks.
pub fn buckets(blocks: u64) -> u64 {
    (blocks / 4).clamp(16, 1 << 16)
}

/// The bucket of a key.
pub fn bucket_of(key: &CacheKey, buckets: u64) -> u64 {
    let [.., b0, b1, b2, b3, b4, b5, b6, b7] = key.0;
    u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]) % buckets.max(1)
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The beginning of its key.
    pub key: [u8; 16],
    /// The position of its first block.
    pub position: u64,
    /// Its size, in bytes.
    pub size: u32,
    /// When it was kept, in milliseconds since the epoch.
    pub created: u64,
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// The beginning of its key.
    pub key: [u8; 16],
    /// Whose it is.
    pub owner: u64,
    /// When it ends if nobody renews it, in milliseconds since the epoch.
    pub until: u64,
}

/// What a bucket knows about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// An entry.
    Placed(Placed),
    /// The same request is under way.
    Flying,
    /// Nothing.
    Nothing,
}

/// One bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    placed: Vec<Placed>,
    flights: Vec<Flight>,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Bucket {
    /// The entry of a key, if it is not older than `time`; otherwise whether it is under way.
    pub fn find(&self, key: &CacheKey, time: Duration, now: Duration) -> Found {
        let key = key.short();
        let placed = self.placed.iter().find(|placed| placed.key == key);
        let is_young = |placed: &&Placed| millis(now).saturating_sub(placed.created) <= millis(time);
        match placed.filter(is_young) {
            Some(placed) => Found::Placed(*placed),
            None if self.is_flying(key, now) => Found::Flying,
            None => Found::Nothing,
        }
    }

    /// Whether the request is under way.
    pub fn flies(&self, key: &CacheKey, now: Duration) -> bool {
        self.is_flying(key.short(), now)
    }

    fn is_flying(&self, key: [u8; 16], now: Duration) -> bool {
        self.flights.iter().any(|flight| flight.key == key && lasts(flight, now))
    }

    /// Puts down a flight of `owner`, unless the request is under way. Returns whether it is now this owner's; `None`:
    /// there is no room.
    pub fn take_off(&mut self, key: &CacheKey, owner: u64, now: Duration) -> Option<bool> {
        self.flights.retain(|flight| lasts(flight, now));
        if self.is_flying(key.short(), now) {
            return Some(false);
        }
        if self.flights.len() >= MAX_FLIGHTS {
            return None;
        }
        self.flights.push(Flight { key: key.short(), owner, until: millis(now + LEASE) });
        Some(true)
    }

    /// Renews an owner's flight; `false` if there is none.
    pub fn renew(&mut self, owner: u64, now: Duration) -> bool {
        let own = self.flights.iter_mut().find(|flight| flight.owner == owner);
        own.map(|flight| flight.until = millis(now + LEASE)).is_some()
    }

    /// Ends an owner's flight; returns whether there was one.
    pub fn land(&mut self, owner: u64) -> bool {
        let before = self.flights.len();
        self.flights.retain(|flight| flight.owner != owner);
        self.flights.len() < before
    }

    /// Puts down where an entry is, in place of an earlier one of that key.
    pub fn place(&mut self, placed: Placed) {
        self.placed.retain(|other| other.key != placed.key);
        if self.placed.len() >= MAX_PLACED {
            self.placed.remove(0); // they are in the order of time
        }
        self.placed.push(placed);
    }

    /// Forgets an entry that has been overwritten; returns whether it was there.
    pub fn forget(&mut self, gone: &Placed) -> bool {
        let before = self.placed.len();
        self.placed.retain(|placed| placed != gone);
        self.placed.len() < before
    }
}

/// Whether a flight has not ended. One that seems to end far in the future is of a clock that was set back.
fn lasts(flight: &Flight, now: Duration) -> bool {
    let now_ms = millis(now);
    (now_ms..=now_ms.saturating_add(2 * millis(LEASE))).contains(&flight.until)
}

impl SharedRecord for Bucket {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        out.number(self.placed.len() as u64);
        for Placed { key, position, size, created } in &self.placed {
            out.array(key);
            out.number(*position);
            out.number((*size).into());
            out.number(*created);
        }
        for Flight { key, owner, until } in &self.flights {
            out.array(key);
            out.u64(*owner);
            out.number(*until);
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let count = input.number()?;
        let placed = input.list(count, MAX_PLACED, |input| {
            let (key, position) = (input.array()?, input.number()?);
            Some(Placed { key, position, size: input.number()?.try_into().ok()?, created: input.number()? })
        })?;
        let flights = input.list_to_end(MAX_FLIGHTS, |input| {
            Some(Flight { key: input.array()?, owner: input.u64()?, until: input.number()? })
        })?;
        Some(Bucket { placed, flights })
    }
}

impl Forgettable for Bucket {}
