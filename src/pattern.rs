//! Model name patterns: a name, a prefix that ends in `*`, or `*` for all.

/// A list of patterns; a name matches if one of them does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// Matches every name.
    pub fn any() -> Self {
        Patterns(vec!["*".to_owned()])
    }

    /// Matches everything that one of `patterns` matches; an empty list matches nothing.
    pub fn new(patterns: Vec<String>) -> Self {
        Patterns(patterns)
    }

    /// Whether one of the patterns matches.
    ///
    /// ```
    /// use sluice::pattern::Patterns;
    ///
    /// let patterns = Patterns::new(vec!["gpt-4o".into(), "claude-*".into()]);
    /// assert!(patterns.matches("gpt-4o") && patterns.matches("claude-sonnet"));
    /// assert!(!patterns.matches("gpt-4o-mini"));
    /// ```
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether every name matches, whatever it is.
    pub fn is_any(&self) -> bool {
        self.0.iter().any(|pattern| pattern == "*")
    }

    /// The patterns, as configured.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Whether `pattern` matches `name`.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

/// Whether a name exists that both patterns match.
///
/// ```
/// use sluice::pattern::overlap;
///
/// assert!(overlap("gpt-4o", "gpt-*") && overlap("gpt-*", "gpt-4o") && overlap("*", "gpt-4o*"));
/// assert!(!overlap("gpt-4o", "gpt-4") && !overlap("gpt-*", "claude-*"));
/// ```
pub fn overlap(one: &str, other: &str) -> bool {
    match (one.strip_suffix('*'), other.strip_suffix('*')) {
        (Some(one), Some(other)) => one.starts_with(other) || other.starts_with(one),
        (Some(_), None) => matches(one, other),
        (None, _) => matches(other, one),
    }
}
