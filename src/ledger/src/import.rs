//! Reads access logs that Envoy has written to files.

use std::io::BufRead;

use crate::record::{NoRecord, Record, MAX_LINE};
use crate::store::{Failed, Store};

/// The number of records in one transaction.
const BATCH: usize = 2000;

/// The contents of an access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Records that were new.
    pub new: usize,
    /// Records that the ledger already had.
    pub known: usize,
    /// Lines that are not requests to a model.
    pub without_usage: usize,
    /// Unreadable lines.
    pub malformed: usize,
}

/// Imports all lines. Lines imported before an error stay; the same file can be imported again.
///
/// # Errors
/// The file cannot be read, or the records cannot be stored.
pub fn import(lines: &mut dyn BufRead, store: &mut dyn Store) -> Result<Imported, Failed> {
    let (mut imported, mut batch, mut line) = (Imported::default(), Vec::with_capacity(BATCH), Vec::new());
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line).map_err(|error| Failed(error.to_string()))?;
        if read > 0 {
            let text = std::str::from_utf8(&line).ok().filter(|text| text.len() <= MAX_LINE);
            match text.map_or(Err(NoRecord::Malformed), Record::of_line) {
                Ok(record) => batch.push(record),
                Err(NoRecord::NoUsage) => imported.without_usage += 1,
                Err(NoRecord::Malformed) => imported.malformed += 1,
            }
        }
        if batch.len() >= BATCH || read == 0 {
            let new = store.add(&batch)?;
            imported.new += new;
            imported.known += batch.len() - new;
            batch.clear();
        }
        if read == 0 {
            return Ok(imported);
        }
    }
}
