//! The filters' configuration, as the core reads it at the start.

use serde_json::Value;
use sluice::config::{auth, guard, none, router, usage, ConfigError, Joined};

use super::Report;
use crate::yaml::Tree;

/// The configuration of each filter, by its name.
pub(super) type Sections = [(&'static str, Value)];

/// Maps the core's path to a line, and to the path in the file.
pub(super) type Locate<'a> = &'a dyn Fn(&str) -> (usize, String);

/// Replaces a secret that is not in this environment; any value works.
const STAND_IN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// A secret, if it is set here, else a placeholder.
fn environment(name: &str) -> Option<String> {
    let set = std::env::var(name).ok().filter(|value| !value.is_empty());
    Some(set.unwrap_or_else(|| STAND_IN.to_owned()))
}

/// The configuration of one filter.
pub(super) fn section<'a>(sections: &'a Sections, name: &str) -> Option<&'a Value> {
    sections.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
}

/// The items of a field; none if it is not a list.
pub(super) fn list<'a>(value: Option<&'a Value>, field: &str) -> &'a [Value] {
    value.and_then(|value| value.get(field)).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A field's text.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

/// The core's findings: the first mistake of each filter, and conflicts between filters.
pub(super) fn read(sections: &Sections) -> Vec<ConfigError> {
    let mut errors: Vec<ConfigError> = Vec::new();
    for (name, value) in sections {
        let bytes = value.to_string().into_bytes();
        let error = match *name {
            "auth" => auth(&bytes, &environment).err(),
            "guard" => guard(&bytes, &environment).err(),
            "router" => router(&bytes, &environment).err(),
            "usage" => usage(&bytes).err(),
            _ => none(name, &bytes).err(),
        };
        errors.extend(error);
    }
    if errors.is_empty() && sections.len() > 1 {
        let all = sections.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let bytes = Value::Object(all.collect()).to_string().into_bytes();
        errors.extend(Joined::parse("filters", &bytes).and_then(|joined| joined.agree()).err());
    }
    errors
}

/// The variables in `{env: NAME}`, and their lines.
pub(super) fn variables(tree: &Tree) -> Vec<(String, usize)> {
    let mut found: Vec<(String, usize)> = Vec::new();
    tree.walk(&mut |tree| {
        if let Some(env) = tree.get("env") {
            found.extend(env.text().map(|name| (name.to_owned(), env.line)));
        }
    });
    found
}

/// Reports a variable that is not set here.
pub(super) fn unset(name: &str, line: usize, report: &mut Report) {
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name && std::env::var_os(name).is_none_or(|value| value.is_empty()) {
        let problem = format!("the environment variable {name} is not set here; Envoy does not start without it");
        report.warning("unset_variable", line, name, problem, format!("export {name}=... before Envoy starts"));
    }
}
