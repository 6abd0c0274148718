//! What is collected of one flow until it is a window.

use std::time::Duration;

use super::Limits;

/// The punctuation a sentence ends with; a line's end is one as well.
const SENTENCE_ENDS: [char; 8] = ['.', '!', '?', '\n', '…', '。', '！', '？'];

/// A text that waits for its check, by its event and its number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) event: u64,
    pub(super) number: usize,
    /// Where it begins in the window's text.
    pub(super) start: usize,
}

/// One flow's text since its last window.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// The end of what was in earlier windows, then the new text.
    text: String,
    /// Where the new text begins.
    fresh: usize,
    /// The characters of the new text.
    characters: usize,
    pieces: Vec<Piece>,
    /// When the first of the new text came.
    since: Option<Duration>,
}

/// What a window is made of.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) text: String,
    pub(super) fresh: usize,
    pub(super) pieces: Vec<Piece>,
}

impl Collected {
    /// Another text of this flow. `apart`: it is a text of its own. `place`: the event that waits for it, and which
    /// of its texts it is.
    pub(super) fn add(&mut self, text: &str, apart: bool, place: Option<(u64, usize)>, now: Duration) {
        self.since.get_or_insert(now);
        if apart && !self.text.is_empty() {
            self.text.push('\n');
        }
        self.pieces.extend(place.map(|(event, number)| Piece { event, number, start: self.text.len() }));
        self.text.push_str(text);
        self.characters = self.characters.saturating_add(text.chars().count());
    }

    /// Whether there is enough for a window.
    pub(super) fn is_full(&self, limits: &Limits) -> bool {
        let text = self.text.trim_end_matches([' ', '\t', '\r']);
        let ends = text.ends_with(SENTENCE_ENDS);
        self.characters >= limits.window.saturating_mul(2) || self.characters >= limits.window.max(1) && ends
    }

    /// When the text has waited long enough.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Duration> {
        self.since.map(|since| since.saturating_add(limits.delay))
    }

    /// The bytes of new text.
    pub(super) fn len(&self) -> usize {
        self.text.len().saturating_sub(self.fresh)
    }

    /// Takes the new text out; `None` if there is none. The next window begins with the last `overlap` characters.
    pub(super) fn cut(&mut self, overlap: usize) -> Option<Cut> {
        self.since.take()?;
        let kept = match overlap {
            0 => self.text.len(),
            _ => self.text.char_indices().rev().nth(overlap - 1).map_or(0, |(at, _)| at),
        };
        let before = self.text.get(kept..).unwrap_or_default().to_owned();
        let fresh = std::mem::replace(&mut self.fresh, before.len());
        let text = std::mem::replace(&mut self.text, before);
        self.characters = 0;
        Some(Cut { text, fresh, pieces: std::mem::take(&mut self.pieces) })
    }
}
