//! Collects one flow's text until it is a window.

use std::time::Duration;

use super::event::Said;
use super::written::Written;
use super::Limits;
use crate::guard::nested::{Nesting, Role};

/// The punctuation a sentence ends with; a line's end is one as well.
const SENTENCE_ENDS: [char; 8] = ['.', '!', '?', '\n', '…', '。', '！', '？'];
/// A longer number or word is cut, unless it is a small part of a large text.
const MAX_KEPT: usize = 64;

/// A text that waits for its check, or a part of it: its event, its index there, and its position in the window as
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) event: u64,
    pub(super) number: usize,
    pub(super) start: usize,
    /// Where in the text the part begins.
    pub(super) skipped: usize,
    pub(super) length: usize,
}

/// Why a window is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its flow has ended.
    End,
    /// It has waited long enough.
    Now,
    /// A sentence may have ended.
    Sentence,
    /// It has become too long.
    Full,
}

/// One flow's text since its last window, as written: escapes of nested JSON are decoded when it is cut.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// The end of earlier windows' text, then the new text.
    text: String,
    /// The reader's state at its beginning.
    nesting: Nesting,
    /// Where a separate text begins, which is read from the start.
    breaks: Vec<usize>,
    /// Where the new text begins.
    fresh: usize,
    /// The number of characters in the new text.
    characters: usize,
    pieces: Vec<Piece>,
    /// Whether the last text continues.
    open: bool,
    /// When the first part of the new text arrived.
    since: Option<Duration>,
    /// When the last part of it arrived.
    latest: Duration,
}

/// The content of a window.
#[derive(Debug)]
pub(super) struct Cut {
    /// The decoded text.
    pub(super) text: String,
    /// Where its new part begins.
    pub(super) fresh: usize,
    pub(super) written: Written,
    pub(super) pieces: Vec<Piece>,
    /// The event of a text that continues in the next window.
    pub(super) divided: Option<u64>,
}

impl Collected {
    /// Adds a text of this flow, or a part of one. `apart`: it is a separate text. `place`: the event that waits for
    /// it, and the text's index there.
    pub(super) fn add(&mut self, said: &Said, apart: bool, place: Option<(u64, usize)>, now: Duration) {
        let text = &said.text;
        self.since.get_or_insert(now);
        self.latest = now;
        self.open = !said.ends;
        if apart && said.begins && !self.text.is_empty() {
            self.text.push('\n');
            self.breaks.push(self.text.len());
        }
        let (start, length) = (self.text.len(), text.len());
        self.pieces.extend(place.map(|(event, number)| Piece { event, number, start, skipped: 0, length }));
        self.text.push_str(text);
        self.characters = self.characters.saturating_add(text.chars().count());
    }

    /// Whether there is enough text for a window.
    pub(super) fn is_full(&self, limits: &Limits) -> Option<Why> {
        let text = self.text.trim_end_matches([' ', '\t', '\r']);
        let ends = text.ends_with(SENTENCE_ENDS);
        if self.characters >= limits.window.max(1) && ends {
            return Some(Why::Sentence);
        }
        (self.characters >= limits.window.saturating_mul(2)).then_some(Why::Full)
    }

