//! Points in time in text form (RFC 3339), and the calendar.

use std::fmt;
use std::time::Duration;

/// A day in seconds.
const DAY: i64 = 24 * 60 * 60;

/// Days in 400 years, after which the calendar repeats.
const DAYS_OF_400_YEARS: i64 = 146_097;

/// Reads an RFC 3339 timestamp, as the time since the epoch; an earlier time reads as the epoch. `None` for anything
/// else.
///
/// ```
/// use std::time::Duration;
/// use sluice::date::rfc3339;
///
/// assert_eq!(rfc3339("1970-01-02T01:00:00.5+01:00"), Some(Duration::from_millis(86_400_500)));
/// assert_eq!(rfc3339("1970-01-02"), None);
/// ```
pub fn rfc3339(text: &str) -> Option<Duration> {
    let (date, time) = text.split_at_checked(10)?;
    let midnight = date_only(date)?;
    let (clock, rest) = time.strip_prefix(['T', 't', ' '])?.split_at_checked(8)?;
    let (hours, minutes, seconds) = three(clock, ':', [2, 2, 2])?;
    // a minute may have a leap second
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let (nanoseconds, zone) = fraction(rest)?;
    let seconds = midnight + (hours * 60 + minutes) * 60 + seconds - offset(zone)?;
    // a time before 1970 becomes 0: its fraction would be negative as well
    let seconds = u64::try_from(seconds).ok();
    Some(seconds.map_or(Duration::ZERO, |seconds| Duration::new(seconds, nanoseconds)))
}

/// Reads an RFC 3339 timestamp, or a date, which means its first second in UTC.
///
/// ```
/// use std::time::Duration;
/// use sluice::date::timestamp;
///
/// assert_eq!(timestamp("1970-01-02"), Some(Duration::from_secs(86_400)));
/// assert_eq!(timestamp("1970-01-02T00:00:01Z"), Some(Duration::from_secs(86_401)));
/// assert_eq!(timestamp("1970-02-30"), None);
/// ```
pub fn timestamp(text: &str) -> Option<Duration> {
    date_only(text).map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))).or_else(|| rfc3339(text))
}

/// Writes a time since the epoch as an RFC 3339 timestamp in UTC. A fraction of a second is rounded up, so that nothing
/// seems to end too early.
///
/// ```
/// use std::time::Duration;
/// use sluice::date::Timestamp;
///
/// assert_eq!(Timestamp(Duration::from_millis(86_400_500)).to_string(), "1970-01-02T00:00:01Z");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Timestamp(pub Duration);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// 9999-12-31T23:59:59Z, the last time that can be written
        const LAST: u64 = 253_402_300_799;
        let seconds = self.0.as_secs().saturating_add(u64::from(self.0.subsec_nanos() > 0)).min(LAST);
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let (year, month, day) = civil_from_days(seconds / DAY);
        let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z")
    }
}

/// `2027-01-31`, in seconds relative to the epoch.
fn date_only(text: &str) -> Option<i64> {
    let (year, month, day) = three(text, '-', [4, 2, 2])?;
    midnight(year, month, day)
}

/// Three numbers with as many digits as `widths` says.
fn three(text: &str, separator: char, widths: [usize; 3]) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(separator);
    let [first, second, third] = widths.map(|width| digits(parts.next()?, width));
    parts.next().is_none().then_some((first?, second?, third?))
}

fn digits(text: &str, width: usize) -> Option<i64> {
    let plain = text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// The fraction of a second in nanoseconds, zero if there is none, and the text after it.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (digits, zone) = rest.split_at_checked(end).filter(|_| end > 0)?;
    let nine = digits.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some((nine.fold(0, |number, digit| number * 10 + u32::from(digit.saturating_sub(b'0'))), zone))
}

/// The offset from UTC in seconds, positive to the east.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let seconds = (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * 60)?;
    match zone.as_bytes().first()? {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// The first second of a day, relative to the epoch. `None` if the day does not exist.
pub fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    let first = |month| days_from_civil(year, month, 1);
    let length = match month {
        1..=11 => first(month + 1) - first(month),
        12 => 31,
        _ => return None,
    };
    (1..=length).contains(&day).then(|| days_from_civil(year, month, day) * DAY)
}

/// Days since 1970-01-01 in the Gregorian calendar: Howard Hinnant's `days_from_civil`
/// (<https://howardhinnant.github.io/date_algorithms.html>). Years begin in March, so that a leap day is the last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_OF_400_YEARS + day_of_era - 719_468
}

/// The year, month and day of a number of days since 1970-01-01: `civil_from_days`, from the same source.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(DAYS_OF_400_YEARS);
    let day_of_era = days.rem_euclid(DAYS_OF_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// When the calendar month of a time ends; both in seconds since the epoch, in UTC.
///
/// ```
/// use sluice::date::{next_month, timestamp};
///
/// let seconds = |text| timestamp(text).unwrap().as_secs();
/// assert_eq!(next_month(seconds("2026-12-31T23:59:59Z")), seconds("2027-01-01"));
/// assert_eq!(next_month(seconds("2028-02-01")), seconds("2028-03-01"));
/// ```
pub fn next_month(seconds: u64) -> u64 {
    let (year, month, _) = civil_from_days(i64::try_from(seconds / DAY.unsigned_abs()).unwrap_or(0));
    let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(year, month, 1).saturating_mul(DAY).unsigned_abs()
}
