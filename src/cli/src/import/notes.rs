//! The notes of a conversion, and LiteLLM's variable names.

use crate::yaml::{Data, Tree};

/// The notes of a conversion: settings without a counterpart, and remaining work.
#[derive(Default)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    pub(super) fn lines(&self) -> &[String] {
        &self.0
    }

    pub(super) fn add(&mut self, line: usize, text: impl AsRef<str>) {
        let note = format!("line {line}: {}", text.as_ref());
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// The number in the field `name`, also one such as `3e-06`, which some YAML readers treat as text, or one in the environment.
    pub(super) fn number(&mut self, tree: &Tree, name: &str) -> Option<f64> {
        let value = tree.get(name)?;
        let number = match &value.data {
            Data::Text(text) => resolved(text).ok().and_then(|text| text.parse().ok()),
            _ => value.number(),
        };
        let number = number.filter(|number: &f64| number.is_finite() && *number >= 0.0);
        if number.is_none() {
            self.add(value.line, format!("{name} is no number; it is left out"));
        }
        number
    }

    /// Notes the fields of an object that were not read.
    pub(super) fn rest(&mut self, tree: &Tree, path: &str, known: &[&str]) {
        for (name, value) in tree.entries().iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            self.add(value.line, format!("{path}{name} has no counterpart; it is left out"));
        }
    }
}

/// The variable in `os.environ/NAME`.
pub(super) fn variable(text: &str) -> Option<&str> {
    text.strip_prefix("os.environ/")
}

/// A text, or the value of the variable that it names; else the variable's name.
pub(super) fn resolved(text: &str) -> Result<String, &str> {
    match variable(text) {
        Some(name) => std::env::var(name).map_err(|_| name),
        None => Ok(text.to_owned()),
    }
}
