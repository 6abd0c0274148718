//! A kept answer, and its encoding, which is the same in every store.

use std::time::Duration;

use super::CacheKey;
use crate::codec::{Reader, Writer};

/// The version of the encoding. Another version's entries are not found.
const VERSION: u8 = 1;

/// A kept answer: always as JSON, from which a stream can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key. A store may confuse entries, or be written by others: what has another key is not found.
    pub key: CacheKey,
    /// When it was kept, since the epoch.
    pub created: Duration,
    /// The tokens of its prompt.
    pub input: u64,
    /// The tokens of the answer.
    pub output: u64,
    /// The answer.
    pub body: Vec<u8>,
}

impl Entry {
    /// The bytes to keep.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(VERSION);
        out.array(&self.key.0);
        out.number(u64::try_from(self.created.as_millis()).unwrap_or(u64::MAX));
        out.number(self.input);
        out.number(self.output);
        let mut bytes = out.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Reads kept bytes. `None`: they are not the entry of this key.
    pub fn decode(bytes: &[u8], key: &CacheKey) -> Option<Self> {
        let mut input = Reader::new(bytes);
        if input.u8()? != VERSION || input.array()? != key.0 {
            return None;
        }
        let created = Duration::from_millis(input.number()?);
        let (tokens_in, tokens_out) = (input.number()?, input.number()?);
        let body = input.rest().to_vec();
        Some(Entry { key: *key, created, input: tokens_in, output: tokens_out, body })
    }

    /// Its age. A clock that was set back makes it new.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.created)
    }
}
