//! Usage totals by key, model, cluster and day, for billing.
//!
//! All workers of an Envoy share the totals. Each worker collects its requests' usage and adds it to the shared totals
//! from time to time; the host swaps them only if no other worker has changed them. Each day has [`PARTS`] parts, so
//! that a part stays small; one key's rows are all in one part. A day's parts reuse the slots of the day [`MAX_DAYS`]
//! before, so no day takes space from another.
//!
//! **Bounds.** No key uses up another's rows. A key with more than [`MAX_PLACES`] models and clusters a day has the
//! rest in one row, and so has every key once its part is full. A configured key always has its row. Of the keys that
//! tokens name, [`MAX_CALLERS`] per part have their own rows, and further ones share the row `other`.
//!
//! They last as long as the Envoy process. For longer storage, scrape Envoy's stats.

mod recent;
mod report;
mod sums;

pub use recent::Recent;
pub use report::{By, Query, Report, ReportFormat, MAX_LINES};
pub use sums::Sums;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::codec::{Forgettable, Reader, SharedRecord, Writer};
use crate::hash::stable;
use crate::wire_names::OTHER;

/// The number of a day's parts.
pub const PARTS: u64 = 16;
/// The maximum number of callers with tokens in one part and day.
pub const MAX_CALLERS: usize = 1_000;
/// The maximum number of models and clusters of one caller and day.
pub const MAX_PLACES: usize = 256;
/// The maximum number of rows of one part and day, besides one more for each caller.
pub const MAX_ROWS: usize = 4_000;
/// The maximum number of label sets of one key and day.
pub const MAX_LABELLINGS: usize = 8;
/// The number of days that are stored.
pub const MAX_DAYS: u32 = 62;

const DAY: u64 = 24 * 60 * 60;
/// The longest name that is stored, in bytes; longer ones are cut.
const MAX_NAME: usize = 256;

/// The day of a time since the epoch, in UTC.
pub fn day_of(now: Duration) -> u32 {
    u32::try_from(now.as_secs() / DAY).unwrap_or(u32::MAX)
}

/// The slot of a day's parts.
pub fn place_of(day: u32) -> u32 {
    day % MAX_DAYS
}

/// The part with a key's rows.
pub fn part_of(key: &str) -> u64 {
    stable(cut(key).as_bytes()) % PARTS
}

/// A caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The key's id.
    pub key: String,
    /// Its labels, by name.
    pub labels: Vec<(String, String)>,
}

impl Caller {
    /// A key and its labels.
    pub fn new(key: &str, labels: &[(String, String)]) -> Self {
        Caller { key: cut(key).to_owned(), labels: labels.to_vec() }
    }

    /// Its label with this name.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The requested model and the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// The model.
    pub model: String,
    /// The cluster.
    pub cluster: String,
}

impl Destination {
    /// A model at a cluster.
    pub fn new(model: &str, cluster: &str) -> Self {
        let [model, cluster] = [model, cluster].map(|name| cut(name).to_owned());
        Destination { model, cluster }
    }

    fn other() -> Self {
        Destination::new(OTHER, OTHER)
    }
}

