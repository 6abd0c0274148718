//! What upstreams store for their clients, and which of them: OpenAI's Responses are continued by `previous_response_id` or
//! `conversation`, and read or deleted by their ids, which mean nothing anywhere else (OpenAI's "Conversation state").
//!
//! The table knows an id and the key that was given it only as hashes, and nobody finds, or uses, what is another key's,
//! administrators aside. The workers share it in parts, each small enough to be changed as a whole.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};
use crate::hash::stable;
use crate::json::{Scanner, Value};

/// How many parts the table has.
pub const PARTS: u8 = 128;
/// The most ids of one part; of more, those go that end first.
const MAX_ENTRIES: usize = 256;
/// The most bytes of one part when it is encoded; of more, those go that end first.
const MAX_BYTES: usize = 16 << 10;
/// The length of an encoded entry without its model: the hashes of the id, the key and the cluster, the second it ends at,
/// and the length of the model's name.
const ENTRY: usize = 16 + 8 + 8 + 4 + 2;
/// The longest id that is remembered, in bytes.
const MAX_ID: usize = 256;
/// The most ids that one request may name.
const MAX_NAMED: usize = 4;

/// An id that a key's answer had, as the table knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredId {
    id: [u8; 16],
    /// The key that was given it; `None`: whichever it was.
    owner: Option<[u8; 8]>,
}

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
        StoredId { id: hash(id), owner: Some(hash(key)) }
    }

    /// The id, whichever key was given it: what administrators ask for.
    ///
    /// ```
    /// use sluice::stored::{Keeper, Part, StoredId};
    /// use std::time::Duration;
    ///
    /// let (mut part, at) = (Part::default(), Duration::from_secs);
    /// part.add(StoredId::of("alice", "resp_1"), Keeper::of("a"), "m", at(60), at(1));
    /// assert!(part.find(StoredId::of("bob", "resp_1"), at(2)).is_none());
    /// assert!(part.find(StoredId::of_anyone("resp_1"), at(2)).is_some());
    /// ```
    pub fn of_anyone(id: &str) -> Self {
        StoredId { id: hash(id), owner: None }
    }

    fn matches(self, entry: &Entry) -> bool {
        self.id == entry.id && self.owner.is_none_or(|owner| owner == entry.owner)
    }

    /// The part of the table that it stands in.
    pub fn part(self) -> u8 {
        let [first, ..] = self.id;
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

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    id: [u8; 16],
    owner: [u8; 8],
    keeper: Keeper,
    /// The model that made it, as the client named it.
    model: String,
    /// In seconds since the epoch.
    until: u32,
}

impl Part {
    /// Which cluster stores an id, and the model that made it; `None` if that is not known, or not any more. `now`: since
    /// the epoch.
    ///
    /// ```
    /// use sluice::codec::{Forgettable, SharedRecord};
    /// use sluice::stored::{Keeper, Part, StoredId};
    /// use std::time::Duration;
    ///
    /// let at = Duration::from_secs;
    /// let (mut part, id) = (Part::default(), StoredId::of("alice", "resp_1"));
    /// part.add(id, Keeper::of("a"), "m", at(60), at(1));
    /// assert_eq!(part.find(id, at(59)), Some((Keeper::of("a"), "m")));
    /// assert_eq!(part.find(id, at(61)), None);
    /// assert_eq!(Part::decode(&part.encode()), part);
    /// ```
    pub fn find(&self, id: StoredId, now: Duration) -> Option<(Keeper, &str)> {
        let now = seconds(now);
        let found = self.entries.iter().find(|entry| id.matches(entry) && now < entry.until)?;
        Some((found.keeper, &found.model))
    }

    /// Remembers that a cluster stores an id that a model made, for so long. Both times are since the epoch.
    pub fn add(&mut self, id: StoredId, keeper: Keeper, model: &str, until: Duration, now: Duration) {
        let now = seconds(now);
        self.entries.retain(|entry| entry.until > now && !id.matches(entry));
        let owner = id.owner.unwrap_or_default();
        self.entries.push(Entry { id: id.id, owner, keeper, model: model.to_owned(), until: seconds(until) });
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
impl SharedRecord for Part {
    const VERSION: u8 = 1;

    fn write(&self, out: &mut Writer) {
        out.number(self.entries.len() as u64);
        for Entry { id, owner, keeper: Keeper(keeper), model, until } in &self.entries {
            out.array(id);
            out.array(owner);
            out.u64(*keeper);
            out.u32(*until);
            out.text(model);
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let length = input.number()?;
        let entries = input.list(length, MAX_ENTRIES, |input| {
            let (id, owner) = (input.array()?, input.array()?);
            let (keeper, until) = (Keeper(input.u64()?), input.u32()?);
            Some(Entry { id, owner, keeper, model: input.text()?.to_owned(), until })
        });
        Some(Part { entries: entries? })
    }
}

/// What cannot be read is forgotten: the upstream then says that it does not know the id.
impl Forgettable for Part {}

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

fn hash<const N: usize>(text: &str) -> [u8; N] {
    Sha256::digest(text.as_bytes()).first_chunk().copied().unwrap_or([0; N])
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}
