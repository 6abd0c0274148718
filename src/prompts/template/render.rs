//! Renders a template, within bounds.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};

use super::expression::{Comparison, Expression, Filter, PathStep};
use super::Node;

/// The variables of a template, by name.
pub type Variables = Map<String, Value>;

/// The longest rendered text, in bytes.
pub const MAX_RENDERED: usize = 1 << 20;

/// The most work for one text, in steps.
const FUEL: usize = 200_000;

/// So many bytes of a text count as one step.
const BYTES_PER_STEP: usize = 16;

/// Why a template has no text with some variables. It names the template's own variables, never their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderError {
    /// This variable is missing.
    Undefined(String),
    /// This value is not a list.
    NoList(String),
    /// This filter cannot use the value.
    NoText(&'static str),
    /// The text is too long.
    TooLong,
    /// It takes too much work.
    TooMuchWork,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RenderError::Undefined(name) => write!(f, "the variable `{name}` is missing"),
            RenderError::NoList(name) => write!(f, "the variable `{name}` must be a list"),
            RenderError::NoText(filter) => write!(f, "the filter `{filter}` cannot be used on such a value"),
            RenderError::TooLong => write!(f, "the text would be longer than {MAX_RENDERED} bytes"),
            RenderError::TooMuchWork => write!(f, "the text would take too much work; shorten the variables"),
        }
    }
}

pub(super) fn render(nodes: &[Node], variables: &Variables) -> Result<String, RenderError> {
    let mut renderer = Renderer { variables, scopes: Vec::new(), fuel: FUEL, out: String::new() };
    renderer.nodes(nodes)?;
    Ok(renderer.out)
}

/// The variables of a loop.
struct Scope<'a> {
    name: &'a str,
    value: Value,
    index: usize,
    length: usize,
}

struct Renderer<'a> {
    variables: &'a Variables,
    scopes: Vec<Scope<'a>>,
    fuel: usize,
    out: String,
}

impl<'a> Renderer<'a> {
    fn spend(&mut self, bytes: usize) -> Result<(), RenderError> {
        let steps = 1 + bytes / BYTES_PER_STEP;
        self.fuel = self.fuel.checked_sub(steps).ok_or(RenderError::TooMuchWork)?;
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), RenderError> {
        self.spend(text.len())?;
        if self.out.len() + text.len() > MAX_RENDERED {
            return Err(RenderError::TooLong);
        }
        self.out.push_str(text);
        Ok(())
    }

