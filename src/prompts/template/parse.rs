//! Parses a template's text into nodes.

use super::expression::{Expression, Words};
use super::tokens::tokens;
use super::{Node, TemplateError};

/// The deepest accepted nesting of `if` and `for`.
const MAX_DEPTH: usize = 16;

/// Parses a template.
pub(super) fn parse(source: &str) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser { rest: source, line: 1, trim_next: false };
    let (nodes, end) = parser.nodes(0)?;
    match end {
        None => Ok(nodes),
        Some(tag) => Err(parser.error(tag.line, format!("there is nothing that `{{% {} %}}` could end", tag.name))),
    }
}

/// A tag that ends a list of nodes.
struct Closing {
    name: String,
    words: Words,
    line: usize,
}

/// The kinds of tags, by their second character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tag {
    Emit,
    Block,
    Comment,
}

struct Parser<'a> {
    rest: &'a str,
    line: usize,
    /// The last tag ended in `-`: the white space after it does not count.
    trim_next: bool,
}

impl<'a> Parser<'a> {
    fn error(&self, line: usize, problem: impl Into<String>) -> TemplateError {
        TemplateError { line, problem: problem.into() }
    }

    /// The nodes up to a tag that ends them, or to the end.
    fn nodes(&mut self, depth: usize) -> Result<(Vec<Node>, Option<Closing>), TemplateError> {
        let mut nodes = Vec::new();
        while let Some((tag, inner, line)) = self.tag(&mut nodes)? {
            if tag == Tag::Comment {
                continue;
            }
            let tokens = tokens(inner).map_err(|problem| self.error(line, problem))?;
            let mut words = Words::new(tokens);
            if tag == Tag::Emit {
                nodes.push(Node::Emit(self.whole(words, line)?));
                continue;
            }
            let name = words.name().map_err(|problem| self.error(line, problem))?;
            match name.as_str() {
                "if" => {
                    let node = self.if_node(words, line, depth)?;
                    nodes.push(node);
                }
                "for" => {
                    let node = self.for_node(words, line, depth)?;
                    nodes.push(node);
                }
                "raw" => {
                    let text = self.raw(line)?;
                    nodes.push(Node::Text(text.to_owned()));
                }
                "elif" | "else" | "endif" | "endfor" => return Ok((nodes, Some(Closing { name, words, line }))),
                _ => {
                    let problem = format!("there is no tag `{name}`, only if, elif, else, for and raw");
                    return Err(self.error(line, problem));
                }
            }
        }
        Ok((nodes, None))
    }

    /// The next tag with its text and line; the text before it becomes a node. `None` at the end.
    fn tag(&mut self, nodes: &mut Vec<Node>) -> Result<Option<(Tag, &'a str, usize)>, TemplateError> {
        let Some((at, tag)) = find_tag(self.rest) else {
            let text = self.take(self.rest.len());
            self.push_text(nodes, text, false);
            return Ok(None);
        };
        let text = self.take(at);
        let line = self.line + text_lines(text);
        let body = self.rest.get(2..).unwrap_or_default();
        let trims_before = body.starts_with('-');
        self.push_text(nodes, text, trims_before);
        self.line = line;
        let close = match tag {
            Tag::Emit => "}}",
            Tag::Block => "%}",
            Tag::Comment => "#}",
        };
        let Some(end) = find_end(body, close, tag != Tag::Comment) else {
            return Err(self.error(line, format!("the tag that begins here has no `{close}`")));
        };
        let inner = body.get(..end).unwrap_or_default();
        let whole = self.take(2 + end + 2);
        self.line += text_lines(whole);
        self.trim_next = inner.ends_with('-');
        let inner = inner.strip_prefix('-').unwrap_or(inner);
        Ok(Some((tag, inner.strip_suffix('-').unwrap_or(inner), line)))
    }

