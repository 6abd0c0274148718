//! What has been used, by whom, of what, where and on which day: for those who pay.
//!
//! All workers of an Envoy share the sums. Each worker collects what its requests have used and adds it now and then
//! to the shared sums, which the host swaps only if nobody else did meanwhile. They are kept in [`SHARDS`] parts, so
//! that a part stays small; whatever belongs to one key is in one part.
//!
//! They last as long as the Envoy process. What must last longer is to be scraped from Envoy's stats.

mod report;

pub use report::{By, Form, Query};

use std::collections::BTreeMap;
use std::time::Duration;

use crate::contract::OTHER;
use crate::hash::stable;
use crate::keys::bytes::{read_text, write_text};
use crate::limits::varint;
use crate::usage::{Source, TokenUsage};

/// How many parts there are.
pub const SHARDS: u64 = 16;
/// The most rows of one part. What comes after is summed up as `other`, day by day.
pub const MAX_ROWS: usize = 2_000;
/// How many days are kept.
pub const MAX_DAYS: u32 = 62;

const VERSION: u8 = 1;
const DAY: u64 = 24 * 60 * 60;
/// The longest name that is kept, in bytes; longer ones are cut.
const MAX_NAME: usize = 256;

/// What one sum is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Days since the epoch, in UTC.
    pub day: u32,
    /// The key's id.
    pub key: String,
    /// The model.
    pub model: String,
    /// The cluster.
    pub cluster: String,
}

impl Row {
    /// The row of a request that ended at `now`, since the epoch.
    pub fn new(now: Duration, key: &str, model: &str, cluster: &str) -> Self {
        let [key, model, cluster] = [key, model, cluster].map(|name| cut(name).to_owned());
        Row { day: u32::try_from(now.as_secs() / DAY).unwrap_or(u32::MAX), key, model, cluster }
    }

    /// The part a key's rows are in.
    pub fn shard(key: &str) -> u64 {
        stable(cut(key).as_bytes()) % SHARDS
    }
}

/// The beginning of a name, on a character's boundary.
fn cut(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Requests, refused and failed ones among them.
    pub requests: u64,
    /// Input tokens.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// Input tokens read from providers' caches; part of `input`.
    pub cached_input: u64,
    /// Output tokens spent on reasoning; part of `output`.
    pub reasoning_output: u64,
    /// Millionths of a dollar.
    pub microusd: u64,
    /// Requests whose tokens are not all of them, or not known: the answer was cut, or said nothing.
    pub incomplete: u64,
}

impl Sums {
    /// One request. `usage` is `None` if no model server answered it.
    pub fn of(usage: Option<(TokenUsage, Source)>, microusd: u64) -> Self {
        let Some((tokens, source)) = usage else {
            return Sums { requests: 1, ..Sums::default() };
        };
        let complete = match source {
            Source::Reported | Source::Counted => true,
            Source::Partial | Source::Estimated | Source::Missing => false,
        };
        Sums {
            requests: 1,
            input: tokens.input,
            output: tokens.output,
            cached_input: tokens.cached_input,
            reasoning_output: tokens.reasoning_output,
            microusd,
            incomplete: u64::from(!complete),
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Sums) {
        for (sum, more) in self.fields_mut().into_iter().zip(other.fields()) {
            *sum = sum.saturating_add(more);
        }
    }

    fn fields(&self) -> [u64; 7] {
        let Sums { requests, input, output, cached_input, reasoning_output, microusd, incomplete } = *self;
        [requests, input, output, cached_input, reasoning_output, microusd, incomplete]
    }

    fn fields_mut(&mut self) -> [&mut u64; 7] {
        let Sums { requests, input, output, cached_input, reasoning_output, microusd, incomplete } = self;
        [requests, input, output, cached_input, reasoning_output, microusd, incomplete]
    }
}

/// Sums by row.
///
/// ```
/// use std::time::Duration;
/// use sluice::totals::{Row, Sums, Totals};
///
/// let mut totals = Totals::default();
/// let row = Row::new(Duration::from_secs(86_400), "alice", "gpt-4o", "openai");
/// totals.add(row.clone(), &Sums { requests: 1, input: 7, ..Sums::default() });
/// totals.add(row, &Sums { requests: 1, input: 2, ..Sums::default() });
/// assert_eq!(Totals::decode(&totals.encode()), totals);
/// assert_eq!(totals.iter().map(|(row, sums)| (row.day, sums.input)).collect::<Vec<_>>(), [(1, 9)]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    rows: BTreeMap<Row, Sums>,
}

impl Totals {
    /// Adds to a row; where there are too many, to the row for all others of that day.
    pub fn add(&mut self, row: Row, sums: &Sums) {
        if let Some(known) = self.rows.get_mut(&row) {
            known.add(sums);
            return;
        }
        let row = if self.rows.len() < MAX_ROWS { row } else { others(row.day) };
        self.rows.entry(row).or_default().add(sums);
    }

    /// Adds all rows of others, and forgets what is older than [`MAX_DAYS`].
    pub fn merge(&mut self, others: &Totals) {
        for (row, sums) in &others.rows {
            self.add(row.clone(), sums);
        }
        let newest = self.rows.keys().map(|row| row.day).max().unwrap_or(0);
        self.rows.retain(|row, _| row.day + MAX_DAYS > newest);
    }

    /// Takes in the rows of another part.
    pub fn append(&mut self, mut others: Totals) {
        self.rows.append(&mut others.rows);
    }

    /// The rows: by day, then by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Row, &Sums)> {
        self.rows.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The bytes to share: the version, and row by row the day, the names and the sums.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for (row, sums) in &self.rows {
            varint::write(&mut out, row.day.into());
            for name in [&row.key, &row.model, &row.cluster] {
                write_text(&mut out, name);
            }
            for sum in sums.fields() {
                varint::write(&mut out, sum);
            }
        }
        out
    }

    /// Reads shared bytes. Another version's, or what is broken, are no rows.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (version, mut rest) = bytes.split_first()?;
        let mut totals = Totals::default();
        while !rest.is_empty() {
            let day = u32::try_from(varint::read(&mut rest)?).ok()?;
            let [key, model, cluster] = [(); 3].map(|()| read_text(&mut rest).map(str::to_owned));
            let mut sums = Sums::default();
            for sum in sums.fields_mut() {
                *sum = varint::read(&mut rest)?;
            }
            totals.add(Row { day, key: key?, model: model?, cluster: cluster? }, &sums);
        }
        (*version == VERSION).then_some(totals)
    }
}

fn others(day: u32) -> Row {
    Row { day, key: OTHER.to_owned(), model: OTHER.to_owned(), cluster: OTHER.to_owned() }
}
