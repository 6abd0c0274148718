//! Groups of digits, in which people write long numbers: `4111 1111 1111 1111`, `(0)30/12-34`.

use super::surroundings::byte;

/// The maximum number of groups in a number.
pub(super) const MAX_GROUPS: usize = 10;
/// The maximum number of digits in a number.
pub(super) const MAX_DIGITS: usize = 19;

/// The separator of two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Only a parenthesis.
    None,
    /// A space, breaking or not.
    Space,
    /// A hyphen or a dash.
    Dash,
    Dot,
    Slash,
}

/// The text between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) mark: Mark,
    /// A parenthesis closes before the mark.
    pub(super) closes: bool,
    /// A parenthesis opens after the mark.
    pub(super) opens: bool,
}

impl Gap {
    /// The mark, if it is alone.
    pub(super) fn plain(self) -> Option<Mark> {
        (!self.closes && !self.opens).then_some(self.mark)
    }
}

/// A group, and the gap before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) gap: Gap,
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }
}

const NO_GAP: Gap = Gap { mark: Mark::None, closes: false, opens: false };

/// The groups that one number can have, starting at some group. Most of the next number's groups are already known
/// then.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// The index of the first one that counts.
    first: usize,
    /// The position to read on from, and the gap before it; `None` if no group follows.
    next: Option<(usize, Gap)>,
}

/// This many groups that no longer count are kept, instead of moving the rest after each one.
const MAX_PASSED: usize = 64;

impl Groups {
    /// The groups from the digit at `start` on, as many as one number can have. A group with more digits than a number
    /// ends them; so does the one that would make them too many. Must be called for one group after another.
    pub(super) fn read(&mut self, bytes: &[u8], start: usize) -> &[Group] {
        let known = self.groups.get(self.first..).unwrap_or_default().iter().position(|group| group.start == start);
        match known {
            Some(place) if self.first + place < MAX_PASSED => self.first += place,
            Some(_) | None => {
                self.groups.clear();
                self.first = 0;
                self.next = Some((start, NO_GAP));
            }
        }
        if let Some(first) = self.groups.get_mut(self.first) {
            first.gap = NO_GAP;
        }
        let mut total: usize = self.groups.get(self.first..).unwrap_or_default().iter().map(Group::len).sum();
        while let Some((at, gap)) = self.next.filter(|_| self.groups.len() < self.first + MAX_GROUPS) {
            let digits = (at..at + MAX_DIGITS + 1).take_while(|at| byte(bytes, *at).is_ascii_digit()).count();
            total += digits;
            if digits == 0 || total > MAX_DIGITS {
                break;
            }
            let end = at + digits;
            self.groups.push(Group { start: at, end, gap });
            let (length, gap) = read_gap(bytes, end);
            self.next = (length > 0).then_some((end + length, gap));
        }
        self.groups.get(self.first..).unwrap_or_default()
    }
}

/// The gap at `at`, and its length; zero if there is none.
fn read_gap(bytes: &[u8], at: usize) -> (usize, Gap) {
    let closes = byte(bytes, at) == b')';
    let (length, mark) = read_mark(bytes, at + usize::from(closes));
    let end = at + usize::from(closes) + length;
    let opens = byte(bytes, end) == b'(';
    (end + usize::from(opens) - at, Gap { mark, closes, opens })
}

/// The mark at `at`, and its length. Text copied from web pages has no-break spaces and dashes.
pub(super) fn read_mark(bytes: &[u8], at: usize) -> (usize, Mark) {
    match (byte(bytes, at), byte(bytes, at + 1), byte(bytes, at + 2)) {
        (b' ', _, _) => (1, Mark::Space),
        (b'-', _, _) => (1, Mark::Dash),
        (b'.', _, _) => (1, Mark::Dot),
        (b'/', _, _) => (1, Mark::Slash),
        (0xc2, 0xa0, _) => (2, Mark::Space),
        (0xe2, 0x80, 0x87 | 0x89 | 0xaf) => (3, Mark::Space),
        (0xe2, 0x80, 0x90..=0x93) => (3, Mark::Dash),
        _ => (0, Mark::None),
    }
}
