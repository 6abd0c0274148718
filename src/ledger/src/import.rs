//! Reads access logs that Envoy has written to files.
//!
//! An Envoy that is killed leaves half a line, and the next Envoy writes its first line right behind it.

use std::io::{BufRead, Read};

use crate::record::{is_line, NoRecord, Record, MAX_LINE};
use crate::store::{Failed, Store};

/// The number of records in one transaction.
const BATCH: usize = 2000;
/// The maximum number of places in an unreadable line where another line is looked for.
const MAX_STARTS: usize = 16;
/// How each line begins.
const START: &[u8] = b"{\"";

/// The contents of an access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Records that were new.
    pub new: usize,
    /// Records that the ledger already had.
    pub known: usize,
    /// Lines that are not requests to a model.
    pub without_usage: usize,
    /// Lines that are cut off, because Envoy was killed while it wrote them, with another line behind them.
    pub cut_off: usize,
    /// Unreadable lines.
    pub malformed: usize,
}

impl Imported {
    /// Reads a line of this length, of which no more than [`MAX_LINE`] bytes are there.
    fn read(&mut self, line: &[u8], length: usize, batch: &mut Vec<Record>) {
        let whole = if length <= MAX_LINE { of_bytes(line) } else { Err(NoRecord::Malformed) };
        let behind = if whole == Err(NoRecord::Malformed) && length <= MAX_LINE { joined(line) } else { None };
        let Some((before, behind)) = behind else {
            return self.take(whole, batch);
        };
        match of_bytes(before) {
            Err(NoRecord::Malformed) => self.cut_off += 1,
            // only its end of line is missing
            before => self.take(before, batch),
        }
        self.take(behind, batch);
    }

    /// Counts a line, or keeps its record.
    fn take(&mut self, line: Result<Record, NoRecord>, batch: &mut Vec<Record>) {
        match line {
            Ok(record) => batch.push(record),
            Err(NoRecord::NoUsage) => self.without_usage += 1,
            Err(NoRecord::Malformed) => self.malformed += 1,
        }
    }
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
            imported.read(&line, read, &mut batch);
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

fn of_bytes(line: &[u8]) -> Result<Record, NoRecord> {
    std::str::from_utf8(line).map_or(Err(NoRecord::Malformed), Record::of_line)
}

/// The line behind one that is cut off, and what is before it.
fn joined(line: &[u8]) -> Option<(&[u8], Result<Record, NoRecord>)> {
    let starts = line.windows(START.len()).enumerate().skip(1).filter(|(_, bytes)| *bytes == START);
    starts.take(MAX_STARTS).find_map(|(start, _)| {
        let (before, behind) = line.split_at_checked(start)?;
        let text = std::str::from_utf8(behind).ok()?;
        is_line(text).then(|| (before, Record::of_line(text)))
    })
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
