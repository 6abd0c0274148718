//! Soft limits: at a percentage of a limit (`warn_at`), requests still pass, but a warning is given.
//!
//! The record remembers the warnings, for all workers: each limit has one at most once in its window, in logs and stats.
//! The client's header has it in each answer.

use std::fmt::Write;

use super::{Limited, Period, Subject};
use crate::codec::{Reader, Writer};

/// A limit that has reached its `warn_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Which limit.
    pub what: Limited,
    /// Its used part, in percent.
    pub percent: u64,
    /// Whether it is the first warning in the limit's window.
    pub is_first: bool,
}

/// When warnings were given last: the kind of limit as its place in [`Limited::ALL`], and seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Warned(Vec<(u8, u64)>);

impl Warned {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes a warning. `false`: the window has had one already.
    pub(super) fn note(&mut self, what: Limited, now: u64) -> bool {
        let kind = what as u8;
        let Some((_, last)) = self.0.iter_mut().find(|(known, _)| *known == kind) else {
            self.0.push((kind, now));
            return true;
        };
        let ended = match what.period() {
            Some(Period::Minute) => last.saturating_add(60) <= now,
            Some(Period::Day) => last.saturating_add(86_400) <= now,
            Some(Period::Month) | None => Period::Month.end(*last) <= now,
        };
        if ended {
            *last = now;
        }
        ended
    }

    /// Writes the number of warnings, and each.
    pub(super) fn write(&self, out: &mut Writer) {
        out.number(self.0.len() as u64);
        for (kind, time) in &self.0 {
            out.u8(*kind);
            out.number(*time);
        }
    }

    /// Reads them; `None` if they are invalid.
    pub(super) fn read(input: &mut Reader<'_>) -> Option<Self> {
        let length = input.number().filter(|length| *length > 0)?;
        let one = |input: &mut Reader<'_>| Some((input.u8()?, input.number()?));
        input.list(length, Limited::ALL.len(), one).map(Warned)
    }
}

/// The used part of a limit in percent, if it is at least `percent`.
pub(super) fn reached(limit: u64, used: u64, percent: u8) -> Option<u64> {
    let part = u128::from(used) * 100 / u128::from(limit.max(1));
    (limit > 0 && part >= u128::from(percent)).then(|| u64::try_from(part).unwrap_or(u64::MAX))
}

/// The value of the client's header: `key cost_per_month 83%, label:team tokens_per_day 91%`.
///
/// ```
/// use sluice::limits::{warnings_header, Limited, Subject, Warning};
///
/// let warning = Warning { what: Limited::CostPerMonth, percent: 83, is_first: true };
/// assert_eq!(warnings_header(&[(Subject::Key("alice".into()), warning)]), "key cost_per_month 83%");
/// ```
pub fn warnings_header(warnings: &[(Subject, Warning)]) -> String {
    let mut out = String::new();
    for (subject, Warning { what, percent, .. }) in warnings {
        let comma = if out.is_empty() { "" } else { ", " };
        // writing to a String cannot fail
        let _ = write!(out, "{comma}{} {} {percent}%", subject.kind(), what.name());
    }
    out
}
