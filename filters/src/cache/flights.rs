//! This worker's flights, which it renews, and its requests that wait for another one's.

use std::cell::RefCell;
use std::time::Duration;

use sluice::cache::{Bucket, CacheKey, LEASE};
use sluice::codec::{Changed, Forgettable};

use super::memory::bucket_name;
use crate::chain;
use crate::host::{self, shared_data};

/// The maximum number of one worker's waiting requests; further ones go on alone.
const MAX_WAITING: usize = 10_000;

thread_local! {
    static FLIGHTS: RefCell<Vec<(u64, String)>> = const { RefCell::new(Vec::new()) };
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
    static RENEWED: RefCell<Duration> = const { RefCell::new(Duration::ZERO) };
}

/// A flight of this worker; it ends with its value.
pub struct Flight {
    owner: u64,
    bucket: String,
}

impl Flight {
    /// The flight that `owner` has put down for a key.
    pub fn new(owner: u64, key: &CacheKey, memory: usize) -> Self {
        let bucket = bucket_name(key, memory);
        FLIGHTS.with_borrow_mut(|flights| flights.push((owner, bucket.clone())));
        Flight { owner, bucket }
    }

    /// Ends it together with another change of its bucket, which `end` makes.
    pub fn end_with(mut self, end: impl FnOnce(u64)) {
        end(self.owner);
        self.forget();
        self.bucket = String::new();
    }

    fn forget(&self) {
        FLIGHTS.with_borrow_mut(|flights| flights.retain(|(owner, _)| *owner != self.owner));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.bucket.is_empty() {
            return;
        }
        self.forget();
        shared_data::update(&self.bucket, |bucket: &mut Bucket| Changed::when(bucket.land(self.owner)));
    }
}

struct Waiting {
    context: u32,
    key: CacheKey,
    bucket: String,
    until: Duration,
}

/// A request's wait for the same request of another client; it ends with its value.
pub struct Wait {
    context: u32,
    key: CacheKey,
    until: Duration,
}

impl Wait {
    /// Begins to wait; `None` if too many do.
    pub fn new(context: u32, key: &CacheKey, memory: usize, until: Duration) -> Option<Self> {
        let waiting = Waiting { context, key: *key, bucket: bucket_name(key, memory), until };
        WAITING.with_borrow_mut(|all| {
            if all.len() >= MAX_WAITING {
                return None;
            }
            all.push(waiting);
            Some(Wait { context, key: *key, until })
        })
    }

    /// Whether it has waited long enough.
    pub fn is_over(&self, now: Duration) -> bool {
        now >= self.until
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|all| all.retain(|one| one.context != self.context || one.key != self.key));
    }
}

/// Renews this worker's flights, and wakes requests whose flight has ended. Called on each tick.
pub fn work() {
    let now = host::recent();
    if FLIGHTS.with_borrow(|flights| !flights.is_empty()) && now.abs_diff(RENEWED.with_borrow(|at| *at)) >= LEASE / 3 {
        RENEWED.set(now);
        let flights = FLIGHTS.with_borrow(Clone::clone);
        for (owner, bucket) in flights {
            shared_data::update(&bucket, |bucket: &mut Bucket| Changed::when(bucket.renew(owner, now)));
        }
    }
    if WAITING.with_borrow(Vec::is_empty) {
        return;
    }
    for context in landed(now) {
        chain::wake(context);
    }
}

/// The requests that need not wait any longer.
fn landed(now: Duration) -> Vec<u32> {
    WAITING.with_borrow(|all| {
        let mut read: Vec<(&str, Bucket)> = Vec::new();
        let mut landed = Vec::new();
        for waiting in all {
            if !read.iter().any(|(name, _)| *name == waiting.bucket) {
                let bucket = shared_data::read(&waiting.bucket).map(|bytes| Bucket::decode(&bytes));
                read.push((&waiting.bucket, bucket.unwrap_or_default()));
            }
            let bucket = read.iter().find(|(name, _)| *name == waiting.bucket);
            let flies = bucket.is_some_and(|(_, bucket)| bucket.flies(&waiting.key, now));
            if !flies || now >= waiting.until {
                landed.push(waiting.context);
            }
        }
        landed
    })
}
