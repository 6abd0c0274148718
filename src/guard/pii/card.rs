//! Numbers of payment cards.

use super::groups::{Group, Mark};

/// The minimum and maximum number of digits of a card number.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// An issuer: its range of first digits (as many as written), and its allowed lengths.
const ISSUERS: &[(u32, u32, &[usize])] = &[
    (4, 4, &[13, 16, 19]),                       // Visa
    (51, 55, &[16]),                             // Mastercard
    (2221, 2720, &[16]),                         // Mastercard
    (34, 34, &[15]),                             // American Express
    (37, 37, &[15]),                             // American Express
    (300, 305, &[14, 16, 19]),                   // Diners Club
    (3095, 3095, &[14, 16, 19]),                 // Diners Club
    (36, 36, &[14, 16, 19]),                     // Diners Club
    (38, 39, &[14, 16, 19]),                     // Diners Club
    (6011, 6011, &[16, 19]),                     // Discover
    (644, 659, &[16, 19]),                       // Discover
    (60, 60, &[16]),                             // RuPay
    (508, 508, &[16]),                           // RuPay
    (3528, 3589, &[16, 17, 18, 19]),             // JCB
    (62, 62, &[16, 17, 18, 19]),                 // UnionPay
    (81, 82, &[16, 17, 18, 19]),                 // UnionPay, RuPay
    (2200, 2204, &[16, 17, 18, 19]),             // Mir
    (9792, 9792, &[16]),                         // Troy
    (5018, 5018, &[13, 14, 15, 16, 17, 18, 19]), // Maestro
    (5020, 5020, &[13, 14, 15, 16, 17, 18, 19]), // Maestro
    (5038, 5038, &[13, 14, 15, 16, 17, 18, 19]), // Maestro
    (5893, 5893, &[13, 14, 15, 16, 17, 18, 19]), // Maestro
    (6304, 6304, &[13, 14, 15, 16, 17, 18, 19]), // Maestro
    (6759, 6763, &[13, 14, 15, 16, 17, 18, 19]), // Maestro
];

/// Whether these digits are a card number: of a known issuer, with one of its lengths, and with the right check digit.
///
/// ```
/// use sluice::guard::pii::is_card_number;
///
/// assert!(is_card_number("4111111111111111"));
/// assert!(!is_card_number("4111111111111112"), "the check digit");
/// ```
pub fn is_card_number(digits: &str) -> bool {
    digits.bytes().all(|digit| digit.is_ascii_digit())
        && LENGTHS.contains(&digits.len())
        && ISSUERS.iter().any(|issuer| is_issued(digits, issuer))
        && luhn(digits.bytes())
}

fn is_issued(digits: &str, (from, to, lengths): &(u32, u32, &[usize])) -> bool {
    let written = from.ilog10() as usize + 1;
    let prefix = digits.bytes().take(written).fold(0, |prefix, digit| prefix * 10 + u32::from(digit - b'0'));
    (*from..=*to).contains(&prefix) && lengths.contains(&digits.len())
}

/// Whether the check digit is right: every second digit from the right is doubled, and the sum ends in zero.
fn luhn(digits: impl DoubleEndedIterator<Item = u8>) -> bool {
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(index, digit)| match (index % 2, u32::from(digit - b'0')) {
            (0, value) => value,
            (_, value) if value > 4 => value * 2 - 9,
            (_, value) => value * 2,
        })
        .sum();
    sum % 10 == 0
}

/// How many of the groups form a card number, as many as possible. `None` if none do.
pub(super) fn find(text: &str, groups: &[Group]) -> Option<usize> {
    let mut digits = String::new();
    let mut found = None;
    let mark = groups.get(1).and_then(|group| group.gap.plain());
    for (index, group) in groups.iter().enumerate() {
        let joined = index == 0 || matches!(mark, Some(Mark::Space | Mark::Dash)) && group.gap.plain() == mark;
        if !joined || group.len() < if index == 0 { 4 } else { 3 } {
            break;
        }
        digits.push_str(text.get(group.start..group.end).unwrap_or_default());
        if is_card_number(&digits) {
            found = Some(index + 1);
        }
    }
    found
}
