//! Brings the originals back where a text has their placeholders.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use memchr::{memchr2, memchr2_iter};

use crate::json::write_string;

use super::vault::MAX_PLACEHOLDER;

/// How the brackets may be written.
const BRACKETS: [(&str, &str); 2] = [("<", ">"), ("&lt;", "&gt;")];

/// The values, by their placeholders without the brackets.
#[derive(Clone, Default)]
pub(super) struct Originals(BTreeMap<String, Arc<str>>);

/// What stands where a placeholder may begin.
enum Sight<'a> {
    /// One that is this long, and the value that it stands for.
    Placeholder(usize, &'a str),
    /// The beginning of one; the text ends within it.
    Beginning,
    Nothing,
}

impl Originals {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn insert(&mut self, name: String, value: Arc<str>) {
        self.0.insert(name, value);
    }

    /// The same values as they are written within JSON strings.
    pub(super) fn escaped(&self) -> Originals {
        let escaped = |value: &str| {
            let mut json = String::with_capacity(value.len() + 2);
            write_string(&mut json, value);
            Arc::from(json.get(1..json.len() - 1).unwrap_or_default())
        };
        Originals(self.0.iter().map(|(name, value)| (name.clone(), escaped(value))).collect())
    }

    pub(super) fn restore<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut out = String::new();
        let done = self.copy(text, &mut out);
        let rest = text.get(done..).unwrap_or_default();
        if out.len() == done && text.starts_with(&out) {
            return Cow::Borrowed(text);
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// Writes the text restored to `out`, up to where it ends with the beginning of a placeholder; says where that is.
    fn copy(&self, text: &str, out: &mut String) -> usize {
        if self.0.is_empty() {
            out.push_str(text);
            return text.len();
        }
        let (mut copied, mut from) = (0, 0);
        while let Some(distance) = text.as_bytes().get(from..).and_then(|rest| memchr2(b'<', b'&', rest)) {
            let at = from + distance;
            match self.sight(text.get(at..).unwrap_or_default()) {
                Sight::Placeholder(length, value) => {
                    out.push_str(text.get(copied..at).unwrap_or_default());
                    out.push_str(value);
                    from = at + length;
                    copied = from;
                }
                Sight::Beginning => {
                    out.push_str(text.get(copied..at).unwrap_or_default());
                    return at;
                }
                Sight::Nothing => from = at + 1,
            }
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        text.len()
    }

    /// What begins with the `<` or `&` in front.
    fn sight(&self, text: &str) -> Sight<'_> {
        for (open, close) in BRACKETS {
            let Some(inner) = text.strip_prefix(open) else {
                if open.starts_with(text) {
                    return Sight::Beginning;
                }
                continue;
            };
            let name = leading_name(inner);
            let after = inner.get(name.len()..).unwrap_or_default();
            if after.is_empty() && self.has_beginning(name) {
                return Sight::Beginning;
            }
            let Some(value) = self.0.get(name) else {
                return Sight::Nothing;
            };
            if after.starts_with(close) {
                return Sight::Placeholder(open.len() + name.len() + close.len(), value);
            }
            return if close.starts_with(after) { Sight::Beginning } else { Sight::Nothing };
        }
        Sight::Nothing
    }

    /// Whether a name begins so, or is this.
    fn has_beginning(&self, beginning: &str) -> bool {
        let from = (Bound::Included(beginning), Bound::Unbounded);
        self.0.range::<str, _>(from).next().is_some_and(|(name, _)| name.starts_with(beginning))
    }
}

/// What may be a name at the beginning of a text; no longer than a placeholder.
fn leading_name(text: &str) -> &str {
    let is_name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let length = text.bytes().take(MAX_PLACEHOLDER).take_while(is_name).count();
    text.get(..length).unwrap_or_default()
}

/// The names of all that looks like a placeholder, whoever wrote it.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    memchr2_iter(b'<', b'&', text.as_bytes()).filter_map(|at| {
        let text = text.get(at..)?;
        BRACKETS.iter().find_map(|(open, close)| {
            let inner = text.strip_prefix(open)?;
            let name = leading_name(inner);
            inner.get(name.len()..)?.starts_with(close).then_some(name)
        })
    })
}

/// Restores a text that comes in pieces: what it holds back is the beginning of a placeholder, and nothing else.
///
/// ```
/// use sluice::guard::pii::{Entity, Patterns, Vault};
///
/// let mut vault = Vault::default();
/// let text = "jo@example.com";
/// vault.hide(text, &Patterns::new(Entity::ALL, &[]).unwrap().find(text)).unwrap();
///
/// let mut restorer = vault.restorer();
/// assert_eq!(restorer.push("a < b, <EMAIL_"), "a < b, ");
/// assert_eq!(restorer.push("ADDRESS_1> <"), "jo@example.com ");
/// assert_eq!(restorer.finish(), "<");
/// ```
#[derive(Clone)]
pub struct Restorer {
    originals: Arc<Originals>,
    held: String,
}

impl Restorer {
    pub(super) fn new(originals: Arc<Originals>) -> Self {
        Restorer { originals, held: String::new() }
    }

    /// The next piece of the text; what can be let go, restored.
    pub fn push(&mut self, piece: &str) -> String {
        let mut out = String::with_capacity(self.held.len() + piece.len());
        if self.held.is_empty() {
            let done = self.originals.copy(piece, &mut out);
            self.held.push_str(piece.get(done..).unwrap_or_default());
            return out;
        }
        self.held.push_str(piece);
        let done = self.originals.copy(&self.held, &mut out);
        self.held.drain(..done);
        out
    }

    /// What is left once the text has ended.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// How many bytes are held back: always fewer than [`MAX_PLACEHOLDER`].
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

impl fmt::Debug for Restorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restorer").field("held", &self.held.len()).finish_non_exhaustive()
    }
}
