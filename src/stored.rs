//! What upstreams store for their clients, and which of them: OpenAI's Responses are continued by `previous_response_id` or
//! `conversation`, which mean nothing anywhere else (OpenAI's "Conversation state").
//!
//! The table knows ids only as hashes of the id with its owner's key, so that nobody finds, or uses, what is another
//! key's, and the workers share it in parts, each small enough to be changed as a whole.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::hash::stable;
use crate::json::{Scanner, Value};

/// How many parts the table has.
pub const PARTS: u8 = 128;
/// The most ids of one part; of more, those go that end first.
const MAX_ENTRIES: usize = 256;
/// The length of an encoded entry: the hash, the cluster's hash, and the second it ends at, little-endian.
const ENTRY: usize = 16 + 8 + 4;
/// The longest id that is remembered, in bytes.
const MAX_ID: usize = 256;
/// The most ids that one request may name.
const MAX_NAMED: usize = 4;

/// An id that a key's answer had, as the table knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredId([u8; 16]);

impl StoredId {
    /// The id that `key` (a key's id) was given.
    ///
    /// ```
    /// use sluice::stored::StoredId;
    ///
    /// assert_eq!(StoredId::of("alice", "resp_1"), StoredId::of("alice", "resp_1"));
    /// assert_ne!(StoredId::of("alice", "resp_1"), StoredId::of("bob", "resp_1"));
    /// ```
    pub fn of(key: &str, id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update((key.len() as u64).to_le_bytes());
        hash.update(key.as_bytes());
        hash.update(id.as_bytes());
        StoredId(hash.finalize().first_chunk().copied().unwrap_or_default())
    }

    /// The part of the table that it stands in.
    pub fn part(self) -> u8 {
        let [first, ..] = self.0;
        first % PARTS
    }
}

/// A cluster, as the table knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeper(u64);

impl Keeper {
    /// The cluster of this name.
    pub fn of(cluster: &str) -> Self {
        Keeper(stable(cluster.as_bytes()))
    }
}

/// One part of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    id: StoredId,
    keeper: Keeper,
    /// In seconds since the epoch.
    until: u32,
}

impl Part {
    /// Which cluster stores an id; `None` if that is not known, or not any more. `now`: since the epoch.
    ///
    /// ```
    /// use sluice::stored::{Keeper, Part, StoredId};
    /// use std::time::Duration;
    ///
    /// let at = Duration::from_secs;
    /// let (mut part, id) = (Part::default(), StoredId::of("alice", "resp_1"));
    /// part.add(id, Keeper::of("a"), at(60), at(1));
    /// assert_eq!(part.find(id, at(59)), Some(Keeper::of("a")));
    /// assert_eq!(part.find(id, at(61)), None);
    /// assert_eq!(Part::decode(&part.encode()), part);
    /// ```
    pub fn find(&self, id: StoredId, now: Duration) -> Option<Keeper> {
        let found = self.entries.iter().find(|entry| entry.id == id)?;
        (seconds(now) < found.until).then_some(found.keeper)
    }

    /// Remembers that a cluster stores an id, for so long. Both times are since the epoch.
    pub fn add(&mut self, id: StoredId, keeper: Keeper, until: Duration, now: Duration) {
        let now = seconds(now);
        self.entries.retain(|entry| entry.until > now && entry.id != id);
        if self.entries.len() >= MAX_ENTRIES {
            let first = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.until).map(|(place, _)| place);
            if let Some(place) = first {
                self.entries.remove(place);
            }
        }
        self.entries.push(Entry { id, keeper, until: seconds(until) });
    }

    /// The bytes to share.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() * ENTRY);
        for Entry { id: StoredId(id), keeper: Keeper(keeper), until } in &self.entries {
            out.extend(id);
            out.extend(keeper.to_le_bytes());
            out.extend(until.to_le_bytes());
        }
        out
    }

    /// Reads shared bytes. What cannot be read is forgotten.
    pub fn decode(bytes: &[u8]) -> Self {
        let entry = |entry: &[u8]| {
            let (id, rest) = entry.split_first_chunk()?;
            let (keeper, until) = rest.split_first_chunk()?;
            Some(Entry {
                id: StoredId(*id),
                keeper: Keeper(u64::from_le_bytes(*keeper)),
                until: u32::from_le_bytes(*until.first_chunk()?),
            })
        };
        Part { entries: bytes.chunks_exact(ENTRY).take(MAX_ENTRIES).filter_map(entry).collect() }
    }
}

/// What an answer may be continued by: the ids that a request to Responses names. Its conversation comes last.
///
/// ```
/// use sluice::stored::named;
///
/// let body = br#"{"model":"m","previous_response_id":"resp_1","conversation":{"id":"conv_1"},"input":"Hi"}"#;
/// assert_eq!(named(body).0, ["resp_1", "conv_1"]);
/// assert!(named(br#"{"model":"m","previous_response_id":null}"#).0.is_empty());
/// ```
pub fn named(body: &[u8]) -> Named {
    let (mut responses, mut conversation) = (Vec::new(), None);
    let mut scanner = Scanner::new(body);
    // it has been read before: it is JSON
    let _ = scanner.object(|key, scanner| {
        match key.raw() {
            b"previous_response_id" => {
                if let Some(id) = id(scanner.value()?).filter(|_| responses.len() < MAX_NAMED) {
                    responses.push(id);
                }
            }
            b"conversation" if scanner.peek() == Some(b'{') => {
                scanner.object(|key, scanner| {
                    let value = scanner.value()?;
                    if key.is("id") {
                        conversation = id(value).or(conversation.take());
                    }
                    Ok(())
                })?;
            }
            b"conversation" => conversation = id(scanner.value()?),
            _ => {
                scanner.value()?;
            }
        }
        Ok(())
    });
    Named(responses.into_iter().chain(conversation.clone()).collect(), conversation.is_some())
}

/// The ids that a request names, and whether the last is a conversation's, which goes on to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named(pub Vec<String>, pub bool);

impl Named {
    /// The conversation, which the answer belongs to.
    pub fn conversation(&self) -> Option<&str> {
        self.0.last().filter(|_| self.1).map(String::as_str)
    }
}

fn id(value: Value<'_>) -> Option<String> {
    match value {
        Value::String(text) => Some(text.decode().into_owned()).filter(|id| !id.is_empty() && id.len() <= MAX_ID),
        _ => None,
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
