//! The ledger's store: SQLite in a file, or PostgreSQL.
//!
//! | table | a row |
//! |---|---|
//! | `records` | one request, by its id; a second record of the same id changes nothing |
//! | `rollups` | the sums of a day or a month for one subject, written with the records they count |
//! | `counters` | the usage of one limit in its current window |
//! | `revocations` | a key that is revoked on all Envoys |

mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt;

use crate::day::month_of;
use crate::record::{Record, Sums, UsageKey};

/// Sums of a day or a month.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// Its length.
    pub span: Span,
    /// Its first day, in days since the epoch.
    pub first: i64,
}

/// The length of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

impl Span {
    /// Its name in the tables.
    fn code(self) -> &'static str {
        match self {
            Span::Day => "d",
            Span::Month => "m",
        }
    }
}

/// One row of the roll-ups.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// The first day of its period, in days since the epoch.
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

/// A store. Each call is one transaction.
pub trait Store: Send {
    /// Stores records, and adds the new ones to the roll-ups. Returns the number of new ones.
    ///
    /// # Errors
    /// Nothing has been stored.
    fn add(&mut self, records: &[Record]) -> Result<usize, Failed>;

    /// The roll-ups of the periods that begin on a day from `from` until before `to`.
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

    /// Stores a change of a revocation. Returns the change's number.
    ///
    /// # Errors
    /// It has not been stored.
    fn revoke(&mut self, id: &str, value: Option<&str>) -> Result<i64, Failed>;

    /// The changes after this one, in order.
    ///
    /// # Errors
    /// They cannot be read.
    fn revocations(&mut self, after: i64) -> Result<Vec<Revocation>, Failed>;
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

/// The roll-up changes for new records. All writers use the same order, so that they cannot deadlock.
fn sums_of<'a>(records: impl Iterator<Item = &'a Record>) -> BTreeMap<(Period, &'a UsageKey), Sums> {
    let mut sums: BTreeMap<_, Sums> = BTreeMap::new();
    for record in records {
        let day = record.day();
        let periods = [Period { span: Span::Day, first: day }, Period { span: Span::Month, first: month_of(day) }];
        for period in periods {
            sums.entry((period, &record.subject)).or_default().add(&record.sums);
        }
    }
    sums
}