/// The beginning of a name, cut between characters.
fn cut(name: &str) -> &str {
    let mut end = name.len().min(MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

/// The totals of one day, or of a part of it.
///
/// ```
/// use sluice::codec::SharedRecord;
/// use sluice::totals::{Caller, Destination, Sums, Totals};
///
/// let mut totals = Totals::new(20_000);
/// let (caller, place) = (Caller::new("alice", &[]), Destination::new("gpt-4o", "openai"));
/// totals.add(&caller, true, &place, &Sums { requests: 1, input: 7, ..Sums::default() });
/// totals.add(&caller, true, &place, &Sums { requests: 1, input: 2, ..Sums::default() });
/// assert_eq!(Totals::parse(&totals.encode()), Some(totals.clone()));
/// assert_eq!(totals.iter().map(|(_, _, sums)| (sums.requests, sums.input)).collect::<Vec<_>>(), [(2, 9)]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    day: u32,
    rows: usize,
    callers: BTreeMap<Caller, Used>,
}

/// One caller's usage.
#[derive(Clone, Debug, Default)]
struct Used {
    /// Whether the configuration names it, as far as this worker knows.
    configured: bool,
    places: BTreeMap<Destination, Sums>,
}

impl PartialEq for Used {
    /// Whether a key is configured is not shared: the worker that adds knows it.
    fn eq(&self, other: &Self) -> bool {
        self.places == other.places
    }
}

impl Eq for Used {}

impl Totals {
    /// The empty totals of a day since the epoch.
    pub fn new(day: u32) -> Self {
        Totals { day, ..Totals::default() }
    }

    /// The day.
    pub fn day(&self) -> u32 {
        self.day
    }

    /// Adds to a caller's usage of a place. Beyond the bounds, it goes into the caller's row for all others, or else
    /// into the row of all other callers.
    pub fn add(&mut self, caller: &Caller, configured: bool, place: &Destination, sums: &Sums) {
        let full = self.rows >= MAX_ROWS;
        if let Some(used) = self.callers.get_mut(caller) {
            used.configured |= configured;
            self.rows += used.add(place, sums, full);
            return;
        }
        let bare = Caller { key: caller.key.clone(), labels: Vec::new() };
        let many = self.callers.range(&bare..).take(MAX_LABELLINGS);
        let labellings = many.filter(|(known, _)| known.key == caller.key).count();
        let caller = match labellings {
            MAX_LABELLINGS => bare,
            0 if !configured && self.callers.len() >= MAX_CALLERS => Caller::new(OTHER, &[]),
            _ => caller.clone(),
        };
        let used = self.callers.entry(caller).or_default();
        used.configured |= configured;
        self.rows += used.add(place, sums, full);
    }

    /// Adds totals of the same day.
    pub fn merge(&mut self, others: &Totals) {
        for (caller, used) in &others.callers {
            for (place, sums) in &used.places {
                self.add(caller, used.configured, place, sums);
            }
        }
    }

    /// The rows: by key, then by label and name.
    pub fn iter(&self) -> impl Iterator<Item = (&Caller, &Destination, &Sums)> {
        self.callers
            .iter()
            .flat_map(|(caller, used)| used.places.iter().map(move |(place, sums)| (caller, place, sums)))
    }
}

/// The day, and caller by caller the names, the labels, and row by row the names and the sums.
impl SharedRecord for Totals {
    const VERSION: u8 = 3;

    fn write(&self, out: &mut Writer) {
        out.number(self.day.into());
        for (caller, used) in &self.callers {
            out.text(&caller.key);
            out.number(caller.labels.len() as u64);
            for (name, value) in &caller.labels {
                out.text(name);
                out.text(value);
            }
            out.number(used.places.len() as u64);
            for (place, sums) in &used.places {
                out.text(&place.model);
                out.text(&place.cluster);
                sums.write(out);
            }
        }
    }

    fn read(input: &mut Reader<'_>, _: u8) -> Option<Self> {
        let mut totals = Totals::new(u32::try_from(input.number()?).ok()?);
        while !input.is_empty() {
            let mut caller = Caller { key: input.text()?.to_owned(), labels: Vec::new() };
            for _ in 0..input.number()? {
                caller.labels.push((input.text()?.to_owned(), input.text()?.to_owned()));
            }
            let mut used = Used::default();
            for _ in 0..input.number()? {
                let [model, cluster] = [(); 2].map(|()| input.text().map(str::to_owned));
                used.places.insert(Destination { model: model?, cluster: cluster? }, Sums::read(input)?);
            }
            totals.rows += used.places.len();
            if totals.callers.insert(caller, used).is_some() {
                return None;
            }
        }
        Some(totals)
    }
}

/// Totals of another version are lost.
impl Forgettable for Totals {}

impl Used {
    /// Adds to a place; returns the number of new rows.
    fn add(&mut self, place: &Destination, sums: &Sums, full: bool) -> usize {
        if let Some(known) = self.places.get_mut(place) {
            known.add(sums);
            return 0;
        }
        let before = self.places.len();
        let place = if full || before >= MAX_PLACES { Destination::other() } else { place.clone() };
        self.places.entry(place).or_default().add(sums);
        self.places.len() - before
    }
}
