//! The operator's own patterns: regular expressions, compiled once.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::name::{is_name, MAX_NAME};

/// The maximum number of patterns.
pub const MAX_PATTERNS: usize = 64;
/// The longest pattern, in bytes.
pub const MAX_PATTERN: usize = 1024;
/// The longest text that a pattern is guaranteed to find, in bytes. Without this limit, the time could grow with the
/// square of the text, because a pattern may have to read all of it to find one character.
pub const MAX_MATCH: usize = 512;

/// The size of the window of one search.
const WINDOW: usize = 4 * MAX_MATCH;
/// The maximum memory of a compiled pattern, and of its cache during a search.
const MAX_COMPILED: usize = 1 << 20;
/// The maximum nesting of groups.
const MAX_NESTING: u32 = 32;

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// There are more than [`MAX_PATTERNS`].
    TooMany,
    /// The name is invalid: it must have capitals, digits and `_`, and not start with a digit.
    Name(String),
    /// It is longer than [`MAX_PATTERN`].
    TooLong(String),
    /// It would take too much memory once compiled.
    TooLarge(String),
    /// It matches the empty text, which is everywhere.
    Empty(String),
    /// It is not a regular expression: the name and the reason.
    Syntax(String, String),
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PatternError::TooMany => write!(f, "more than {MAX_PATTERNS} custom patterns"),
            PatternError::Name(name) => write!(
                f,
                "custom pattern {name:?}: a name has capitals, digits and _, does not begin with a digit, and is no longer than {MAX_NAME}"
            ),
            PatternError::TooLong(name) => write!(f, "custom pattern {name}: longer than {MAX_PATTERN} bytes"),
            PatternError::TooLarge(name) => write!(
                f,
                "custom pattern {name}: too large once compiled; smaller repetitions help, and [0-9] or [A-Za-z] instead of \\d or \\w"
            ),
            PatternError::Empty(name) => write!(f, "custom pattern {name}: it matches the empty text"),
            PatternError::Syntax(name, reason) => write!(f, "custom pattern {name}: {reason}"),
        }
    }
}

impl std::error::Error for PatternError {}

/// A custom pattern.
#[derive(Clone, Debug)]
pub(super) struct Custom {
    pub(super) name: Arc<str>,
    regex: Regex,
}

impl Custom {
    pub(super) fn new(name: &str, pattern: &str) -> Result<Self, PatternError> {
        let named = || name.to_owned();
        if !is_name(name) {
            return Err(PatternError::Name(name.chars().take(MAX_NAME).collect()));
        }
        if pattern.len() > MAX_PATTERN {
            return Err(PatternError::TooLong(named()));
        }
        let regex = RegexBuilder::new(pattern)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => PatternError::TooLarge(named()),
                other => PatternError::Syntax(named(), reason(&other)),
            })?;
        if regex.is_match("") {
            return Err(PatternError::Empty(named()));
        }
        Ok(Custom { name: name.into(), regex })
    }

    /// Calls `found` for each match. It reads a window of the text at a time, and continues after the match; or,
    /// without a match, where a match that the window cuts off could begin.
    pub(super) fn scan(&self, text: &str, mut found: impl FnMut(Range<usize>)) {
        let mut at = 0;
        while at < text.len() {
            let end = boundary(text, at.saturating_add(WINDOW));
            let window = text.get(..end).unwrap_or_default();
            let last = end == text.len();
            match self.regex.find_at(window, at) {
                // it may continue beyond the window, or not even be a match
                Some(match_) if !last && match_.end() == end && match_.start() > at => at = match_.start(),
                Some(match_) if match_.is_empty() => at = boundary(text, match_.end() + 1),
                Some(match_) => {
                    found(match_.range());
                    at = match_.end();
                }
                None if last => return,
                None => at = boundary(text, end - MAX_MATCH),
            }
        }
    }
}

/// The next character boundary from `at` on.
fn boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// The problem, without the drawing of its position.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.rsplit("error: ").next().unwrap_or(&text).trim().to_owned()
}
