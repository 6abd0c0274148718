//! Numbers with units, as operators write them.

use std::time::Duration;

/// A duration such as `500ms` or `1.5h`, from a millisecond to a year; otherwise `None`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(split)?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let total = number.parse::<f64>().ok().filter(|_| plain)? * seconds;
    (0.001..=31_536_000.0).contains(&total).then(|| Duration::from_secs_f64(total))
}

/// A number of bytes such as `256KiB`; otherwise `None`.
pub(super) fn size(text: &str) -> Option<usize> {
    let (digits, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let unit = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}
