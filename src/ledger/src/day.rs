//! Days and months in UTC, as numbers and as text.

use sluice::date::{civil_from_days, midnight, next_month};

/// A day in seconds.
pub const DAY: u64 = 86_400;

/// `2026-11-27` for a day's number since the epoch.
pub fn write_day(day: i64) -> String {
    let (year, month, day) = civil_from_days(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2026-11` for the number of one of its days.
pub fn write_month(day: i64) -> String {
    let (year, month, _) = civil_from_days(day);
    format!("{year:04}-{month:02}")
}

/// The number of the day `2026-11-27`.
pub fn read_day(text: &str) -> Option<i64> {
    let mut parts = text.split('-');
    let [year, month, day] = [parts.next()?, parts.next()?, parts.next()?].map(|part| part.parse().ok());
    let seconds = midnight(year?, month?, day?)?;
    let day = seconds.div_euclid(DAY as i64);
    (parts.next().is_none() && write_day(day) == text).then_some(day)
}

/// The numbers of a month's first day and of the next month's first day, from `2026-11`.
pub fn read_month(text: &str) -> Option<(i64, i64)> {
    let first = read_day(&format!("{text}-01"))?;
    Some((first, after_month(first)))
}

/// The number of a month's first day, from one of its days.
pub fn month_of(day: i64) -> i64 {
    let (_, _, of_month) = civil_from_days(day);
    day - of_month + 1
}

/// The number of the first day of the month after a day's.
pub fn after_month(day: i64) -> i64 {
    (next_month(day.max(0) as u64 * DAY) / DAY) as i64
}