    /// When the text has waited long enough.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Duration> {
        self.since.map(|since| since.saturating_add(limits.delay))
    }

    /// Whether the last text continues.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Where the new text begins, as written.
    pub(super) fn fresh(&self) -> usize {
        self.fresh
    }

    /// The size of the new text in bytes.
    pub(super) fn len(&self) -> usize {
        self.text.len().saturating_sub(self.fresh)
    }

    /// Takes the new text out; `None` if there is none. The next window begins with the last `overlap` characters. Text
    /// that the next piece may continue stays: half an escape, a part of a JSON number, and for a text that has become
    /// too long, what may be half a number or half a name.
    pub(super) fn cut(&mut self, overlap: usize, why: Why) -> Option<Cut> {
        let since = self.since.take()?;
        let until = self.until(why);
        if until <= self.fresh && self.fresh < self.text.len() && why != Why::End {
            self.since = Some(since);
            return None;
        }
        let rest = self.text.split_off(until);
        let apart = self.breaks.last().copied().unwrap_or(0);
        let written = Written::new(self.nesting, std::mem::take(&mut self.text), std::mem::take(&mut self.breaks));
        let (text, fresh) = written.view(self.fresh);
        let kept = match (overlap, why) {
            (0, _) | (_, Why::End) => until,
            _ => written.text().char_indices().rev().nth(overlap - 1).map_or(0, |(at, _)| at).max(apart),
        };
        let (kept, nesting) = written.state_before(kept);
        let before = written.text().get(kept..).unwrap_or_default();
        self.text = [before, &rest].concat();
        self.nesting = nesting;
        self.fresh = before.len();
        self.characters = rest.chars().count();
        self.since = (!rest.is_empty()).then_some(self.latest);
        let (mut pieces, mut divided) = (Vec::new(), None);
        for piece in std::mem::take(&mut self.pieces) {
            let first = until.saturating_sub(piece.start).min(piece.length);
            if first > 0 || piece.length == 0 {
                pieces.push(Piece { length: first, ..piece });
            }
            if first < piece.length {
                let (start, skipped) = (piece.start + first - kept, piece.skipped + first);
                self.pieces.push(Piece { start, skipped, length: piece.length - first, ..piece });
                divided = divided.or((first > 0).then_some(piece.event));
            }
        }
        Some(Cut { text, fresh, written, pieces, divided })
    }

    /// How far the text can be read now.
    fn until(&self, why: Why) -> usize {
        if why == Why::End {
            return self.text.len();
        }
        let from = self.breaks.last().copied().unwrap_or(0);
        let mut nesting = if self.breaks.is_empty() { self.nesting } else { Nesting::default() };
        let mut number = None;
        let complete = nesting.walk(self.text.get(from..).unwrap_or_default(), false, |unit| match unit.role {
            Role::Number => {
                number.get_or_insert(unit.source.start);
            }
            Role::Text | Role::Structure => number = None,
        });
        let until = from + number.filter(|start| complete - start <= MAX_KEPT).unwrap_or(complete);
        let kept = match why {
            Why::Full => half_a_word(self.text.get(self.fresh..until).unwrap_or_default()),
            // no sentence ends inside an address or a number
            Why::Sentence if self.text.ends_with('.') => {
                let new = self.text.get(self.fresh..until).unwrap_or_default();
                let kept = half_a_word(new);
                let word = new.get(new.len() - kept..).unwrap_or_default();
                if word.contains(|next: char| matches!(next, '@' | '&') || next.is_ascii_digit()) {
                    kept
                } else {
                    0
                }
            }
            Why::Sentence | Why::Now | Why::End => 0,
        };
        if kept == 0 || until - kept < from {
            return until;
        }
        // not inside an escape
        let mut nesting = if self.breaks.is_empty() { self.nesting } else { Nesting::default() };
        from + nesting.walk(self.text.get(from..until - kept).unwrap_or_default(), false, |_| ())
    }
}

/// How much of the end of a text may be half a number or half a name.
fn half_a_word(text: &str) -> usize {
    let run =
        |belongs: fn(char) -> bool| text.chars().rev().take_while(|next| belongs(*next)).map(char::len_utf8).sum();
    let number: usize = run(|next| next.is_ascii_digit() || matches!(next, ' ' | '-' | '.' | '(' | ')' | '/' | '+'));
    // `;` ends a reference of HTML, as in `mario&#64;example.com`
    let word: usize =
        run(|next| !next.is_whitespace() && !matches!(next, '"' | '{' | '}' | '[' | ']' | ',' | '<' | '>'));
    let length = number.max(word);
    if length <= MAX_KEPT.max(text.len() / 8) && length < text.len() {
        length
    } else {
        0
    }
}
