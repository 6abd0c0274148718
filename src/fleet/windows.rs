//! The usage of the last 24 hours and the current month, as the ledger tells it to an Envoy that starts: in binary, because it may be long.
//!
//! The version; the ledger's time in seconds since the epoch; each subject with its [`PastUsage`]; an end mark with the
//! number of subjects that were left out. See [`codec`](crate::codec) for the encoding.

use std::rc::Rc;
use std::time::Duration;

use super::MAX_ANSWER;
use crate::codec::{Reader, Writer};
use crate::limits::{LimitRecord, PastUsage, Subject};

/// The maximum number of subjects in one answer.
pub const MAX_SUBJECTS: usize = 10_000;

const VERSION: u8 = 1;
const ALL: u8 = 0;
const KEY: u8 = 1;
const MODEL: u8 = 2;
const LABEL: u8 = 3;
const END: u8 = 255;
/// Room for the end mark.
const END_SIZE: usize = 16;

/// Writes the subjects' usage, until there is no more room.
pub fn write_windows(now: Duration, usage: &[(Subject, PastUsage)]) -> Vec<u8> {
    let mut out = Writer::default();
    out.u8(VERSION);
    out.number(now.as_secs());
    let mut bytes = out.into_bytes();
    let mut written = 0;
    for (subject, past) in usage.iter().take(MAX_SUBJECTS) {
        let mut entry = Writer::default();
        match subject {
            Subject::All => entry.u8(ALL),
            Subject::Key(id) => {
                entry.u8(KEY);
                entry.text(id);
            }
            Subject::Model(name) => {
                entry.u8(MODEL);
                entry.text(name);
            }
            Subject::Label(name, value) => {
                entry.u8(LABEL);
                entry.text(name);
                entry.text(value);
            }
        }
        past.write(&mut entry);
        let entry = entry.into_bytes();
        if bytes.len() + entry.len() + END_SIZE > MAX_ANSWER {
            break;
        }
        bytes.extend(entry);
        written += 1;
    }
    let mut end = Writer::default();
    end.u8(END);
    end.number((usage.len() - written) as u64);
    bytes.extend(end.into_bytes());
    bytes
}

/// A valid answer.
///
/// ```
/// use std::time::Duration;
/// use sluice::fleet::{write_windows, Windows};
/// use sluice::limits::{Amounts, Limited, PastUsage, Subject};
///
/// let now = Duration::from_secs(1_800_000_000);
/// let mut past = PastUsage::default();
/// past.add_hour(now, now, Amounts { tokens: 70, ..Amounts::default() });
/// let bytes = write_windows(now, &[(Subject::Key("alice".into()), past)]);
/// let windows = Windows::read(&bytes).unwrap();
/// let found: Vec<_> = windows.iter().map(|(subject, record)| (subject, record.used(Limited::TokensPerDay, now))).collect();
/// assert_eq!(found, [(Subject::Key("alice".into()), 70)]);
/// assert!(Windows::read(&bytes[..bytes.len() - 1]).is_none(), "it was cut");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a> {
    now: Duration,
    entries: Reader<'a>,
    /// The number of subjects that were left out.
    pub left_out: u64,
}

impl<'a> Windows<'a> {
    /// Reads an answer completely. `None`: invalid, or of another version.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut input = Reader::new(bytes);
        input.u8().filter(|version| *version == VERSION)?;
        let now = Duration::from_secs(input.number()?);
        let entries = input;
        for _ in 0..=MAX_SUBJECTS {
            if entry(&mut input)?.is_none() {
                let left_out = input.number()?;
                return input.is_empty().then_some(Windows { now, entries, left_out });
            }
        }
        None
    }

    /// The subjects, and the records with which their limits begin.
    pub fn iter(&self) -> impl Iterator<Item = (Subject, LimitRecord)> + 'a {
        let (mut input, now) = (self.entries, self.now);
        std::iter::from_fn(move || {
            entry(&mut input).flatten().map(|(subject, past)| (subject, LimitRecord::begun(past, now)))
        })
    }
}

/// The next subject; `Some(None)` at the end mark, `None` if the bytes are invalid.
#[allow(clippy::option_option)]
fn entry(input: &mut Reader<'_>) -> Option<Option<(Subject, PastUsage)>> {
    let subject = match input.u8()? {
        ALL => Subject::All,
        KEY => Subject::Key(Rc::from(input.text()?)),
        MODEL => Subject::Model(Rc::from(input.text()?)),
        LABEL => Subject::Label(Rc::from(input.text()?), Rc::from(input.text()?)),
        END => return Some(None),
        _ => return None,
    };
    Some(Some((subject, PastUsage::read(input)?)))
}
