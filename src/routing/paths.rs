//! Further paths of providers, which the operator passes to one upstream: nothing of their requests is read.

use std::rc::Rc;

use crate::endpoint::Dialect;
use crate::error::Shape;
use crate::pattern::matches;
use crate::prompts::Library;
use crate::uri::{hex_byte, without_query};

/// One further path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// The path, or a prefix that ends in `*`.
    pub pattern: String,
    /// The dialects of its upstream.
    pub dialects: Vec<Dialect>,
    /// Whether requests pass although the guard cannot check them.
    pub skips_guard: bool,
}

impl PathRule {
    /// The name under which its requests are counted: the path, or the prefix without its `*`.
    pub fn name(&self) -> &str {
        self.pattern.strip_suffix('*').unwrap_or(&self.pattern)
    }

    /// The dialect in which a request to this path is sent: that of the path, if the upstream has it.
    pub fn dialect(&self, path: &str) -> Dialect {
        let own = match Shape::for_path(path) {
            Shape::OpenAi => Dialect::OpenAi,
            Shape::Anthropic => Dialect::Anthropic,
            Shape::Ollama => Dialect::Ollama,
            Shape::Gemini => Dialect::Gemini,
        };
        let first = self.dialects.first().copied().unwrap_or(own);
        if self.dialects.contains(&own) {
            own
        } else {
            first
        }
    }
}

/// The default of [`Paths::max_upload`]: what OpenAI takes of a recording.
pub const MAX_UPLOAD: usize = 25 << 20;

/// What a configuration says about paths: all further ones, and the size of uploads.
#[derive(Debug)]
pub struct Paths {
    rules: Vec<PathRule>,
    /// The largest form with a model's name in it, in bytes.
    pub max_upload: usize,
    /// The prompt library, if there is one, with the text endpoints' settings.
    pub library: Option<Rc<Library>>,
}

impl Default for Paths {
    fn default() -> Self {
        Paths { rules: Vec::new(), max_upload: MAX_UPLOAD, library: None }
    }
}

impl Paths {
    /// No further paths yet.
    pub fn with(library: Option<Rc<Library>>) -> Self {
        Paths { library, ..Paths::default() }
    }

    /// Adds a path; returns its index.
    ///
    /// # Errors
    /// There is one with the same pattern.
    pub fn add(&mut self, rule: PathRule) -> Result<usize, PathRule> {
        if self.rules.iter().any(|known| known.pattern == rule.pattern) {
            return Err(rule);
        }
        self.rules.push(rule);
        Ok(self.rules.len() - 1)
    }

    /// The rule for a request's path, and its index: an exact one, else the one with the longest prefix. A path that
    /// some servers would read as another one has none: with `..`, an empty segment, or an escaped `/`, `\`, `.` or `%`.
    ///
    /// ```
    /// use sluice::endpoint::Dialect;
    /// use sluice::routing::{PathRule, Paths};
    ///
    /// let mut paths = Paths::default();
    /// let rule = |pattern: &str| PathRule { pattern: pattern.into(), dialects: vec![Dialect::OpenAi], skips_guard: false };
    /// paths.add(rule("/v1/files*")).unwrap();
    /// paths.add(rule("/v1/files/public/*")).unwrap();
    /// assert_eq!(paths.find("/v1/files?limit=2").map(|(index, _)| index), Some(0));
    /// assert_eq!(paths.find("/v1/files/public/a").map(|(index, _)| index), Some(1));
    /// assert!(paths.find("/v1/files/..%2fbatches").is_none() && paths.find("/v1/batches").is_none());
    /// ```
    pub fn find(&self, path: &str) -> Option<(usize, &PathRule)> {
        let path = without_query(path);
        let matching = self.rules.iter().enumerate().filter(|(_, rule)| matches(&rule.pattern, path));
        // a whole path is longer than any prefix of it, even than one that differs only in its `*`
        let found = matching.max_by_key(|(_, rule)| (!rule.pattern.ends_with('*'), rule.pattern.len()));
        found.filter(|_| is_unambiguous(path))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// Whether all servers read a path as the same one.
pub fn is_unambiguous(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        // some servers cut parameters (`;`) off before they resolve dots
        let bare = segment.split(';').next().unwrap_or_default();
        let climbs = matches!(bare, "." | "..") || bare.is_empty() && !is_last;
        if climbs || segment.contains(['\\', '#', '?']) || !escapes_are_plain(segment) {
            return false;
        }
    }
    true
}

/// Whether no escape stands for a byte that has a meaning in paths, and all are valid.
fn escapes_are_plain(segment: &str) -> bool {
    let mut parts = segment.split('%');
    let literal = parts.next().unwrap_or_default();
    let is_plain = |part: &str| part.bytes().all(|byte| byte > b' ' && byte != 0x7f);
    is_plain(literal)
        && parts.all(|part| {
            let byte = part.as_bytes().get(..2).and_then(hex_byte);
            byte.is_some_and(|byte| byte >= b' ' && byte != 0x7f && !b"/\\.%;".contains(&byte)) && is_plain(part)
        })
}
