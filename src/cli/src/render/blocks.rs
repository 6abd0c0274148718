//! A short file's text in pieces: each field with its comments, as written.

use super::template::indentation;
use crate::short::Upstream;
use crate::yaml::{flow, quoted, Data, Tree};

/// A short file, line by line.
pub(super) struct SourceLines<'a> {
    lines: Vec<&'a str>,
    tree: &'a Tree,
    /// Whether the text is copied; otherwise it is rewritten, with one line for each field.
    verbatim: bool,
}

impl<'a> SourceLines<'a> {
    pub(super) fn new(text: &'a str, tree: &'a Tree, verbatim: bool) -> Self {
        SourceLines { lines: text.lines().collect(), tree, verbatim }
    }

    /// The comment at the top of the file, if a blank line follows it.
    pub(super) fn head(&self) -> Vec<String> {
        let comments: Vec<&&str> = self.lines.iter().take_while(|line| line.starts_with('#')).collect();
        match self.lines.get(comments.len()) {
            Some(line) if line.trim().is_empty() => comments.iter().map(|line| (**line).to_owned()).collect(),
            _ => Vec::new(),
        }
    }

    /// The fields in `names`, in order, indented by `by`.
    pub(super) fn fields(&self, names: &[&str], by: usize) -> Vec<String> {
        let wanted = self.tree.entries().iter().filter(|(name, _)| names.contains(&name.as_str()));
        wanted.flat_map(|(name, _)| self.field(name, by)).collect()
    }

    /// A field with its comments.
    pub(super) fn field(&self, name: &str, by: usize) -> Vec<String> {
        let Some((index, value)) = self
            .tree
            .entries()
            .iter()
            .enumerate()
            .find_map(|(index, (field, value))| (field == name).then_some((index, value)))
        else {
            return Vec::new();
        };
        let (comments, own, after) = self.parts(index);
        let body = match self.verbatim && own.iter().skip(1).all(|line| can_be_moved(line)) {
            true => own.iter().map(|line| (*line).to_owned()).collect(),
            false => vec![format!("{}: {}", quoted(name), flow(value))],
        };
        let all = comments
            .iter()
            .map(|line| (*line).to_owned())
            .chain(body)
            .chain(after.iter().map(|line| (*line).to_owned()));
        all.map(|line| indented(&line, by)).collect()
    }

    /// `upstreams`, each in one line for the router, below its comments.
    pub(super) fn upstreams(&self, upstreams: &[Upstream], by: usize) -> Vec<String> {
        let found = self.tree.entries().iter().enumerate().find(|(_, (name, _))| name == "upstreams");
        let Some((index, (_, tree))) = found else {
            return Vec::new();
        };
        let (comments, own, after) = self.parts(index);
        let start = tree.line;
        let mut lines: Vec<String> = comments.iter().map(|line| indented(line, by)).collect();
        lines.push(indented("upstreams:", by));
        let line_of = |index: usize| tree.entries().get(index).map_or(start + own.len(), |(_, value)| value.line);
        let mut from = start + 1;
        for (index, upstream) in upstreams.iter().enumerate() {
            // the comments before an upstream, or within it
            let to = line_of(index + 1).max(from);
            let to = self.comments_above(to, from);
            let said = own.get(from.saturating_sub(start)..to.saturating_sub(start)).unwrap_or_default();
            let said = said.iter().map(|line| line.trim()).filter(|line| line.starts_with('#'));
            lines.extend(said.map(|line| indented(line, by + 2)));
            let own = format!("{}: {}", quoted(&upstream.name), entry(&upstream.router()));
            lines.extend(own.lines().map(|line| indented(line, by + 2)));
            from = to;
        }
        lines.extend(after.iter().map(|line| indented(line, by)));
        lines
    }

    /// The parts of an object field, each as a separate field.
    pub(super) fn inner(&self, name: &str, by: usize) -> Vec<String> {
        let entries = self.tree.get(name).map(Tree::entries).unwrap_or_default();
        let fields = entries.iter().filter(|(_, value)| !matches!(value.data, Data::Null));
        fields.map(|(name, value)| indented(&format!("{}: {}", quoted(name), flow(value)), by)).collect()
    }

    /// The comments before a field, its own lines, and the comments right after it.
    fn parts(&self, index: usize) -> (&[&'a str], &[&'a str], &[&'a str]) {
        let line = |index: usize| self.tree.entries().get(index).map(|(_, value)| value.line.saturating_sub(1));
        let at = line(index).unwrap_or_default();
        let next = line(index + 1).unwrap_or(self.lines.len());
        let first = self.comments_above(at + 1, 1) - 1;
        let end = self.comments_above(next + 1, at + 2) - 1;
        let is_comment = |line: &&&str| line.starts_with('#');
        let rest = self.lines.get(at..end).unwrap_or_default();
        let own =
            rest.len() - rest.iter().rev().take_while(|line| line.trim().is_empty() || line.starts_with('#')).count();
        let after = rest.iter().skip(own).take_while(is_comment).count();
        let (own, rest) = rest.split_at(own);
        (self.lines.get(first..at).unwrap_or_default(), own, rest.get(..after).unwrap_or_default())
    }

    /// The first of the comment lines directly above line `number`, not before line `least`.
    fn comments_above(&self, number: usize, least: usize) -> usize {
        let mut first = number;
        while first > least && self.lines.get(first - 2).is_some_and(|line| line.trim_start().starts_with('#')) {
            first -= 1;
        }
        first
    }
}

/// An upstream in one line; several prices have one line each.
fn entry(upstream: &Tree) -> String {
    let fields = upstream.entries().iter().map(|(name, value)| match value.entries() {
        prices @ [_, _, ..] if name == "prices" => {
            let lines = prices.iter().map(|(model, price)| format!("\n  {}: {}", quoted(model), flow(price)));
            format!("{name}: {{{}}}", lines.collect::<Vec<_>>().join(","))
        }
        _ => format!("{}: {}", quoted(name), flow(value)),
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

/// Whether a field's line may be indented more; not if it starts with a bracket.
fn can_be_moved(line: &str) -> bool {
    line.trim().is_empty() || indentation(line) > 0 || line.starts_with('#') || line.starts_with("- ") || line == "-"
}

fn indented(line: &str, by: usize) -> String {
    match line.trim().is_empty() {
        true => String::new(),
        false => format!("{:by$}{line}", ""),
    }
}
