//! Answers that are given twice: the exact cache.
//!
//! A request that repeats an earlier one gets the earlier answer, and no model server is asked. What "repeats" means is
//! in [`canonical`](CanonicalBody) and [`CacheKey`]. What may be kept is in [`storable`]. Where entries are kept is
//! decided by the adapter: in this Envoy's shared data ([`ring`] and [`index`](Bucket)), or in Redis ([`webdis`]).
//!
//! An entry is the answer as the guard has not seen it yet, with placeholders in place of personal data. So each request
//! gets its own values, and each hit passes the checks of answers.

mod answer;
mod canonical;
mod control;
mod entry;
mod index;
mod key;
mod policy;
pub mod ring;
pub mod semantic;
pub mod webdis;

pub use answer::{as_stream, collect, content_type, storable, StreamForm, Unstorable};
pub use canonical::{CanonicalBody, Repeatable, Uncacheable};
pub use control::CacheControl;
pub use entry::Entry;
pub use index::{bucket_of, buckets, Bucket, Flight, Found, Placed, LEASE};
pub use key::{config_digest, serves, CacheKey, KeyParts, ANSWER_HEADERS};
pub use policy::{CachePolicy, Scope, Store, MAX_ENTRY};

/// The longest body that is looked up, in bytes: hashing it takes the worker some milliseconds.
pub const MAX_BODY: usize = 1 << 20;

/// What the cache did for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheResult {
    /// The answer is an earlier one.
    Hit,
    /// There was none; the answer is kept if it can be repeated.
    Miss,
    /// The request is not one that the cache answers, or its client does not want that.
    Skip,
}

impl CacheResult {
    /// The name in the header `x-sluice-cache`, in stats and in records.
    pub fn name(self) -> &'static str {
        match self {
            CacheResult::Hit => "hit",
            CacheResult::Miss => "miss",
            CacheResult::Skip => "skip",
        }
    }
}
