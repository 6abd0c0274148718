//! YAML with line numbers: every message about a file names a line.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::{Map, Number, Value};

/// A value, and its line.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// Starts at 1; for a field's value, the line of the field's name.
    pub(crate) line: usize,
    pub(crate) data: Data,
}

/// The kinds of values.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    /// In the file's order.
    Map(Vec<(String, Tree)>),
}

/// Why a text is not YAML.
#[derive(Debug)]
pub(crate) struct NotYaml {
    pub(crate) line: usize,
    pub(crate) problem: String,
}

impl Tree {
    /// Reads a text with one document.
    pub(crate) fn parse(text: &str) -> Result<Tree, NotYaml> {
        let documents = MarkedYaml::load_from_str(text)
            .map_err(|error| NotYaml { line: error.marker().line(), problem: format!("not YAML: {}", error.info()) })?;
        match documents.as_slice() {
            [] => Ok(Tree { line: 1, data: Data::Map(Vec::new()) }),
            [document] => Ok(tree(document)),
            [_, second, ..] => {
                Err(NotYaml { line: second.span.start.line(), problem: "must be one document, without `---`".into() })
            }
        }
    }

    /// The field `name` of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Tree> {
        self.entries().iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// The field `name` of an object, to change it.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Tree> {
        match &mut self.data {
            Data::Map(entries) => entries.iter_mut().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Replaces the texts of all fields `field` in the tree by those that `names` has for them.
    pub(crate) fn rename(&mut self, field: &str, names: &BTreeMap<String, String>) {
        match &mut self.data {
            Data::List(items) => items.iter_mut().for_each(|item| item.rename(field, names)),
            Data::Map(entries) => {
                for (name, value) in entries {
                    match &mut value.data {
                        Data::Text(text) if name == field => {
                            names.get(text.as_str()).into_iter().for_each(|new| text.clone_from(new));
                        }
                        _ => value.rename(field, names),
                    }
                }
            }
            _ => {}
        }
    }

    /// The value at the end of a path of fields.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Tree> {
        path.iter().try_fold(self, |tree, name| tree.get(name))
    }

    /// An object's fields; none for other values.
    pub(crate) fn entries(&self) -> &[(String, Tree)] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// A list's values; none for other values.
    pub(crate) fn items(&self) -> &[Tree] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if it is a text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a number.
    pub(crate) fn number(&self) -> Option<f64> {
        match &self.data {
            Data::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    /// Whether it is `true`.
    pub(crate) fn is_true(&self) -> bool {
        matches!(self.data, Data::Bool(true))
    }

    /// The text of the field `name`.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Tree::text)
    }

    /// The same as JSON, without lines.
    pub(crate) fn json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(flag) => Value::Bool(*flag),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => items.iter().map(Tree::json).collect(),
            Data::Map(entries) => {
                Value::Object(entries.iter().map(|(name, value)| (name.clone(), value.json())).collect::<Map<_, _>>())
            }
        }
    }

    /// Calls `visit` for every value of the tree, outer ones first.
    pub(crate) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Tree)) {
        visit(self);
        match &self.data {
            Data::List(items) => items.iter().for_each(|item| item.walk(visit)),
            Data::Map(entries) => entries.iter().for_each(|(_, value)| value.walk(visit)),
            _ => {}
        }
    }

    /// The line of `path`, such as `.models[0].name` or `["a b"].url`, or of its deepest existing part.
    pub(crate) fn line_of(&self, path: &str) -> usize {
        let mut tree = self;
        for step in steps(path) {
            let next = match &step {
                PathStep::Field(name) => tree.get(name),
                PathStep::Index(index) => tree.items().get(*index),
            };
            match next {
                Some(next) => tree = next,
                None => break,
            }
        }
        tree.line
    }
}

enum PathStep {
    Field(String),
    Index(usize),
}

/// The parts of a path in the core's format.
fn steps(path: &str) -> Vec<PathStep> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('[').filter(|rest| rest.starts_with('"')) {
            let mut names = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
            let Some(Ok(name)) = names.next() else { break };
            rest = quoted.get(names.byte_offset()..).unwrap_or_default().trim_start_matches(']');
            steps.push(PathStep::Field(name));
        } else if let Some((index, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let Ok(index) = index.parse() else { break };
            steps.push(PathStep::Index(index));
            rest = after;
        } else {
            let field = rest.strip_prefix('.').unwrap_or(rest);
            let end = field.find(['.', '[']).unwrap_or(field.len());
            let (name, after) = field.split_at(end);
            steps.push(PathStep::Field(name.to_owned()));
            rest = after;
        }
    }
    steps
}

fn tree(node: &MarkedYaml<'_>) -> Tree {
    let data = match &node.data {
        YamlData::Sequence(items) => Data::List(items.iter().map(tree).collect()),
        YamlData::Mapping(fields) => Data::Map(fields.iter().map(|(name, value)| field(name, value)).collect()),
        YamlData::Value(value) => scalar(value),
        YamlData::Tagged(_, inner) => tree(inner).data,
        YamlData::Representation(text, ..) => Data::Text(text.to_string()),
        YamlData::Alias(_) | YamlData::BadValue => Data::Null,
    };
    Tree { line: node.span.start.line(), data }
}

fn field(name: &MarkedYaml<'_>, value: &MarkedYaml<'_>) -> (String, Tree) {
    let text = match tree(name).data {
        Data::Text(text) => text,
        Data::Number(number) => number.to_string(),
        Data::Bool(flag) => flag.to_string(),
        Data::Null | Data::List(_) | Data::Map(_) => String::new(),
    };
    (text, Tree { line: name.span.start.line(), ..tree(value) })
}

fn scalar(value: &Scalar<'_>) -> Data {
    match value {
        Scalar::Null => Data::Null,
        Scalar::Boolean(flag) => Data::Bool(*flag),
        Scalar::Integer(number) => Data::Number((*number).into()),
        Scalar::FloatingPoint(number) => Number::from_f64(number.0).map_or(Data::Null, Data::Number),
        Scalar::String(text) => Data::Text(text.to_string()),
    }
}

/// `text` as a flow scalar, quoted if YAML would read it as something else.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '=' | '@' | '*' | '+');
    let first = text.chars().next();
    let is_plain = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '/') && text.chars().all(plain);
    let is_word =
        !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    match is_plain && is_word {
        true => text.to_owned(),
        false => Value::from(text).to_string(),
    }
}

/// A value in YAML's flow style.
pub(crate) fn flow(value: &Tree) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match &value.data {
        Data::Null => "null".to_owned(),
        Data::Bool(flag) => flag.to_string(),
        Data::Number(number) => number.to_string(),
        Data::Text(text) => quoted(text),
        Data::List(items) => format!("[{}]", joined(items.iter().map(flow).collect())),
        Data::Map(entries) => {
            let fields = entries.iter().map(|(name, value)| format!("{}: {}", quoted(name), flow(value)));
            format!("{{{}}}", joined(fields.collect()))
        }
    }
}
