//! The ledger's store: SQLite in a file, or PostgreSQL.
//!
//! | table | a row |
//! |---|---|
//! | `records` | one request, by its id; a second record of the same id changes nothing |
//! | `rollups` | the sums of a day or a month for one subject, written with the records they count; and of each of the last 48 hours, for Envoys that start |
//! | `counters` | the usage of one limit in its current window |
//! | `revocations` | a key that is revoked on all Envoys |

mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::day::month_of;
use crate::record::{Record, Sums, UsageKey};

/// Sums of an hour, a day or a month.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// Its length.
    pub span: Span,
    /// Its first day, in days since the epoch; or the hour, in hours since the epoch.
    pub first: i64,
}

/// The length of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// An hour. Only the last ones are kept.
    Hour,
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

impl Span {
    /// Its name in the tables.
    fn code(self) -> &'static str {
        match self {
            Span::Hour => "h",
            Span::Day => "d",
            Span::Month => "m",
        }
    }
}

/// One row of the roll-ups.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// The first day of its period, in days since the epoch; or the hour, in hours since the epoch.
    pub first: i64,
    /// The subject.
    pub subject: UsageKey,
    /// The sums.
    pub sums: Sums,
}

/// The usage of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The limit, in the form of its descriptor.
    pub name: String,
    /// When its window began, in seconds since the epoch.
    pub window: i64,
    /// When its window ends.
    pub ends: i64,
    /// The number of hits in it.
    pub used: i64,
}

/// A change of a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The key's id.
    pub id: String,
    /// The revocation as JSON; `None` if the key has been restored.
    pub value: Option<String>,
    /// The number of the change.
    pub change: i64,
}

/// The store could not write or read.
#[derive(Debug)]
pub struct Failed(pub String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

/// Makes a new revocation of the current one; both as JSON, `None` if there is none.
pub type RevocationEdit<'a> = &'a dyn Fn(Option<&str>) -> Option<String>;

/// A store. Each call is one transaction.
pub trait Store: Send {
    /// Stores records, and adds the new ones to the roll-ups. Returns the number of new ones.
    ///
    /// # Errors
    /// Nothing has been stored.
    fn add(&mut self, records: &[Record]) -> Result<usize, Failed>;

    /// The roll-ups of the periods that begin on a day (or in an hour) from `from` until before `to`.
    ///
    /// # Errors
    /// They cannot be read.
    fn rollups(&mut self, span: Span, from: i64, to: i64) -> Result<Vec<Rollup>, Failed>;

    /// Stores counters, and deletes those whose window has ended before `now`, in seconds since the epoch.
    ///
    /// # Errors
    /// Nothing has been stored.
    fn put_counters(&mut self, counters: &[Counter], now: i64) -> Result<(), Failed>;

    /// All counters.
    ///
    /// # Errors
    /// They cannot be read.
    fn counters(&mut self) -> Result<Vec<Counter>, Failed>;

    /// Changes the revocation of an id: `change` gets the current one as JSON, `None` if there is none, and returns the
    /// new one. If nothing changes, nothing is stored. Returns the number of the change.
    ///
    /// # Errors
    /// It has not been stored.
    fn revoke(&mut self, id: &str, change: RevocationEdit<'_>) -> Result<i64, Failed>;

    /// The number of ids that are revoked or have been restored.
    ///
    /// # Errors
    /// It cannot be read.
    fn revoked(&mut self) -> Result<i64, Failed>;

    /// Removes the ids that were restored, or whose revocation has ended before `now`, in milliseconds since the epoch.
    ///
    /// # Errors
    /// Nothing has been removed.
    fn prune_revoked(&mut self, now: i64) -> Result<(), Failed>;

    /// The changes after this one, in order; at most so many.
    ///
    /// # Errors
    /// They cannot be read.
    fn revocations(&mut self, after: i64, most: usize) -> Result<Vec<Revocation>, Failed>;
}

/// Opens a store: a `postgres://` URL, or else the path of an SQLite file, which is created if it is missing.
///
/// # Errors
/// It cannot be opened.
pub fn open(place: &str) -> Result<Box<dyn Store>, Failed> {
    match place.starts_with("postgres://") || place.starts_with("postgresql://") {
        true => Ok(Box::new(postgres::Postgres::open(place)?)),
        false => Ok(Box::new(sqlite::Sqlite::open(place.strip_prefix("sqlite:").unwrap_or(place))?)),
    }
}

/// The columns of `records` and `rollups` that the first version did not have.
const ADDED_COLUMNS: [&str; 3] = ["cache_hits", "saved_input_tokens", "saved_output_tokens"];

/// How many hours have roll-ups of their own.
const HOURS_KEPT: i64 = 48;

/// The first hour with roll-ups of its own, in hours since the epoch.
fn first_hour() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs() / 3600).unwrap_or(i64::MAX) - HOURS_KEPT
}

/// The roll-up changes for new records. All writers use the same order, so that they cannot deadlock.
fn sums_of<'a>(records: impl Iterator<Item = &'a Record>, first_hour: i64) -> BTreeMap<(Period, &'a UsageKey), Sums> {
    let mut sums: BTreeMap<_, Sums> = BTreeMap::new();
    for record in records {
        let day = record.day();
        let periods = [Period { span: Span::Day, first: day }, Period { span: Span::Month, first: month_of(day) }];
        let hour = (record.hour() >= first_hour).then(|| Period { span: Span::Hour, first: record.hour() });
        for period in periods.into_iter().chain(hour) {
            sums.entry((period, &record.subject)).or_default().add(&record.sums);
        }
    }
    sums
}
