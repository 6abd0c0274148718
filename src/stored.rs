//! The responses that upstreams store for their clients. OpenAI's Responses are continued with `previous_response_id`
//! or `conversation`, and read or deleted by their ids, which mean nothing at other upstreams (OpenAI's "Conversation
//! state").
//!
//! The table only has hashes of an id and of the key that got it, and nobody except administrators can find or use
//! another key's ids. The workers share it in parts, each small enough to be rewritten completely.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};
use crate::hash::stable;
use crate::json::{Scanner, Value};

/// The number of parts.
pub const PARTS: u8 = 128;
/// The maximum number of ids in a part; beyond it, those that end first are dropped.
const MAX_ENTRIES: usize = 256;
/// The maximum size of an encoded part in bytes; beyond it, those that end first are dropped.
const MAX_BYTES: usize = 16 << 10;
/// The length of an encoded entry without its model: the hashes of the id, the key and the cluster, the second it ends at,
/// and the length of the model's name.
const ENTRY: usize = 16 + 8 + 8 + 4 + 2;
/// The longest id that is stored, in bytes.
const MAX_ID: usize = 256;
/// The maximum number of ids that a request may name.
const MAX_NAMED: usize = 4;

/// An id from a key's answer, as stored in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredId {
    id: [u8; 16],
    /// The key that got it; `None`: any.
    owner: Option<[u8; 8]>,
}

impl StoredId {
    /// The id that `key` (a key's id) got.
    ///
    /// ```
    /// use sluice::stored::StoredId;
    ///
    /// assert_eq!(StoredId::of("alice", "resp_1"), StoredId::of("alice", "resp_1"));
    /// assert_ne!(StoredId::of("alice", "resp_1"), StoredId::of("bob", "resp_1"));
    /// ```
    pub fn of(key: &str, id: &str) -> Self {
        StoredId { id: hash(id), owner: Some(hash(key)) }
    }

    /// The id for any key: for administrators.
    ///
    /// ```
    /// use sluice::stored::{StoringCluster, TablePart, StoredId};
    /// use std::time::Duration;
    ///
    /// let (mut part, at) = (TablePart::default(), Duration::from_secs);
    /// part.add(StoredId::of("alice", "resp_1"), StoringCluster::of("a"), "m", at(60), at(1));
    /// assert!(part.find(StoredId::of("bob", "resp_1"), at(2)).is_none());
    /// assert!(part.find(StoredId::of_anyone("resp_1"), at(2)).is_some());
    /// ```
    pub fn of_anyone(id: &str) -> Self {
        StoredId { id: hash(id), owner: None }
    }

    fn matches(self, entry: &Entry) -> bool {
        self.id == entry.id && self.owner.is_none_or(|owner| owner == entry.owner)
    }

    /// Its part of the table.
    pub fn part(self) -> u8 {
        let [first, ..] = self.id;
        first % PARTS
    }
}

/// A cluster, as stored in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoringCluster(u64);

impl StoringCluster {
    /// The cluster of this name.
    pub fn of(cluster: &str) -> Self {
        StoringCluster(stable(cluster.as_bytes()))
    }
}

/// One part of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablePart {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    id: [u8; 16],
    owner: [u8; 8],
    storing_cluster: StoringCluster,
    /// The client's name for the model that made it.
    model: String,
    /// In seconds since the epoch.
    until: u32,
}

impl TablePart {
    /// The cluster that stores an id, and the model that made it; `None` if unknown or expired. `now`: since the epoch.
    ///
    /// ```
    /// use sluice::codec::{Forgettable, SharedRecord};
    /// use sluice::stored::{StoringCluster, TablePart, StoredId};
    /// use std::time::Duration;
    ///
    /// let at = Duration::from_secs;
    /// let (mut part, id) = (TablePart::default(), StoredId::of("alice", "resp_1"));
    /// part.add(id, StoringCluster::of("a"), "m", at(60), at(1));
    /// assert_eq!(part.find(id, at(59)), Some((StoringCluster::of("a"), "m")));
    /// assert_eq!(part.find(id, at(61)), None);
    /// assert_eq!(TablePart::decode(&part.encode()), part);
    /// ```
    pub fn find(&self, id: StoredId, now: Duration) -> Option<(StoringCluster, &str)> {
        let now = seconds(now);
        let found = self.entries.iter().find(|entry| id.matches(entry) && now < entry.until)?;
        Some((found.storing_cluster, &found.model))
    }

    /// Stores that a cluster has an id that a model made, for this long. Both times are since the epoch.
    pub fn add(&mut self, id: StoredId, storing_cluster: StoringCluster, model: &str, until: Duration, now: Duration) {
        let now = seconds(now);
        self.entries.retain(|entry| entry.until > now && !id.matches(entry));
        let owner = id.owner.unwrap_or_default();
        self.entries.push(Entry { id: id.id, owner, storing_cluster, model: model.to_owned(), until: seconds(until) });
        while self.entries.len() > MAX_ENTRIES || self.length() > MAX_BYTES {
            let first = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.until).map(|(place, _)| place);
            let Some(place) = first else { break };
            self.entries.remove(place);
        }
    }

    fn length(&self) -> usize {
        self.entries.iter().map(|entry| ENTRY + entry.model.len()).sum()
    }
}

/// How many ids there are, and for each the hashes of the id, of its owner and of the cluster, the second it ends at, and
/// the model.
impl SharedRecord for TablePart {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        out.number(self.entries.len() as u64);
        for Entry { id, owner, storing_cluster: StoringCluster(storing_cluster), model, until } in &self.entries {
            out.array(id);
            out.array(owner);
            out.u64(*storing_cluster);
            out.u32(*until);
            out.text(model);
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let length = input.number()?;
        let entries = input.list(length, MAX_ENTRIES, |input| {
            let (id, owner) = (input.array()?, input.array()?);
            let (storing_cluster, until) = (StoringCluster(input.u64()?), input.u32()?);
            Some(Entry { id, owner, storing_cluster, model: input.text()?.to_owned(), until })
        });
        Some(TablePart { entries: entries? })
    }
}

/// Unreadable bytes are an empty table: the upstream then answers that it does not know the id.
impl Forgettable for TablePart {}

/// The ids that a request to Responses continues from. Its conversation comes last.
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
    // it has been parsed before, so it is JSON
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

/// The ids that a request names, and whether the last one is a conversation, which is continued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named(pub Vec<String>, pub bool);

impl Named {
    /// The answer's conversation.
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

fn hash<const N: usize>(text: &str) -> [u8; N] {
    Sha256::digest(text.as_bytes()).first_chunk().copied().unwrap_or([0; N])
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
