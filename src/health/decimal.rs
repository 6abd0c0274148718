//! Numbers as headers and error messages write them.

use std::time::Duration;

/// A number without a sign or exponent.
#[derive(Clone, Copy)]
pub(super) struct Decimal {
    pub(super) whole: u64,
    /// The rest, in billionths.
    billionths: u64,
}

impl Decimal {
    /// So many units; the longest time of all where it would be more.
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

/// Reads a number (`3`, `3.5`), and says what follows. A whole part beyond `u64` is read as its greatest value,
/// and digits after the ninth of the fraction are dropped.
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

/// One digit or more, and what follows.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).filter(|_| end > 0)
}
