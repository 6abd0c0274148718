//! Findings that consist of digits: each group of digits may begin a card number, an account, an address, ...

use std::ops::Range;

use super::entity::{Entities, Entity};
use super::groups::{Group, Groups, Mark};
use super::phone::Phone;
use super::surroundings::{byte, byte_before, joined_after, joined_before, word_after, word_before};
use super::{bank, card, ip, phone};

/// The entities that are found here; IPv6 addresses are not.
pub(super) const ENTITIES: &[Entity] =
    &[Entity::PhoneNumber, Entity::CreditCard, Entity::IbanCode, Entity::IpAddress, Entity::UsSsn];

/// A finding that consists of digits.
struct Number {
    entity: Entity,
    span: Range<usize>,
    score: f32,
}

impl Number {
    fn new(entity: Entity, span: Range<usize>, score: f32) -> Option<Self> {
        Some(Number { entity, span, score })
    }
}

/// Calls `found` for each number in `wanted`. Other kinds are recognised too: a card number is not a telephone number,
/// even if cards are not wanted. At each group, at most the longest number's length is read.
pub(super) fn scan(text: &str, wanted: Entities, mut found: impl FnMut(Entity, Range<usize>, f32)) {
    let bytes = text.as_bytes();
    let mut groups = Groups::default();
    let mut at = 0;
    while let Some(distance) = bytes.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
        let start = at + distance;
        match number(text, start, &mut groups) {
            Some(number) => {
                at = number.span.end.max(start + 1);
                if wanted.has(number.entity) {
                    found(number.entity, number.span, number.score);
                }
            }
            None => {
                let rest = bytes.get(start..).unwrap_or_default();
                at = start + rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
            }
        }
    }
}

/// The number that begins with the group at `start`.
fn number(text: &str, start: usize, groups: &mut Groups) -> Option<Number> {
    let bytes = text.as_bytes();
    if word_before(text, start) {
        let letters = start.checked_sub(2)?;
        return bank::find(text, letters).and_then(|end| Number::new(Entity::IbanCode, letters..end, 1.0));
    }
    if let Some(end) = ip::v4(text, start) {
        return Number::new(Entity::IpAddress, start..end, 0.9);
    }
    if joined_before(bytes, start, b".,-") {
        return None; // the rest of a longer number, so not the start of a telephone number either
    }
    let groups = groups.read(bytes, start);
    // a number with a plus is a telephone number
    if let Some(end) = card_end(text, groups).filter(|_| byte_before(bytes, start) != b'+') {
        return Number::new(Entity::CreditCard, start..end, 1.0);
    }
    if let Some((end, score)) = social_security(text, start, groups) {
        return Number::new(Entity::UsSsn, start..end, score);
    }
    let Phone { start, end, score } = phone::find(text, groups)?;
    Number::new(Entity::PhoneNumber, start..end, score)
}

/// The end of the card number that begins with the groups.
fn card_end(text: &str, groups: &[Group]) -> Option<usize> {
    let count = card::find(text, groups)?;
    let end = groups.get(count.checked_sub(1)?)?.end;
    (!word_after(text, end) && !joined_after(text.as_bytes(), end, b".-")).then_some(end)
}

/// `123-45-6789`: its end, and its score. Numbers that were never issued do not count.
fn social_security(text: &str, start: usize, groups: &[Group]) -> Option<(usize, f32)> {
    let [area, group, serial, ..] = groups else {
        return None;
    };
    let mark = group.gap.plain().filter(|mark| serial.gap.plain() == Some(*mark))?;
    let score = match mark {
        Mark::Dash => 0.85,
        Mark::Space | Mark::Dot => 0.5,
        Mark::None | Mark::Slash => return None,
    };
    let bytes = text.as_bytes();
    let written = |group: &Group| text.get(group.start..group.end).unwrap_or_default();
    let given = (area.len(), group.len(), serial.len()) == (3, 2, 4)
        && !matches!(written(area), "000" | "666")
        && byte(bytes, area.start) != b'9'
        && written(group) != "00"
        && written(serial) != "0000";
    let longer = groups.get(3).is_some_and(|next| next.gap.plain() == Some(mark))
        || mark == Mark::Space && joined_before(bytes, start, b" ")
        || matches!(byte_before(bytes, start), b'+' | b'(' if mark != Mark::Dash);
    (given && !longer && !word_after(text, serial.end) && !joined_after(bytes, serial.end, b".-"))
        .then_some((serial.end, score))
}
