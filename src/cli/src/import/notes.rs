//! The notes of a conversion, and LiteLLM's variable names.

use crate::yaml::Tree;

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
