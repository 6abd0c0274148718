//! Points in time in header format.

use std::time::Duration;

use super::decimal::decimal;
use crate::date::{midnight, DAY, DAYS_OF_400_YEARS};

/// Reads a date of RFC 9110, 5.6.7, in any of its three forms. `now` determines the century of the oldest form. Both
/// are since the epoch; an earlier date reads as the epoch.
///
/// ```text
/// Sun, 06 Nov 1994 08:49:37 GMT     IMF-fixdate
/// Sunday, 06-Nov-94 08:49:37 GMT    RFC 850
/// Sun Nov  6 08:49:37 1994          asctime
/// ```
pub(super) fn http_date(text: &str, now: Duration) -> Option<Duration> {
    let mut words = text.split([' ', ',', '-']).filter(|word| !word.is_empty());
    let words: [Option<&str>; 7] = std::array::from_fn(|_| words.next());
    let (day, month, year, time) = match words {
        [Some(_), Some(day), Some(month), Some(year), Some(time), Some("GMT" | "UTC"), None] => {
            (day, month, year, time)
        }
        [Some(_), Some(month), Some(day), Some(time), Some(year), None, None] => (day, month, year, time),
        _ => return None,
    };
    let year = match year.len() {
        2 => in_century(number(year)?, now),
        _ => number(year)?,
    };
    let midnight = midnight(year, month_number(month)?, number(day)?)?;
    let (time, rest) = time_of_day(time)?;
    rest.is_empty().then(|| since_epoch(midnight, time))
}

/// A year with two digits, in the nearest century: more than 50 years ahead means the past (RFC 9110, 5.6.7).
fn in_century(year: i64, now: Duration) -> i64 {
    let days = i64::try_from(now.as_secs()).unwrap_or_default() / DAY;
    let this_year = 1970 + days * 400 / DAYS_OF_400_YEARS;
    let year = this_year - this_year % 100 + year;
    if year > this_year + 50 {
        year - 100
    } else if year <= this_year - 50 {
        year + 100
    } else {
        year
    }
}

/// The time since midnight, and the text after it.
fn time_of_day(text: &str) -> Option<(Duration, &str)> {
    let (hours, rest) = text.split_once(':')?;
    let (minutes, rest) = rest.split_once(':')?;
    let (seconds, rest) = decimal(rest)?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    // a minute may have a leap second
    let valid = hours < 24 && minutes < 60 && seconds.whole <= 60;
    let whole_minutes = u64::try_from(hours * 60 + minutes).ok()?;
    valid.then(|| (Duration::from_secs(whole_minutes * 60).saturating_add(seconds.of(Duration::from_secs(1))), rest))
}

fn month_number(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    (1..).zip(NAMES).find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(number, _)| number)
}

/// One to four digits.
fn number(text: &str) -> Option<i64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn since_epoch(midnight: i64, time: Duration) -> Duration {
    match u64::try_from(midnight) {
        Ok(midnight) => time.saturating_add(Duration::from_secs(midnight)),
        Err(_) => time.saturating_sub(Duration::from_secs(midnight.unsigned_abs())),
    }
}
