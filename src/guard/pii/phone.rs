//! Telephone numbers, by their written forms.

use super::context;
use super::groups::{Group, Mark};
use super::surroundings::{byte, byte_before, joined_after, joined_before, word_after, word_before};

/// The minimum and maximum number of digits with a country code (E.164).
const INTERNATIONAL: std::ops::RangeInclusive<usize> = 7..=15;
/// The minimum without gaps: `+1000000` is more likely an amount.
const LEAST_UNBROKEN: usize = 8;
/// The minimum and maximum number of digits with an area code.
const NATIONAL: std::ops::RangeInclusive<usize> = 9..=12;
/// The minimum and maximum number of digits if the words before indicate a telephone number.
const ANNOUNCED: std::ops::RangeInclusive<usize> = 7..=12;

/// A telephone number: its end and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Phone {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) score: f32,
}

/// Groups that may be a telephone number, and the text around them.
#[derive(Clone, Copy, Debug)]
struct Candidate<'a> {
    text: &'a str,
    /// The start, including the `+` or the parenthesis.
    start: usize,
    groups: &'a [Group],
    /// Whether it starts with a parenthesis.
    open: bool,
}

/// The telephone number that begins with `groups`, or with the `+` or the parenthesis before them.
pub(super) fn find(text: &str, groups: &[Group]) -> Option<Phone> {
    let bytes = text.as_bytes();
    let digit = groups.first()?.start;
    let open = byte_before(bytes, digit) == b'(';
    let start = digit - usize::from(open);
    let plus = byte_before(bytes, start) == b'+';
    let candidate = Candidate { text, start: start - usize::from(plus), groups, open };
    if !candidate.begins() {
        return None;
    }
    let phone = |score| move |end| Phone { start: candidate.start, end, score };
    if plus {
        return candidate.international(0).map(phone(0.9));
    }
    let double_zero = byte(bytes, digit) == b'0' && byte(bytes, digit + 1) == b'0';
    if double_zero {
        return candidate.international(2).map(phone(0.7));
    }
    let forms = [Candidate::american, Candidate::in_parentheses, Candidate::with_trunk_zero, Candidate::mobile];
    let national = forms.iter().find_map(|form| form(&candidate)).map(phone(0.7));
    national.or_else(|| candidate.announced().map(phone(0.6)))
}

