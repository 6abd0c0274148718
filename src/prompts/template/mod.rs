//! Templates of prompts: a small part of Jinja. Prompts need no more, and the filters stay small.
//!
//! ```text
//! Translate the text into {{ language | default("English") }}.
//! {% if tone is defined %}Write in a {{ tone }} tone.{% endif %}
//! {% for rule in rules %}- {{ rule }}
//! {% endfor %}
//! ```
//!
//! A template is parsed once, with the configuration. Its output and its work are bounded, whatever the variables are.

mod expression;
mod parse;
mod render;
mod tokens;

use std::fmt;

use expression::Expression;
pub use render::{RenderError, Variables, MAX_RENDERED};

/// The longest template, in bytes.
pub const MAX_TEMPLATE: usize = 64 << 10;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    nodes: Vec<Node>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Text(String),
    /// `{{ ... }}`
    Emit(Expression),
    /// `{% if %}`: the branches in order; one without a condition is `{% else %}`.
    If(Vec<(Option<Expression>, Vec<Node>)>),
    /// `{% for name in list %}`; `otherwise` is for an empty list.
    For {
        name: String,
        list: Expression,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// A mistake in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Its line, from 1.
    pub line: usize,
    /// The problem, and its fix.
    pub problem: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl Template {
    /// Parses a template.
    ///
    /// ```
    /// use serde_json::json;
    /// use sluice::prompts::Template;
    ///
    /// let template = Template::parse("Hello {{ name }}{% if polite %}, please{% endif %}.\n").unwrap();
    /// let variables = json!({"name": "Ada", "polite": true});
    /// assert_eq!(template.render(variables.as_object().unwrap()).unwrap(), "Hello Ada, please.");
    /// assert_eq!(Template::parse("a\n{% if x %}").unwrap_err().line, 2);
    /// ```
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        if source.len() > MAX_TEMPLATE {
            let problem = format!("the template has {} bytes, more than {MAX_TEMPLATE}; shorten it", source.len());
            return Err(TemplateError { line: 1, problem });
        }
        // as in Jinja, so that a file may end with a line's end
        let source = source.strip_suffix('\n').map_or(source, |text| text.strip_suffix('\r').unwrap_or(text));
        parse::parse(source).map(|nodes| Template { nodes })
    }

    /// The text with these variables.
    ///
    /// # Errors
    /// A variable is missing or of the wrong kind, or the text is too long.
    pub fn render(&self, variables: &Variables) -> Result<String, RenderError> {
        render::render(&self.nodes, variables)
    }
}
