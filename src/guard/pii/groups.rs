//! Groups of digits, as people write long numbers: `4111 1111 1111 1111`, `(0)30/12-34`.

use super::surroundings::byte;

/// The most groups of one number.
pub(super) const MAX_GROUPS: usize = 10;
/// The most digits of one number.
pub(super) const MAX_DIGITS: usize = 19;

/// What separates two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A parenthesis alone.
    None,
    /// A space, breaking or not.
    Space,
    /// A hyphen or a dash.
    Dash,
    Dot,
    Slash,
}

/// What stands between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) mark: Mark,
    /// A parenthesis closes before the mark.
    pub(super) closes: bool,
    /// A parenthesis opens after the mark.
    pub(super) opens: bool,
}

impl Gap {
    /// The mark, if it stands there alone.
    pub(super) fn plain(self) -> Option<Mark> {
        (!self.closes && !self.opens).then_some(self.mark)
    }
}

/// A group, and what stands before it.
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

/// Reads the groups from the digit at `start` on, as many as one number can have. A group with more digits than a
/// number has is none; so is the one that would make them too many.
pub(super) fn read(bytes: &[u8], start: usize, groups: &mut Vec<Group>) {
    groups.clear();
    let (mut at, mut gap, mut total) = (start, NO_GAP, 0);
    while groups.len() < MAX_GROUPS {
        let digits = (at..at + MAX_DIGITS + 1).take_while(|at| byte(bytes, *at).is_ascii_digit()).count();
        total += digits;
        if digits == 0 || total > MAX_DIGITS {
            return;
        }
        groups.push(Group { start: at, end: at + digits, gap });
        at += digits;
        let (length, next) = read_gap(bytes, at);
        if length == 0 {
            return;
        }
        at += length;
        gap = next;
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

/// The mark at `at`, and its length. Text that was copied from a page has no-break spaces and dashes.
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
