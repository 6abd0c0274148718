//! Rules that tell a kind without asking anybody.

use std::fmt;

use regex::RegexBuilder;

use super::language::language;
use super::Opening;

/// The longest regular expression, in bytes.
pub const MAX_REGEX: usize = 1000;
/// The most memory of a compiled one, and of its cache during a search.
const MAX_COMPILED: usize = 1 << 20;
/// The deepest nesting of groups.
const MAX_NESTING: u32 = 32;

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Regex(regex::Regex);

/// Why a regular expression is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// It is longer than [`MAX_REGEX`].
    TooLong,
    /// It would take too much memory.
    TooLarge,
    /// It is none, for this reason.
    Syntax(String),
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::TooLong => write!(f, "must be at most {MAX_REGEX} bytes"),
            RuleError::TooLarge => write!(f, "is too large once compiled; smaller repetitions help"),
            RuleError::Syntax(reason) => write!(f, "is not a regular expression: {reason}"),
        }
    }
}

impl Regex {
    /// Compiles one.
    ///
    /// # Errors
    /// It is none, or too large.
    pub fn new(pattern: &str) -> Result<Self, RuleError> {
        if pattern.len() > MAX_REGEX {
            return Err(RuleError::TooLong);
        }
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).nest_limit(MAX_NESTING);
        builder.build().map(Regex).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => RuleError::TooLarge,
            other => {
                let text = other.to_string();
                RuleError::Syntax(text.rsplit("error: ").next().unwrap_or(&text).trim().to_owned())
            }
        })
    }
}

/// A rule: all conditions that it has must hold.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// The text has a match of it.
    pub regex: Option<Regex>,
    /// The text's language is one of these.
    pub languages: Vec<&'static str>,
    /// The text has at least so many characters.
    pub min_length: usize,
    /// The text has at most so many characters.
    pub max_length: Option<usize>,
    /// Whether there are images.
    pub images: Option<bool>,
    /// Whether there are tools.
    pub tools: Option<bool>,
}

impl Rule {
    /// Whether a prompt fits it. The cheap conditions come first.
    pub fn fits(&self, opening: &Opening) -> bool {
        let is = |wanted: Option<bool>, found: bool| wanted.is_none_or(|wanted| wanted == found);
        if !is(self.images, opening.images) || !is(self.tools, opening.tools) {
            return false;
        }
        if self.min_length > 0 || self.max_length.is_some() {
            let length = opening.text.chars().count();
            // the rest of a long text is not known, but it is long
            let is_short = !opening.is_cut && length < self.min_length;
            let is_long = self.max_length.is_some_and(|most| opening.is_cut || length > most);
            if is_short || is_long {
                return false;
            }
        }
        if self.regex.as_ref().is_some_and(|regex| !regex.0.is_match(&opening.text)) {
            return false;
        }
        self.languages.is_empty() || language(&opening.text).is_some_and(|found| self.languages.contains(&found))
    }
}
