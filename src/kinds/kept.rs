//! The kinds of conversations: a fixed number of records in shared data, each with a bounded number of conversations, the
//! oldest of which make room.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};

/// The number of records.
pub const BUCKETS: u64 = 256;
/// The most conversations of one.
const MAX_KEPT: usize = 64;

/// A conversation: who has begun it with which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationKey([u8; 16]);

impl ConversationKey {
    /// The conversation of a caller with a model, whose configuration has this digest, that begins with this text.
    pub fn new(caller: &str, config: &[u8; 16], text: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(config);
        hash.update((caller.len() as u64).to_le_bytes());
        hash.update(caller);
        hash.update(text);
        let digest: [u8; 32] = hash.finalize().into();
        ConversationKey(digest.first_chunk().copied().unwrap_or_default())
    }
}

/// The record that a conversation is in.
pub fn bucket_of(key: &ConversationKey) -> u64 {
    let [first, ..] = key.0;
    u64::from(first) % BUCKETS
}

/// The conversations of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversations(Vec<Kept>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    key: [u8; 16],
    /// The kind's index; the number of kinds for `otherwise`.
    kind: u64,
    /// In seconds since the epoch.
    at: u64,
}

impl Conversations {
    /// A conversation's kind, if its last request is not older than `keep`.
    pub fn find(&self, key: &ConversationKey, keep: Duration, now: Duration) -> Option<usize> {
        let kept = self.0.iter().find(|kept| kept.key == key.0)?;
        let is_young = now.as_secs().saturating_sub(kept.at) <= keep.as_secs();
        is_young.then(|| usize::try_from(kept.kind).ok())?
    }

    /// Keeps a conversation's kind. Returns whether that changes much: the time of an old conversation is kept roughly.
    pub fn keep(&mut self, key: &ConversationKey, kind: usize, now: Duration) -> bool {
        let kept = Kept { key: key.0, kind: kind as u64, at: now.as_secs() };
        if let Some(known) = self.0.iter().find(|known| known.key == key.0) {
            if known.kind == kept.kind && kept.at.abs_diff(known.at) < 30 {
                return false;
            }
        }
        self.0.retain(|known| known.key != key.0);
        if self.0.len() >= MAX_KEPT {
            self.0.remove(0); // they are in the order of their last requests
        }
        self.0.push(kept);
        true
    }
}

impl SharedRecord for Conversations {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        for Kept { key, kind, at } in &self.0 {
            out.array(key);
            out.number(*kind);
            out.number(*at);
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        input
            .list_to_end(MAX_KEPT, |input| {
                Some(Kept { key: input.array()?, kind: input.number()?, at: input.number()? })
            })
            .map(Conversations)
    }
}

impl Forgettable for Conversations {}
