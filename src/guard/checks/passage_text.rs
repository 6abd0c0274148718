//! The texts of a check run.

use std::fmt;

use crate::guard::texts::{Passage, PassageKind};
use crate::guard::Speaker;

/// A text with its role.
#[derive(Clone, PartialEq, Eq)]
pub struct PassageText {
    /// The role.
    pub speaker: Speaker,
    /// The text.
    pub text: String,
    /// Whether it must not be rewritten.
    pub signed: bool,
    /// Whether it repeats a text of the request: then it is not checked.
    pub given: bool,
    /// Where its new part begins, in bytes: what is before has been checked and shown.
    pub fresh: usize,
}

impl PassageText {
    /// A passage's text.
    pub fn of(passage: &Passage) -> Self {
        let Passage { speaker, kind, text, .. } = passage;
        PassageText {
            speaker: *speaker,
            text: text.clone(),
            signed: *kind == PassageKind::Signed,
            given: *kind == PassageKind::Given,
            fresh: 0,
        }
    }
}

impl fmt::Debug for PassageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PassageText({:?}, {} bytes)", self.speaker, self.text.len())
    }
}
