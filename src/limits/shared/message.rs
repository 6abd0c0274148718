//! The messages of `envoy.service.ratelimit.v3`
//! (<https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/ratelimit/v3/rls.proto>), in protobuf encoding.

use std::time::Duration;

use super::{Counter, Hit};
use crate::codec::varint;
use crate::limits::{Limited, Period};

/// The most statuses that are read from one answer of the limit service.
const MAX_STATUSES: usize = 256;

/// The service's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimitResponse {
    /// Whether any limit is reached.
    pub is_over: bool,
    /// One for each limit in the question, or none at all.
    pub statuses: Vec<Status>,
}

/// The service's status of one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether it is reached.
    pub is_over: bool,
    /// The remaining hits.
    pub remaining: u64,
    /// The time until its window ends.
    pub reset: Option<Duration>,
}

/// A `RateLimitRequest`.
///
/// ```
/// use sluice::limits::shared::{write_request, Counter, Hit};
/// use sluice::limits::{Limited, Subject};
///
/// let counter = Counter { subject: Subject::All, what: Limited::RequestsPerMinute, limit: 3 };
/// let message = write_request("d", &[Hit { counter, hits: 0 }]);
/// assert_eq!(&message[..3], b"\x0a\x01d");
/// assert!(message.ends_with(b"\x12\x04\x08\x03\x10\x02\x1a\x00"), "3 a minute, and no hit");
/// ```
pub fn write_request(domain: &str, hits: &[Hit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + hits.len() * 96);
    bytes(&mut out, 1, domain.as_bytes());
    for hit in hits {
        let mut descriptor = Vec::with_capacity(96);
        write_descriptor(&mut descriptor, hit);
        bytes(&mut out, 2, &descriptor);
    }
    out
}

/// `RateLimitDescriptor { repeated Entry entries = 1; RateLimitOverride limit = 2; UInt64Value hits_addend = 3; }`
fn write_descriptor(out: &mut Vec<u8>, hit: &Hit) {
    let Counter { subject, what, limit } = &hit.counter;
    entry(out, "subject", &subject.kind());
    if let Some(id) = subject.id() {
        entry(out, "id", id);
    }
    let scale = hit.counter.scale();
    match scale {
        1 => entry(out, "limit", what.name()),
        _ => entry(out, "limit", &format!("{}/{scale}", what.name())),
    }
    let mut most = Vec::with_capacity(8);
    number(&mut most, 1, limit / scale);
    number(&mut most, 2, unit(*what));
    bytes(out, 2, &most);
    let mut addend = Vec::with_capacity(8);
    if hit.hits > 0 {
        number(&mut addend, 1, hit.hits.div_ceil(scale));
    }
    bytes(out, 3, &addend);
}

/// `envoy.type.v3.RateLimitUnit`
fn unit(what: Limited) -> u64 {
    match what.period() {
        Some(Period::Minute) | None => 2,
        Some(Period::Day) => 4,
        Some(Period::Month) => 5,
    }
}

fn entry(out: &mut Vec<u8>, key: &str, value: &str) {
    let mut pair = Vec::with_capacity(key.len() + value.len() + 8);
    bytes(&mut pair, 1, key.as_bytes());
    bytes(&mut pair, 2, value.as_bytes());
    bytes(out, 1, &pair);
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | 2);
    varint::write(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    out.push(field << 3);
    varint::write(out, value);
}

/// Reads a `RateLimitResponse` to a question about this many limits. `None`: invalid, or the answer to another
/// question.
///
/// ```
/// use sluice::limits::shared::{read_answer, RateLimitResponse};
///
/// assert_eq!(read_answer(b"\x08\x02", 3), Some(RateLimitResponse { is_over: true, statuses: vec![] }));
/// assert_eq!(read_answer(b"\x08\x02\x12\x02\x08\x01", 3), None, "of three limits it speaks of one");
/// assert_eq!(read_answer(b"", 0), None, "it says nothing");
/// ```
pub fn read_answer(message: &[u8], asked: usize) -> Option<RateLimitResponse> {
    let (mut code, mut statuses) = (0, Vec::new());
    each_field(message, |field| {
        match field {
            (1, Value::Number(value)) => code = value,
            (2, Value::Bytes(status)) if statuses.len() < MAX_STATUSES => statuses.push(read_status(status)?),
            (2, Value::Bytes(_)) => return None,
            _ => {}
        }
        Some(())
    })?;
    let fits = statuses.is_empty() || statuses.len() == asked;
    matches!(code, 1 | 2).then_some(RateLimitResponse { is_over: code == 2, statuses }).filter(|_| fits)
}

/// `DescriptorStatus { Code code = 1; RateLimit current_limit = 2; uint32 limit_remaining = 3; Duration
/// duration_until_reset = 4; }`
fn read_status(message: &[u8]) -> Option<Status> {
    let mut status = Status::default();
    each_field(message, |field| {
        match field {
            (1, Value::Number(code)) => status.is_over = code == 2,
            (3, Value::Number(left)) => status.remaining = left,
            (4, Value::Bytes(time)) => status.reset = Some(read_duration(time)?),
            _ => {}
        }
        Some(())
    })?;
    Some(status)
}

/// `google.protobuf.Duration { int64 seconds = 1; int32 nanos = 2; }`
fn read_duration(message: &[u8]) -> Option<Duration> {
    let (mut seconds, mut nanos) = (0, 0);
    each_field(message, |field| {
        match field {
            (1, Value::Number(value)) => seconds = value,
            (2, Value::Number(value)) => nanos = value,
            _ => {}
        }
        Some(())
    })?;
    // a negative number has its top bit set
    let seconds = if seconds >> 63 == 1 { 0 } else { seconds };
    Some(Duration::new(seconds, u32::try_from(nanos).unwrap_or(0).min(999_999_999)))
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// Passes each field of a message to `take`. `None` if the message is invalid, or if `take` returns `None`.
fn each_field<'a>(mut rest: &'a [u8], mut take: impl FnMut((u64, Value<'a>)) -> Option<()>) -> Option<()> {
    while !rest.is_empty() {
        let tag = varint::read(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint::read(&mut rest)?),
            1 => {
                rest = rest.get(8..)?;
                Value::Other
            }
            2 => {
                let length = usize::try_from(varint::read(&mut rest)?).ok()?;
                let (bytes, after) = rest.split_at_checked(length)?;
                rest = after;
                Value::Bytes(bytes)
            }
            5 => {
                rest = rest.get(4..)?;
                Value::Other
            }
            _ => return None,
        };
        take((tag >> 3, value))?;
    }
    Some(())
}
