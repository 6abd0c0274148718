//! The shipped envoy.yaml as a template: its lines, and the places that a short file fills.

use std::ops::Range;

/// The file rendered from `envoy/demo.yaml`, and the template for all others.
pub(super) const DEMO: &str = include_str!("../../../../envoy/envoy.yaml");

/// The demo with traces, from which the tracer's parts are taken.
pub(super) const TRACES: &str = include_str!("../../../../envoy/examples/tracing.yaml");

/// The template has changed, and no longer has this place.
#[derive(Debug)]
pub(crate) struct Lost(pub(super) &'static str);

impl Lost {
    /// The missing place.
    pub(crate) fn place(&self) -> &'static str {
        self.0
    }
}

/// A file that is being rendered.
pub(super) struct Template {
    lines: Vec<String>,
}

impl Template {
    pub(super) fn new(text: &str) -> Template {
        Template { lines: text.lines().map(str::to_owned).collect() }
    }

    pub(super) fn into_text(self) -> String {
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }

    /// The first line whose text, without indentation, starts with `beginning`, at or after line `from`.
    pub(super) fn find(&self, from: usize, beginning: &'static str) -> Result<usize, Lost> {
        let found = self.lines.iter().skip(from).position(|line| line.trim_start().starts_with(beginning));
        found.map(|at| from + at).ok_or(Lost(beginning))
    }

    pub(super) fn line(&self, at: usize) -> &str {
        self.lines.get(at).map_or("", String::as_str)
    }

    pub(super) fn lines(&self, range: Range<usize>) -> Vec<String> {
        self.lines.get(range).unwrap_or_default().to_vec()
    }

    /// The block of line `at`: the following lines with more indentation.
    pub(super) fn block(&self, at: usize) -> Range<usize> {
        let indentation = indentation(self.line(at));
        let inner = |line: &&String| line.trim().is_empty() || self::indentation(line) > indentation;
        let mut end = at + 1 + self.lines.iter().skip(at + 1).take_while(inner).count();
        while end > at + 1 && self.line(end - 1).trim().is_empty() {
            end -= 1;
        }
        at + 1..end
    }

    /// The first of the comments directly before line `at`.
    pub(super) fn comments_before(&self, at: usize) -> usize {
        let before = self.lines.get(..at).unwrap_or_default();
        at - before.iter().rev().take_while(|line| line.trim_start().starts_with('#')).count()
    }

    pub(super) fn replace(&mut self, range: Range<usize>, lines: Vec<String>) {
        if range.start <= range.end && range.end <= self.lines.len() {
            self.lines.splice(range, lines);
        }
    }

    /// Changes line `at`, if `change` finds its place there.
    pub(super) fn change(&mut self, at: usize, change: impl Fn(&str) -> Option<String>) -> Result<(), Lost> {
        let line = self.lines.get_mut(at).ok_or(Lost("a line"))?;
        *line = change(line).ok_or(Lost("the text of a line"))?;
        Ok(())
    }
}

/// How many spaces a line starts with.
pub(super) fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The line with `text` between `before` and `after`.
pub(super) fn between(line: &str, before: &str, after: &str, text: &str) -> Option<String> {
    let (head, rest) = line.split_once(before)?;
    let (_, tail) = rest.split_once(after)?;
    Some(format!("{head}{before}{text}{after}{tail}"))
}