    /// The next bytes.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn push_text(&mut self, nodes: &mut Vec<Node>, text: &str, trims_end: bool) {
        let text = if std::mem::take(&mut self.trim_next) { text.trim_start() } else { text };
        let text = if trims_end { text.trim_end() } else { text };
        if !text.is_empty() {
            nodes.push(Node::Text(text.to_owned()));
        }
    }

    /// A tag that is one expression.
    fn whole(&self, mut words: Words, line: usize) -> Result<Expression, TemplateError> {
        let value = words.expression().and_then(|value| words.end().map(|()| value));
        value.map_err(|problem| self.error(line, problem))
    }

    fn deeper(&self, depth: usize, line: usize) -> Result<usize, TemplateError> {
        match depth < MAX_DEPTH {
            true => Ok(depth + 1),
            false => Err(self.error(line, format!("more than {MAX_DEPTH} tags are open"))),
        }
    }

    fn if_node(&mut self, words: Words, line: usize, depth: usize) -> Result<Node, TemplateError> {
        let depth = self.deeper(depth, line)?;
        let mut branches = Vec::new();
        let mut condition = Some(self.whole(words, line)?);
        loop {
            let is_last = condition.is_none();
            let (nodes, end) = self.nodes(depth)?;
            branches.push((condition, nodes));
            let Some(Closing { name, mut words, line: at }) = end else {
                return Err(self.error(line, "the `{% if %}` that begins here has no `{% endif %}`"));
            };
            condition = match name.as_str() {
                "elif" if !is_last => Some(self.whole(words, at)?),
                "else" if !is_last => {
                    words.end().map_err(|problem| self.error(at, problem))?;
                    None
                }
                "endif" => {
                    words.end().map_err(|problem| self.error(at, problem))?;
                    return Ok(Node::If(branches));
                }
                _ => return Err(self.error(at, format!("`{{% {name} %}}` where `{{% endif %}}` is expected"))),
            };
        }
    }

    fn for_node(&mut self, mut words: Words, line: usize, depth: usize) -> Result<Node, TemplateError> {
        let depth = self.deeper(depth, line)?;
        let name = words.name().map_err(|problem| self.error(line, problem))?;
        if !words.takes_name("in") {
            return Err(self.error(line, "`for` is written like {% for item in items %}"));
        }
        let list = self.whole(words, line)?;
        let (body, end) = self.nodes(depth)?;
        let (otherwise, end) = match end {
            Some(Closing { name, .. }) if name == "else" => self.nodes(depth)?,
            end => (Vec::new(), end),
        };
        match end {
            Some(Closing { name: end, .. }) if end == "endfor" => Ok(Node::For { name, list, body, otherwise }),
            Some(end) => {
                Err(self.error(end.line, format!("`{{% {} %}}` where `{{% endfor %}}` is expected", end.name)))
            }
            None => Err(self.error(line, "the `{% for %}` that begins here has no `{% endfor %}`")),
        }
    }

    /// The text up to `{% endraw %}`, as it stands.
    fn raw(&mut self, line: usize) -> Result<&'a str, TemplateError> {
        self.trim_next = false;
        let is_end = |at: &usize| {
            let tag = self.rest.get(*at..).and_then(|rest| rest.strip_prefix("{%"));
            let inner = tag.and_then(|tag| tag.split_once("%}")).map(|(inner, _)| inner.trim());
            inner == Some("endraw")
        };
        let Some(at) = self.rest.match_indices("{%").map(|(at, _)| at).find(is_end) else {
            return Err(self.error(line, "the `{% raw %}` that begins here has no `{% endraw %}`"));
        };
        let text = self.take(at);
        let tag = self.rest.find("%}").map_or(0, |end| end + 2);
        let tag = self.take(tag);
        self.line += text_lines(text) + text_lines(tag);
        Ok(text)
    }
}

fn text_lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// Where the next tag begins.
fn find_tag(text: &str) -> Option<(usize, Tag)> {
    text.match_indices('{').find_map(|(at, _)| {
        let tag = match text.as_bytes().get(at + 1)? {
            b'{' => Tag::Emit,
            b'%' => Tag::Block,
            b'#' => Tag::Comment,
            _ => return None,
        };
        Some((at, tag))
    })
}

/// Where a tag's text ends; `quoted`: what is between quotes does not end it.
fn find_end(text: &str, close: &str, quoted: bool) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if quoted => quote = Some(c),
            (None, _) if text.get(at..).is_some_and(|rest| rest.starts_with(close)) => return Some(at),
            (None, _) => {}
        }
    }
    None
}
