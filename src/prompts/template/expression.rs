//! Expressions in tags: variables, texts, numbers, comparisons, and filters.
//!
//! | from weakest to strongest |
//! |---|
//! | `or` |
//! | `and` |
//! | `not` |
//! | `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `is defined`, `is not defined` |
//! | filters: `upper`, `lower`, `trim`, `length`, `join(", ")`, `default("...")` |

use super::tokens::TemplateWord;

/// The deepest accepted nesting of brackets.
const MAX_BRACKETS: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Text(String),
    Number(i64),
    Flag(bool),
    Nothing,
    /// A variable, and the fields and indices after it.
    Path(Vec<PathStep>),
    Not(Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Compare(Box<Expression>, Comparison, Box<Expression>),
    IsDefined(Box<Expression>),
    Filter(Box<Expression>, Filter),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathStep {
    Field(String),
    Index(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Upper,
    Lower,
    Trim,
    Length,
    Join(String),
    Default(Box<Expression>),
}

const KEYWORDS: [&str; 5] = ["and", "or", "not", "in", "is"];

/// Reads the words of one expression.
pub(super) struct Words {
    tokens: std::vec::IntoIter<TemplateWord>,
    next: Option<TemplateWord>,
    brackets: usize,
}

impl Words {
    pub fn new(tokens: Vec<TemplateWord>) -> Self {
        let mut tokens = tokens.into_iter();
        let next = tokens.next();
        Words { tokens, next, brackets: 0 }
    }

    fn take(&mut self) -> Option<TemplateWord> {
        std::mem::replace(&mut self.next, self.tokens.next())
    }

    /// Takes the next word if it is this name.
    pub fn takes_name(&mut self, name: &str) -> bool {
        let is_next = matches!(&self.next, Some(TemplateWord::Name(next)) if next == name);
        if is_next {
            self.take();
        }
        is_next
    }

    fn takes_symbol(&mut self, symbol: &str) -> bool {
        let is_next = matches!(&self.next, Some(TemplateWord::Symbol(next)) if *next == symbol);
        if is_next {
            self.take();
        }
        is_next
    }

    /// The next word, which must be a variable's name.
    pub fn name(&mut self) -> Result<String, String> {
        match self.take() {
            Some(TemplateWord::Name(name)) if !KEYWORDS.contains(&name.as_str()) => Ok(name),
            Some(_) | None => Err("a name is missing".to_owned()),
        }
    }

    /// Nothing may follow.
    pub fn end(&mut self) -> Result<(), String> {
        match self.take() {
            None => Ok(()),
            Some(TemplateWord::Name(word)) => Err(format!("`{word}` is not expected here")),
            Some(TemplateWord::Symbol(word)) => Err(format!("`{word}` is not expected here")),
            Some(TemplateWord::Text(_) | TemplateWord::Number(_)) => Err("a value is not expected here".to_owned()),
        }
    }

    pub fn expression(&mut self) -> Result<Expression, String> {
        let mut left = self.and()?;
        while self.takes_name("or") {
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut left = self.not()?;
        while self.takes_name("and") {
            left = Expression::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression, String> {
        let mut negated = false;
        let mut any = false;
        while self.takes_name("not") {
            (negated, any) = (!negated, true);
        }
        let operand = self.comparison()?;
        Ok(match (any, negated) {
            (false, _) => operand,
            (true, true) => Expression::Not(Box::new(operand)),
            (true, false) => Expression::Not(Box::new(Expression::Not(Box::new(operand)))),
        })
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let left = self.filtered()?;
        if self.takes_name("is") {
            let negated = self.takes_name("not");
            if !self.takes_name("defined") {
                return Err("after `is` or `is not`, only `defined` is known".to_owned());
            }
            let defined = Expression::IsDefined(Box::new(left));
            return Ok(if negated { Expression::Not(Box::new(defined)) } else { defined });
        }
        let comparison = if self.takes_name("in") {
            Comparison::In
        } else {
            let symbols = [
                ("==", Comparison::Equal),
                ("!=", Comparison::Unequal),
                ("<=", Comparison::LessOrEqual),
                (">=", Comparison::GreaterOrEqual),
                ("<", Comparison::Less),
                (">", Comparison::Greater),
            ];
            match symbols.into_iter().find(|(symbol, _)| self.takes_symbol(symbol)) {
                Some((_, comparison)) => comparison,
                None => return Ok(left),
            }
        };
        Ok(Expression::Compare(Box::new(left), comparison, Box::new(self.filtered()?)))
    }

    fn filtered(&mut self) -> Result<Expression, String> {
        let mut value = self.primary()?;
        let mut filters = 0;
        while self.takes_symbol("|") {
            filters += 1;
            if filters > MAX_BRACKETS {
                return Err(format!("a value has more than {MAX_BRACKETS} filters"));
            }
            value = Expression::Filter(Box::new(value), self.filter()?);
        }
        Ok(value)
    }

    fn filter(&mut self) -> Result<Filter, String> {
        let name = self.name()?;
        let argument = match self.takes_symbol("(") {
            true => {
                let argument = self.nested()?;
                Some(argument)
            }
            false => None,
        };
        match (name.as_str(), argument) {
            ("upper", None) => Ok(Filter::Upper),
            ("lower", None) => Ok(Filter::Lower),
            ("trim", None) => Ok(Filter::Trim),
            ("length", None) => Ok(Filter::Length),
            ("join", None) => Ok(Filter::Join(String::new())),
            ("join", Some(Expression::Text(separator))) => Ok(Filter::Join(separator)),
            ("default", Some(value)) => Ok(Filter::Default(Box::new(value))),
            ("join", Some(_)) => Err("`join` takes a text, such as join(\", \")".to_owned()),
            ("default", None) => Err("`default` takes a value, such as default(\"English\")".to_owned()),
            ("upper" | "lower" | "trim" | "length", Some(_)) => Err(format!("`{name}` takes no argument")),
            _ => Err(format!("there is no filter `{name}`, only upper, lower, trim, length, join and default")),
        }
    }

    /// An expression in brackets, of which the first one has been read.
    fn nested(&mut self) -> Result<Expression, String> {
        self.brackets += 1;
        if self.brackets > MAX_BRACKETS {
            return Err(format!("more than {MAX_BRACKETS} brackets are open"));
        }
        let value = self.expression()?;
        self.brackets -= 1;
        match self.takes_symbol(")") {
            true => Ok(value),
            false => Err("a `)` is missing".to_owned()),
        }
    }

    fn primary(&mut self) -> Result<Expression, String> {
        match self.take() {
            Some(TemplateWord::Text(text)) => Ok(Expression::Text(text)),
            Some(TemplateWord::Number(number)) => Ok(Expression::Number(number)),
            Some(TemplateWord::Symbol("(")) => self.nested(),
            Some(TemplateWord::Name(name)) => match name.as_str() {
                "true" | "True" => Ok(Expression::Flag(true)),
                "false" | "False" => Ok(Expression::Flag(false)),
                "none" | "None" | "null" => Ok(Expression::Nothing),
                word if KEYWORDS.contains(&word) => Err(format!("a value is missing before `{word}`")),
                _ => self.path(name),
            },
            Some(TemplateWord::Symbol(symbol)) => Err(format!("`{symbol}` is not expected here")),
            None => Err("a value is missing".to_owned()),
        }
    }

    fn path(&mut self, first: String) -> Result<Expression, String> {
        let mut steps = vec![PathStep::Field(first)];
        loop {
            if self.takes_symbol(".") {
                steps.push(match self.take() {
                    Some(TemplateWord::Name(name)) => PathStep::Field(name),
                    Some(TemplateWord::Number(index)) => index_step(index)?,
                    _ => return Err("a field's name is missing after `.`".to_owned()),
                });
            } else if self.takes_symbol("[") {
                steps.push(match self.take() {
                    Some(TemplateWord::Text(name)) => PathStep::Field(name),
                    Some(TemplateWord::Number(index)) => index_step(index)?,
                    _ => return Err("a text or a number is missing after `[`".to_owned()),
                });
                if !self.takes_symbol("]") {
                    return Err("a `]` is missing".to_owned());
                }
            } else {
                return Ok(Expression::Path(steps));
            }
        }
    }
}

fn index_step(index: i64) -> Result<PathStep, String> {
    usize::try_from(index).map(PathStep::Index).map_err(|_| format!("{index} is too large for an index"))
}