    fn nodes(&mut self, nodes: &'a [Node]) -> Result<(), RenderError> {
        for node in nodes {
            match node {
                Node::Text(text) => self.push(text)?,
                Node::Emit(expression) => {
                    let value = self.known(expression)?;
                    self.push(&written(&value))?;
                }
                Node::If(branches) => {
                    for (condition, nodes) in branches {
                        self.spend(0)?;
                        let holds = match condition {
                            Some(condition) => self.value(condition)?.is_some_and(|value| is_true(&value)),
                            None => true,
                        };
                        if holds {
                            self.nodes(nodes)?;
                            break;
                        }
                    }
                }
                Node::For { name, list, body, otherwise } => {
                    let Value::Array(items) = self.known(list)? else {
                        return Err(RenderError::NoList(name_of(list)));
                    };
                    if items.is_empty() {
                        self.nodes(otherwise)?;
                    }
                    let length = items.len();
                    for (index, value) in items.into_iter().enumerate() {
                        self.spend(0)?;
                        self.scopes.push(Scope { name, value, index, length });
                        let done = self.nodes(body);
                        self.scopes.pop();
                        done?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A value that must be there.
    fn known(&mut self, expression: &'a Expression) -> Result<Value, RenderError> {
        self.value(expression)?.ok_or_else(|| RenderError::Undefined(name_of(expression)))
    }

    /// The value of an expression; `None` if its variable is missing.
    fn value(&mut self, expression: &'a Expression) -> Result<Option<Value>, RenderError> {
        self.spend(0)?;
        Ok(Some(match expression {
            Expression::Text(text) => Value::String(text.clone()),
            Expression::Number(number) => Value::from(*number),
            Expression::Flag(flag) => Value::Bool(*flag),
            Expression::Nothing => Value::Null,
            Expression::Path(steps) => {
                let Some(found) = self.find(steps) else {
                    return Ok(None);
                };
                let value = found.into_owned();
                self.spend(size(&value))?;
                value
            }
            Expression::Not(operand) => Value::Bool(!self.holds(operand)?),
            Expression::And(left, right) => Value::Bool(self.holds(left)? && self.holds(right)?),
            Expression::Or(left, right) => Value::Bool(self.holds(left)? || self.holds(right)?),
            Expression::IsDefined(operand) => {
                Value::Bool(self.value(operand)?.is_some_and(|value| value != Value::Null))
            }
            Expression::Compare(left, comparison, right) => {
                let (left, right) = (self.known(left)?, self.known(right)?);
                self.spend(size(&left) + size(&right))?;
                Value::Bool(compare(&left, *comparison, &right))
            }
            Expression::Filter(operand, filter) => return self.filtered(operand, filter),
        }))
    }

    fn holds(&mut self, expression: &'a Expression) -> Result<bool, RenderError> {
        Ok(self.value(expression)?.is_some_and(|value| is_true(&value)))
    }

    fn filtered(&mut self, operand: &'a Expression, filter: &'a Filter) -> Result<Option<Value>, RenderError> {
        if let Filter::Default(otherwise) = filter {
            let value = self.value(operand)?.filter(|value| *value != Value::Null);
            return match value {
                Some(value) => Ok(Some(value)),
                None => self.value(otherwise),
            };
        }
        let value = self.known(operand)?;
        self.spend(size(&value))?;
        let text = |name| value.as_str().ok_or(RenderError::NoText(name));
        Ok(Some(match filter {
            Filter::Upper => Value::String(text("upper")?.to_uppercase()),
            Filter::Lower => Value::String(text("lower")?.to_lowercase()),
            Filter::Trim => Value::String(text("trim")?.trim().to_owned()),
            Filter::Length => Value::from(match &value {
                Value::String(text) => text.chars().count(),
                Value::Array(items) => items.len(),
                Value::Object(fields) => fields.len(),
                Value::Null | Value::Bool(_) | Value::Number(_) => return Err(RenderError::NoText("length")),
            }),
            Filter::Join(separator) => {
                let Value::Array(items) = &value else {
                    return Err(RenderError::NoList(name_of(operand)));
                };
                self.spend(items.len().saturating_mul(separator.len()))?;
                Value::String(items.iter().map(written).collect::<Vec<_>>().join(separator))
            }
            Filter::Default(_) => value,
        }))
    }

    fn find(&self, steps: &[PathStep]) -> Option<Cow<'_, Value>> {
        let (PathStep::Field(first), rest) = steps.split_first()? else {
            return None;
        };
        if let (Some(scope), "loop") = (self.scopes.last(), first.as_str()) {
            let [PathStep::Field(field)] = rest else {
                return None;
            };
            return Some(Cow::Owned(match field.as_str() {
                "index" => Value::from(scope.index + 1),
                "index0" => Value::from(scope.index),
                "first" => Value::Bool(scope.index == 0),
                "last" => Value::Bool(scope.index + 1 == scope.length),
                "length" => Value::from(scope.length),
                _ => return None,
            }));
        }
        let inner = self.scopes.iter().rev().find(|scope| scope.name == first).map(|scope| &scope.value);
        let mut value = inner.or_else(|| self.variables.get(first))?;
        for step in rest {
            value = match step {
                PathStep::Field(name) => value.get(name)?,
                PathStep::Index(index) => value.get(index)?,
            };
        }
        Some(Cow::Borrowed(value))
    }
}

/// About how many bytes a value has.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len(),
        // the texts of a variable are bounded, and their nesting too
        Value::Array(items) => items.iter().map(|item| 16 + size(item)).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| 32 + name.len() + size(value)).sum(),
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn compare(left: &Value, comparison: Comparison, right: &Value) -> bool {
    let equal = |left: &Value, right: &Value| match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    };
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => left.as_f64().zip(right.as_f64()).and_then(|(left, right)| left.partial_cmp(&right)),
    };
    match comparison {
        Comparison::Equal => equal(left, right),
        Comparison::Unequal => !equal(left, right),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        Comparison::In => match (left, right) {
            (Value::String(part), Value::String(text)) => text.contains(part.as_str()),
            (item, Value::Array(items)) => items.iter().any(|other| equal(item, other)),
            (Value::String(name), Value::Object(fields)) => fields.contains_key(name),
            _ => false,
        },
    }
}

/// A value as text; lists and objects as JSON.
fn written(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// The variable of an expression, for errors.
fn name_of(expression: &Expression) -> String {
    match expression {
        Expression::Path(steps) => {
            let mut name = String::new();
            for step in steps {
                match step {
                    PathStep::Field(field) if name.is_empty() => name.push_str(field),
                    PathStep::Field(field) => name.push_str(&format!(".{field}")),
                    PathStep::Index(index) => name.push_str(&format!("[{index}]")),
                }
            }
            name
        }
        Expression::Filter(operand, _) => name_of(operand),
        Expression::Not(operand) | Expression::IsDefined(operand) => name_of(operand),
        Expression::And(left, _) | Expression::Or(left, _) | Expression::Compare(left, _, _) => name_of(left),
        Expression::Text(_) | Expression::Number(_) | Expression::Flag(_) | Expression::Nothing => "value".to_owned(),
    }
}
