//! What is told of a conversion, and how LiteLLM names variables.

use crate::yaml::Tree;

/// What is told of the conversion: what has no counterpart, and what is left to do.
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

    /// The fields of an object that nobody has read.
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

/// A text, or what the variable has that it names; else the variable's name.
pub(super) fn resolved(text: &str) -> Result<String, &str> {
    match variable(text) {
        Some(name) => std::env::var(name).map_err(|_| name),
        None => Ok(text.to_owned()),
    }
}
