//! The output of `sluice check`.

use serde_json::{json, Value};

/// The severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// A finding.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) level: Severity,
    /// The rule's name, for scripts.
    pub(crate) rule: &'static str,
    pub(crate) line: usize,
    /// The place, in the file's terms.
    pub(crate) path: String,
    /// The problem, and why it matters.
    pub(crate) problem: String,
    /// The fix; empty if the problem implies it.
    pub(crate) fix: String,
}

/// All findings.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn error(
        &mut self,
        rule: &'static str,
        line: usize,
        path: &str,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Severity::Error, rule, line, path, problem.into(), fix.into());
    }

    pub(super) fn warning(
        &mut self,
        rule: &'static str,
        line: usize,
        path: &str,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(Severity::Warning, rule, line, path, problem.into(), fix.into());
    }

    fn add(&mut self, level: Severity, rule: &'static str, line: usize, path: &str, problem: String, fix: String) {
        let path = path.to_owned();
        // findings in YAML aliases occur more than once
        if !self.findings.iter().any(|other| other.rule == rule && other.line == line && other.problem == problem) {
            self.findings.push(Finding { level, rule, line, path, problem, fix });
        }
    }

    pub(super) fn sort(&mut self) {
        self.findings.sort_by_key(|finding| (finding.line, finding.level));
    }

    pub(crate) fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.level == Severity::Error).count()
    }

    /// As text: two lines for each finding.
    pub(crate) fn text(&self, file: &str) -> String {
        let mut text = String::new();
        for Finding { level, line, path, problem, fix, rule } in &self.findings {
            let level = level.name();
            let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
            text.push_str(&format!("{file}:{line}: {level}: {path}{problem} [{rule}]\n"));
            if !fix.is_empty() {
                text.push_str(&format!("    fix: {fix}\n"));
            }
        }
        if self.findings.is_empty() {
            text.push_str(&format!("{file}: nothing is wrong\n"));
        }
        text
    }

    /// As JSON.
    pub(crate) fn json(&self, file: &str) -> String {
        let finding = |finding: &Finding| {
            let Finding { level, rule, line, path, problem, fix } = finding;
            json!({"level": level.name(), "rule": rule, "file": file, "line": line, "path": path, "problem": problem, "fix": fix})
        };
        let list: Value = self.findings.iter().map(finding).collect();
        format!("{list:#}\n")
    }
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}
