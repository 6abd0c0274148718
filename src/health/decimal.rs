//! Numbers in headers and error messages.

use std::time::Duration;

/// A number without a sign or exponent.
#[derive(Clone, Copy)]
pub(super) struct Decimal {
    whole: u64,
    /// The fraction, in billionths.
    billionths: u64,
}

impl Decimal {
    /// This many units; the maximum duration if it would be longer.
    pub(super) fn of(self, unit: Duration) -> Duration {
        const BILLION: u128 = 1_000_000_000;
        let parts = u128::from(self.whole).saturating_mul(BILLION).saturating_add(self.billionths.into());
        let nanoseconds = parts.saturating_mul(unit.as_nanos()) / BILLION;
        match u64::try_from(nanoseconds / BILLION) {
            Ok(seconds) => Duration::from_secs(seconds) + Duration::from_nanos((nanoseconds % BILLION) as u64),
            Err(_) => Duration::MAX,
        }
    }
}

/// Reads a number (`3`, `3.5`), and returns the text after it. A whole part beyond `u64` becomes its maximum, and
/// digits after the ninth decimal are dropped.
pub(super) fn decimal(text: &str) -> Option<(Decimal, &str)> {
    let (whole, rest) = digits(text)?;
    let whole = whole.bytes().fold(0, push);
    let Some((fraction, rest)) = rest.strip_prefix('.').and_then(digits) else {
        return Some((Decimal { whole, billionths: 0 }, rest));
    };
    let nine = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some((Decimal { whole, billionths: nine.fold(0, push) }, rest))
}

fn push(number: u64, digit: u8) -> u64 {
    number.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')))
}

/// One or more digits, and the text after them.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).filter(|_| end > 0)
}
