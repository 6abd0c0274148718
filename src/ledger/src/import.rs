//! Reads access logs that Envoy has written to files.

use std::io::{BufRead, Read};

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
        let read = next(lines, &mut line).map_err(|error| Failed(error.to_string()))?;
        if read > 0 {
            let text = std::str::from_utf8(&line).ok().filter(|_| read <= MAX_LINE);
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

/// Reads a line, but keeps at most [`MAX_LINE`] bytes of it, and one more; returns its whole length, which is 0 at the end.
fn next(lines: &mut dyn BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    line.clear();
    let mut read = lines.take(MAX_LINE as u64 + 1).read_until(b'\n', line)?;
    let mut is_whole = read <= MAX_LINE || line.ends_with(b"\n");
    while !is_whole {
        let buffer = lines.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        is_whole = end.is_some() || buffer.is_empty();
        let length = end.map_or(buffer.len(), |end| end + 1);
        lines.consume(length);
        read += length;
    }
    Ok(read)
}
