//! Entries in shared data. Nothing is ever freed there, so every name is one of a fixed number.

use std::time::Duration;

use sluice::cache::{bucket_of, buckets, ring, Bucket, CacheKey, Entry, Found, Placed};
use sluice::codec::{Changed, Forgettable};
use sluice::wire_names::cache_bucket;

use crate::host::shared_data;

/// The name of a key's bucket.
pub fn bucket_name(key: &CacheKey, memory: usize) -> String {
    cache_bucket(bucket_of(key, buckets(ring::blocks(memory))))
}

/// What the workers know about a key.
pub fn find(key: &CacheKey, memory: usize, time: Duration, now: Duration) -> Found {
    shared_data::record::<Bucket>(&bucket_name(key, memory)).find(key, time, now)
}

/// Reads an entry. `None`: newer ones have overwritten it.
pub fn read(placed: &Placed, key: &CacheKey, memory: usize) -> Option<Entry> {
    let blocks = ring::blocks(memory);
    let size = placed.size as usize;
    let mut bytes = Vec::with_capacity(size.min(sluice::cache::MAX_ENTRY));
    for position in (placed.position..).take(usize::try_from(ring::needed(size)).ok()?) {
        let block = shared_data::read(&ring::block_name(position, blocks))?;
        bytes.extend_from_slice(ring::part(&block, placed.position)?);
    }
    Entry::decode(&bytes, key).filter(|_| bytes.len() == size)
}

/// Keeps an entry, and ends the flight of `owner` with it.
pub fn put(entry: &Entry, memory: usize, owner: Option<u64>) {
    let (bytes, blocks) = (entry.encode(), ring::blocks(memory));
    let needed = ring::needed(bytes.len());
    if needed > blocks {
        return;
    }
    let mut position = 0;
    let reserved = shared_data::swap(ring::HEAD, &mut |head| {
        let (first, after) = ring::reserve(head, needed);
        position = first;
        Some(after.to_vec())
    });
    if !reserved {
        return;
    }
    for (place, block) in ring::split(&bytes, position) {
        shared_data::put(&ring::block_name(place, blocks), &block);
    }
    let created = u64::try_from(entry.created.as_millis()).unwrap_or(u64::MAX);
    let placed =
        Placed { key: entry.key.short(), position, size: u32::try_from(bytes.len()).unwrap_or(u32::MAX), created };
    shared_data::update(&bucket_name(&entry.key, memory), |bucket: &mut Bucket| {
        bucket.place(placed);
        owner.into_iter().for_each(|owner| {
            bucket.land(owner);
        });
        Changed::Write
    });
}

/// What has become of a request that wanted to take off.
pub enum TakenOff {
    /// The flight is its own.
    Own,
    /// Another one is under way.
    Flying,
    /// There is an entry by now.
    Placed(Placed),
    /// It goes on without a flight.
    NoRoom,
}

/// Puts down a flight, unless there is an entry or another flight. `gone`: an entry that will not do.
pub fn take_off(
    key: &CacheKey,
    memory: usize,
    (owner, time, now): (u64, Duration, Duration),
    gone: Option<&Placed>,
) -> TakenOff {
    let mut taken = TakenOff::NoRoom;
    let done = shared_data::swap(&bucket_name(key, memory), &mut |bytes| {
        let mut bucket = Bucket::decode(bytes);
        if let Found::Placed(placed) = bucket.find(key, time, now) {
            if gone != Some(&placed) {
                taken = TakenOff::Placed(placed);
                return None;
            }
        }
        taken = match bucket.take_off(key, owner, now) {
            Some(true) => TakenOff::Own,
            Some(false) => TakenOff::Flying,
            None => TakenOff::NoRoom,
        };
        matches!(taken, TakenOff::Own).then(|| sluice::codec::SharedRecord::encode(&bucket))
    });
    match done {
        true => taken,
        false => TakenOff::NoRoom,
    }
}
