//! The decoded view of a text.

use super::{boundary, Nesting};
use crate::guard::work::Work;

/// A text with the escapes in its documents' strings decoded; `None` if that changes nothing.
///
/// ```
/// use sluice::guard::nested::view;
///
/// let text = r#"{"body": "Hello,\nmario@example.com", "raw": "{\"a\": \"x\\ny\"}"}"#;
/// let want = "{\"body\": \"Hello,\nmario@example.com\", \"raw\": \"{\"a\": \"x\ny\"}\"}";
/// assert_eq!(view(text).as_deref(), Some(want));
/// assert_eq!(view(r"a\nb"), None, "no JSON");
/// ```
pub fn view(text: &str) -> Option<String> {
    let mut viewing = Viewing::default();
    viewing.step(text, &mut Work::new(usize::MAX));
    viewing.finish(text)
}

/// [`view`] of a complete text in parts, so that other work can run in between.
#[derive(Debug, Default)]
pub(in crate::guard) struct Viewing {
    nesting: Nesting,
    /// The position of the reader.
    read: usize,
    view: String,
}

impl Viewing {
    /// Goes on; the text must be the same each time. Returns whether it has been read.
    pub fn step(&mut self, text: &str, work: &mut Work) -> bool {
        // inside a string, JSON need not look like JSON
        if self.read == 0 && memchr::memchr(b'\\', text.as_bytes()).is_none() {
            self.read = text.len();
        } else if self.read == 0 {
            self.view.reserve_exact(text.len());
        }
        while self.read < text.len() && work.is_left() {
            let start = self.read;
            let mut size = work.left();
            // a part may not even be a complete escape
            while self.read == start {
                let end = boundary(text, start.saturating_add(size));
                let last = end == text.len();
                let part = text.get(start..end).unwrap_or_default();
                let read = self.nesting.walk(part, last, |unit| self.view.push_str(unit.text));
                self.read = if last { end } else { start + read };
                size = size.saturating_add(size);
            }
            work.spend(self.read - start);
        }
        self.read == text.len()
    }

    /// The view, after the last step; `None` if it is the text itself.
    pub fn finish(mut self, text: &str) -> Option<String> {
        if self.view.is_empty() || self.view == text {
            return None;
        }
        self.view.shrink_to_fit();
        Some(self.view)
    }
}