impl Candidate<'_> {
    /// Whether it is not the rest of something longer.
    fn begins(&self) -> bool {
        let bytes = self.text.as_bytes();
        !word_before(self.text, self.start)
            && !joined_before(bytes, self.start, b".,-/:+*")
            && match byte_before(bytes, self.start) {
                b'$' | b'#' | b'+' => false,
                // the value of a setting, or of a URL parameter
                b'=' => byte(bytes, self.start) == b'+' || context::is_phone(self.text, self.start),
                _ => true,
            }
    }

    /// The end of the first `count` groups, if they are not the start of something longer.
    fn end(&self, count: usize) -> Option<usize> {
        let end = self.groups.get(count.checked_sub(1)?)?.end;
        let bytes = self.text.as_bytes();
        let extension = byte(bytes, end) == b'x' && byte(bytes, end + 1).is_ascii_digit();
        let ends = !word_after(self.text, end) || extension;
        (ends && !joined_after(bytes, end, b".,:*") && byte(bytes, end) != b'%').then_some(end)
    }

    /// The same, if a hyphen and more digits mean another number.
    fn strict_end(&self, count: usize) -> Option<usize> {
        self.end(count).filter(|end| !joined_after(self.text.as_bytes(), *end, b"-/"))
    }

    fn length(&self, index: usize) -> usize {
        self.groups.get(index).map_or(0, Group::len)
    }

    fn total(&self, count: usize) -> usize {
        self.groups.iter().take(count).map(Group::len).sum()
    }

    /// The digit at `place` of the group at `index`.
    fn digit(&self, index: usize, place: usize) -> u8 {
        let group = self.groups.get(index).filter(|group| place < group.len());
        group.map_or(0, |group| byte(self.text.as_bytes(), group.start + place))
    }

    /// The mark before the group at `index`, if it is alone.
    fn mark(&self, index: usize) -> Option<Mark> {
        self.groups.get(index).and_then(|group| group.gap.plain())
    }

    /// `+49 (0)30 123456`, `0049 30 123456`; `prefix`: the zeros in front.
    fn international(&self, prefix: usize) -> Option<usize> {
        if !matches!(self.digit(0, prefix), b'1'..=b'9') {
            return None;
        }
        let fits = |count: &usize| {
            let digits = self.total(*count) - prefix;
            // without `+` and gaps, it may be a number padded with zeros
            let least = if *count > 1 { *INTERNATIONAL.start() } else { LEAST_UNBROKEN + prefix };
            (least..=*INTERNATIONAL.end()).contains(&digits)
        };
        let american = |count: &usize| self.digit(0, prefix) == b'1' && self.total(*count) - prefix == 11;
        let counts = || (1..=self.groups.len()).rev().filter(fits);
        let american = counts().filter(american).find_map(|count| self.end(count));
        american.or_else(|| counts().find_map(|count| self.end(count)))
    }

    /// `(212) 555-0123`, `212-555-0123`, `1-212-555-0123`, `212.555.0123`.
    fn american(&self) -> Option<usize> {
        let country = usize::from(self.length(0) == 1 && self.digit(0, 0) == b'1');
        let lengths = [3, 3, 4].iter().enumerate().all(|(index, length)| self.length(country + index) == *length);
        let begins = |index| matches!(self.digit(country + index, 0), b'2'..=b'9');
        (lengths && begins(0) && begins(1)).then(|| self.strict_end(country + 3))?
    }

    /// `(030) 1234567`, `(11) 91234-5678`.
    fn in_parentheses(&self) -> Option<usize> {
        let closes = self.groups.get(1).is_some_and(|group| group.gap.closes && !group.gap.opens);
        if !self.open || !closes || !(2..=5).contains(&self.length(0)) {
            return None;
        }
        let fits =
            |count: &usize| NATIONAL.contains(&self.total(*count)) && (1..*count).all(|index| self.length(index) > 1);
        (2..=4).rev().filter(fits).find_map(|count| self.strict_end(count))
    }

    /// `030 1234567`, `0171/1234567`, `020 7946 0958`, `01 42 68 53 00`: with the zero that is dialled before an area
    /// code.
    fn with_trunk_zero(&self) -> Option<usize> {
        let zero = self.digit(0, 0) == b'0' && matches!(self.digit(0, 1), b'1'..=b'9');
        if !zero || !(2..=6).contains(&self.length(0)) || self.open {
            return None;
        }
        let pairs = self.length(0) == 2 && self.length(1) == 2;
        if pairs && joined_before(self.text.as_bytes(), self.start, b" ") {
            return None; // a list of two-digit numbers
        }
        let fits = |count: &usize| {
            let marks = (1..*count).all(|index| match self.mark(index) {
                Some(Mark::Space | Mark::Dash | Mark::Dot) => true,
                Some(Mark::Slash) => index == 1 && self.length(0) > 2,
                Some(Mark::None) | None => false,
            });
            let rest = (1..*count).all(|index| match (pairs, self.length(0)) {
                (true, _) => self.length(index) == 2 && self.mark(index) == self.mark(1),
                (false, 2) => self.length(index) > 2,
                (false, _) => self.length(index) > 1,
            });
            let total = self.total(*count);
            marks && rest && if pairs { total == 10 } else { NATIONAL.contains(&total) }
        };
        (2..=6).rev().filter(fits).find_map(|count| match self.mark(count) {
            Some(_) if pairs => None, // the same
            Some(_) | None => self.strict_end(count),
        })
    }

    /// `98765 43210` (India), `138 0013 8000` (China).
    fn mobile(&self) -> Option<usize> {
        let plain = |index| matches!(self.mark(index), Some(Mark::Space | Mark::Dash));
        let indian = self.length(0) == 5 && self.length(1) == 5 && matches!(self.digit(0, 0), b'6'..=b'9') && plain(1);
        let chinese = [3, 4, 4].iter().enumerate().all(|(index, length)| self.length(index) == *length)
            && (self.digit(0, 0), plain(1), plain(2)) == (b'1', true, true)
            && matches!(self.digit(0, 1), b'3'..=b'9');
        match (indian, chinese) {
            (true, _) => self.strict_end(2),
            (false, true) => self.strict_end(3),
            (false, false) => None,
        }
    }

    /// `call me at 5550123`: any grouping, since the words show that it is one.
    fn announced(&self) -> Option<usize> {
        let fits = |count: &usize| ANNOUNCED.contains(&self.total(*count));
        let mut counts = (1..=self.groups.len().min(5)).rev().filter(fits).peekable();
        counts.peek()?;
        if self.is_date() || !context::is_phone(self.text, self.start) {
            return None;
        }
        counts.find_map(|count| self.strict_end(count))
    }

    /// `2024-01-31`, `31.01.2024`.
    fn is_date(&self) -> bool {
        let same = self.mark(1) == self.mark(2) && matches!(self.mark(1), Some(Mark::Dash | Mark::Dot | Mark::Slash));
        let lengths = (self.length(0), self.length(1), self.length(2));
        same && matches!(lengths, (4, 1 | 2, 1 | 2) | (1 | 2, 1 | 2, 2 | 4))
    }
}
