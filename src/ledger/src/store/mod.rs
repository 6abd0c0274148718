//! Where the ledger keeps what it knows: SQLite in a file, or PostgreSQL.
//!
//! | table | what a row is |
//! |---|---|
//! | `records` | one request, by its id; a second record of the same id changes nothing |
//! | `rollups` | the sums of a day or a month for one subject, written with the records they count |
//! | `counters` | what has been used of one limit in its running window |
//! | `revocations` | one key that is revoked on all Envoys |

mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt;

use crate::day::month_of;
use crate::record::{Record, Subject, Sums};

/// Sums of a day or a month.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// How long it is.
    pub span: Span,
    /// Its first day, in days since the epoch.
    pub first: i64,
}

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// A day.
    Day,
    /// A calendar month.
    Month,
}

impl Span {
    /// How the tables call it.
    fn code(self) -> &'static str {
        match self {
            Span::Day => "d",
            Span::Month => "m",
        }
    }
}

/// One line of the roll-ups.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// The first day of its period, in days since the epoch.
    pub first: i64,
    /// For whom and what.
    pub subject: Subject,
    /// How much.
    pub sums: Sums,
}

/// What has been used of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The limit, as its descriptor names it.
    pub name: String,
    /// When its window began, in seconds since the epoch.
    pub window: i64,
    /// When its window ends.
    pub ends: i64,
    /// How many hits there have been in it.
    pub used: i64,
}

/// A change of what is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The key's id.
    pub id: String,
    /// The revocation as JSON; `None` if the key has been restored.
    pub value: Option<String>,
    /// The number of the change.
    pub change: i64,
}

/// Something could not be kept, or read.
#[derive(Debug)]
pub struct Failed(pub String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

/// Where the ledger keeps what it knows. Each call is one transaction.
pub trait Store: Send {
    /// Keeps records, and adds those that are new to the roll-ups. How many are new.
    ///
    /// # Errors
    /// Nothing has been kept.
    fn add(&mut self, records: &[Record]) -> Result<usize, Failed>;

    /// The roll-ups of the periods that begin on a day from `from` until before `to`.
    ///
    /// # Errors
    /// They cannot be read.
    fn rollups(&mut self, span: Span, from: i64, to: i64) -> Result<Vec<Rollup>, Failed>;

    /// Keeps counters, and forgets those whose window has ended before `now`, in seconds since the epoch.
    ///
    /// # Errors
    /// Nothing has been kept.
    fn put_counters(&mut self, counters: &[Counter], now: i64) -> Result<(), Failed>;

    /// All counters.
    ///
    /// # Errors
    /// They cannot be read.
    fn counters(&mut self) -> Result<Vec<Counter>, Failed>;

    /// Keeps a change of what is revoked. The number of the change.
    ///
    /// # Errors
    /// It has not been kept.
    fn revoke(&mut self, id: &str, value: Option<&str>) -> Result<i64, Failed>;

    /// The changes after one, in their order.
    ///
    /// # Errors
    /// They cannot be read.
    fn revocations(&mut self, after: i64) -> Result<Vec<Revocation>, Failed>;
}

/// Opens a store: a `postgres://` URL, or else the path of an SQLite file, which is made if it is not there.
///
/// # Errors
/// It cannot be opened.
pub fn open(place: &str) -> Result<Box<dyn Store>, Failed> {
    match place.starts_with("postgres://") || place.starts_with("postgresql://") {
        true => Ok(Box::new(postgres::Postgres::open(place)?)),
        false => Ok(Box::new(sqlite::Sqlite::open(place.strip_prefix("sqlite:").unwrap_or(place))?)),
    }
}

/// What new records add to the roll-ups, in an order that is the same for all writers, so that no two of them wait for
/// each other.
fn sums_of<'a>(records: impl Iterator<Item = &'a Record>) -> BTreeMap<(Period, &'a Subject), Sums> {
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
