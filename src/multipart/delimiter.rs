//! The lines between a form's parts.

use memchr::{memchr, memmem};

/// The most white space after a boundary.
const MAX_PADDING: usize = 64;

/// A line that begins with the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiter {
    /// The end of what stands before it, without the line end that belongs to it.
    pub content: usize,
    /// Where the next line begins.
    pub next: usize,
    /// Whether it is the last one.
    pub last: bool,
    /// Whether the line end before it is CRLF; `None`: there is none.
    pub before: Option<bool>,
    /// Whether its own line end is CRLF; `None`: the body ends with it.
    pub after: Option<bool>,
}

/// The result of looking for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is one.
    Delimiter(Delimiter),
    /// There is none; one may begin at this position.
    None { from: usize },
    /// A line begins like one, and is none.
    Malformed,
}

/// Looks for a delimiter. `fresh`: a line begins at the start of `bytes`; `end`: nothing follows. Some servers find one in
/// the middle of a line, too, so it may not stand there.
pub(super) fn find(delimiter: &[u8], bytes: &[u8], fresh: bool, end: bool) -> Found {
    if let Some(at) = memmem::find(bytes, delimiter) {
        let begins_line = at.checked_sub(1).map_or(fresh, |before| bytes.get(before) == Some(&b'\n'));
        return if begins_line { find_line(delimiter, bytes, fresh, end) } else { Found::Malformed };
    }
    match find_line(delimiter, bytes, fresh, end) {
        // its first bytes may be there, and the line end before it
        Found::None { from } if !end => Found::None { from: from.min(bytes.len().saturating_sub(delimiter.len() + 1)) },
        found => found,
    }
}

fn find_line(delimiter: &[u8], bytes: &[u8], fresh: bool, end: bool) -> Found {
    let mut line = if fresh { Some(0) } else { next_line(bytes, 0) };
    while let Some(start) = line {
        let rest = bytes.get(start..).unwrap_or_default();
        let (content, before) = line_end(bytes, start);
        if rest.len() < delimiter.len() {
            return match delimiter.starts_with(rest) && !end {
                true => Found::None { from: content },
                false => match next_line(bytes, start) {
                    Some(next) => {
                        line = Some(next);
                        continue;
                    }
                    None => Found::None { from: tail(bytes, end) },
                },
            };
        }
        if rest.starts_with(delimiter) {
            return match read(rest.get(delimiter.len()..).unwrap_or_default(), end) {
                Some(Some((length, last, after))) => {
                    let next = start + delimiter.len() + length;
                    Found::Delimiter(Delimiter { content, next, last, before, after })
                }
                Some(None) => Found::None { from: content },
                None => Found::Malformed,
            };
        }
        line = next_line(bytes, start);
    }
    Found::None { from: tail(bytes, end) }
}

/// Where a delimiter may begin whose first bytes have not all arrived: at a CR.
fn tail(bytes: &[u8], end: bool) -> usize {
    bytes.len() - usize::from(!end && bytes.ends_with(b"\r"))
}

fn next_line(bytes: &[u8], from: usize) -> Option<usize> {
    Some(from + memchr(b'\n', bytes.get(from..)?)? + 1)
}

/// Where the line end before a line begins, and whether it is CRLF.
fn line_end(bytes: &[u8], line: usize) -> (usize, Option<bool>) {
    let Some(feed) = line.checked_sub(1) else {
        return (0, None);
    };
    match feed.checked_sub(1).filter(|at| bytes.get(*at) == Some(&b'\r')) {
        Some(at) => (at, Some(true)),
        None => (feed, Some(false)),
    }
}

/// The rest of a delimiter's line: its length, whether it is the last delimiter, and whether it ends in CRLF.
/// `Some(None)`: more must arrive; `None`: it is not valid.
#[allow(clippy::type_complexity, clippy::option_option)]
fn read(rest: &[u8], end: bool) -> Option<Option<(usize, bool, Option<bool>)>> {
    let last = rest.starts_with(b"--");
    if !end && rest == b"-" {
        return Some(None);
    }
    let mut at = if last { 2 } else { 0 };
    let padding = rest.get(at..)?.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    at += padding;
    if padding > MAX_PADDING {
        return None;
    }
    match (rest.get(at), rest.get(at + 1)) {
        (Some(b'\n'), _) => Some(Some((at + 1, last, Some(false)))),
        (Some(b'\r'), Some(b'\n')) => Some(Some((at + 2, last, Some(true)))),
        (None, _) if end && last => Some(Some((at, last, None))),
        (None | Some(b'\r'), None) if !end => Some(None),
        _ => None,
    }
}
