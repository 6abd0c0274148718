//! Points in time as headers write them.

use std::time::Duration;

use super::retry_after::decimal;

const DAY: i64 = 24 * 60 * 60;

/// Reads a date of RFC 9110, 5.6.7, in any of its three forms. `now` tells the century of the oldest one.
/// Both are since the epoch; a date before it reads as the epoch.
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

/// Reads an RFC 3339 timestamp; since the epoch, and one before it reads as the epoch.
pub(super) fn rfc3339(text: &str) -> Option<Duration> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.split('-');
    let (year, month, day) = (number(date.next()?)?, number(date.next()?)?, number(date.next()?)?);
    let (time, zone) = time_of_day(time)?;
    let midnight = midnight(year, month, day)? - offset(zone)?;
    date.next().is_none().then(|| since_epoch(midnight, time))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let seconds = (number(hours)? * 60 + number(minutes)?) * 60;
    match zone.as_bytes().first()? {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// A year of two digits, in the century that brings it nearest: more than 50 years ahead is past (RFC 9110, 5.6.7).
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

/// The time since midnight, and what follows it.
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

/// The first second of a day, relative to the epoch. `None` if there is no such day.
fn midnight(year: i64, month: i64, day: i64) -> Option<i64> {
    let first = |month| days_from_civil(year, month, 1);
    let length = match month {
        1..=11 => first(month + 1) - first(month),
        12 => 31,
        _ => return None,
    };
    (1..=length).contains(&day).then(|| days_from_civil(year, month, day) * DAY)
}

const DAYS_OF_400_YEARS: i64 = 146_097;

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

fn since_epoch(midnight: i64, time: Duration) -> Duration {
    match u64::try_from(midnight) {
        Ok(midnight) => time.saturating_add(Duration::from_secs(midnight)),
        Err(_) => time.saturating_sub(Duration::from_secs(midnight.unsigned_abs())),
    }
}
