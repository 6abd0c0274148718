//! The retry delay that a provider requests.

use std::time::{Duration, UNIX_EPOCH};

use super::decimal::decimal;
use crate::date::rfc3339;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// The delay in an answer about overload or limits (429, 503, 529); `None` if it has none. A time in the past is a
/// delay of zero. Unreadable values are ignored.
///
/// `headers` are values with names in lower case; `now` is since the epoch. The order of precedence:
///
/// 1. `retry-after-ms`: milliseconds (Azure);
/// 2. `retry-after`: seconds or a date (RFC 9110, 10.2.3);
/// 3. the longest of `x-ratelimit-reset-{requests,tokens}`: a time such as `6m0s`, or seconds; and of
///    `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-reset`: an RFC 3339 timestamp. A limit whose
///    `remaining` is not 0 was not exceeded, and does not count.
///
/// ```
/// use std::time::Duration;
/// use sluice::health::parse_retry_after;
///
/// let pause = |headers: &[(&str, &str)]| {
///     let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
///     parse_retry_after(headers, Duration::from_secs(784_111_770))
/// };
/// assert_eq!(pause(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
/// assert_eq!(pause(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(Duration::from_secs(7)));
/// assert_eq!(pause(&[("x-ratelimit-reset-tokens", "1m7.5s")]), Some(Duration::from_millis(67_500)));
/// assert_eq!(pause(&[("retry-after", "soon")]), None);
/// ```
pub fn parse_retry_after<'a>(headers: impl Iterator<Item = (&'a [u8], &'a [u8])>, now: Duration) -> Option<Duration> {
    let mut in_milliseconds = None;
    let mut plain = None;
    let mut limits = [Limit::default(); LIMITS.len()];
    for (name, value) in headers {
        let Some(value) = std::str::from_utf8(value).ok().map(str::trim) else {
            continue;
        };
        match name {
            b"retry-after-ms" => in_milliseconds = in_milliseconds.or(quantity(value, MILLISECOND)),
            b"retry-after" => plain = plain.or_else(|| seconds_or_date(value, now)),
            name => {
                for (limit, names) in limits.iter_mut().zip(&LIMITS) {
                    limit.take_in(names, name, value, now);
                }
            }
        }
    }
    let exceeded = limits.into_iter().filter(|limit| !limit.has_room);
    in_milliseconds.or(plain).or(exceeded.filter_map(|limit| limit.reset).max())
}

/// A retry delay in an error's body, in the format of Google's `RetryInfo`: `34.5s`.
///
/// ```
/// use sluice::health::pause_of;
/// use std::time::Duration;
///
/// assert_eq!(pause_of(b"34.5s"), Some(Duration::from_millis(34_500)));
/// assert_eq!(pause_of(b"soon"), None);
/// ```
pub fn pause_of(text: &[u8]) -> Option<Duration> {
    go_duration(std::str::from_utf8(text).ok()?)
}

/// The names of a limit's headers, and the format of its reset.
struct LimitNames {
    reset: &'static str,
    remaining: &'static str,
    pause: fn(&str, Duration) -> Option<Duration>,
}

static LIMITS: [LimitNames; 6] = [
    LimitNames {
        reset: "x-ratelimit-reset-requests",
        remaining: "x-ratelimit-remaining-requests",
        pause: |value, _| go_duration(value),
    },
    LimitNames {
        reset: "x-ratelimit-reset-tokens",
        remaining: "x-ratelimit-remaining-tokens",
        pause: |value, _| go_duration(value),
    },
    LimitNames {
        reset: "anthropic-ratelimit-requests-reset",
        remaining: "anthropic-ratelimit-requests-remaining",
        pause: until_timestamp,
    },
    LimitNames {
        reset: "anthropic-ratelimit-tokens-reset",
        remaining: "anthropic-ratelimit-tokens-remaining",
        pause: until_timestamp,
    },
    LimitNames {
        reset: "anthropic-ratelimit-input-tokens-reset",
        remaining: "anthropic-ratelimit-input-tokens-remaining",
        pause: until_timestamp,
    },
    LimitNames {
        reset: "anthropic-ratelimit-output-tokens-reset",
        remaining: "anthropic-ratelimit-output-tokens-remaining",
        pause: until_timestamp,
    },
];

/// An answer's values for one limit.
#[derive(Clone, Copy, Default)]
struct Limit {
    /// Whether it may have a remainder.
    has_room: bool,
    reset: Option<Duration>,
}

impl Limit {
    fn take_in(&mut self, names: &LimitNames, name: &[u8], value: &str, now: Duration) {
        if name == names.reset.as_bytes() {
            self.reset = (names.pause)(value, now).or(self.reset);
        } else if name == names.remaining.as_bytes() {
            self.has_room = quantity(value, SECOND) != Some(Duration::ZERO);
        }
    }
}

fn seconds_or_date(value: &str, now: Duration) -> Option<Duration> {
    quantity(value, SECOND).or_else(|| Some(http_date(value)?.saturating_sub(now)))
}

/// Reads a date of RFC 9110, 5.6.7, in any of its three forms, as the time since the epoch.
fn http_date(value: &str) -> Option<Duration> {
    httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).ok()
}

fn until_timestamp(value: &str, now: Duration) -> Option<Duration> {
    Some(rfc3339(value)?.saturating_sub(now))
}

/// A duration in Go's format (`1h2m3.5s`, `20ms`), or seconds.
fn go_duration(value: &str) -> Option<Duration> {
    const UNITS: [(&str, Duration); 7] = [
        // `ms` before `m`
        ("ms", MILLISECOND),
        ("us", Duration::from_micros(1)),
        ("µs", Duration::from_micros(1)),
        ("ns", Duration::from_nanos(1)),
        ("h", Duration::from_secs(60 * 60)),
        ("m", Duration::from_secs(60)),
        ("s", SECOND),
    ];
    if let Some(seconds) = quantity(value, SECOND) {
        return Some(seconds);
    }
    let (mut rest, mut total) = (value, Duration::ZERO);
    while !rest.is_empty() {
        let (count, tail) = decimal(rest)?;
        let (tail, unit) = UNITS.iter().find_map(|(name, unit)| Some((tail.strip_prefix(name)?, *unit)))?;
        total = total.saturating_add(count.of(unit));
        rest = tail;
    }
    (!value.is_empty()).then_some(total)
}

/// A number of units, and nothing after it.
fn quantity(value: &str, unit: Duration) -> Option<Duration> {
    let (count, rest) = decimal(value)?;
    rest.is_empty().then(|| count.of(unit))
}
