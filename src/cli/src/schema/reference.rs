//! The schema as a page of the manual: one table for the file, and one for each part that several fields use.

use std::fmt::Write as _;

use serde_json::Value;

const INTRODUCTION: &str = "\
# Reference: the short file

Every field of a [short file](command.md#the-short-file). `sluice schema --markdown` prints this page, from the reader of the
configuration; a test compares them. In Envoy's configuration the same fields stand in `auth`, `router`, `guard` and `usage`.
";

/// The page, in Markdown.
pub(super) fn markdown(schema: &Value) -> String {
    let mut page = INTRODUCTION.to_owned();
    section(&mut page, "The file", schema);
    for (name, definition) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
        match definition.get("description").and_then(Value::as_str) {
            Some(description) => _ = write!(page, "\n## {name}\n\nA text or number: {description}\n"),
            None => section(&mut page, name, definition),
        }
    }
    page
}

fn section(page: &mut String, title: &str, definition: &Value) {
    _ = write!(page, "\n## {title}\n\n| Field | Type | |\n|---|---|---|\n");
    let required: Vec<&str> = texts(definition.get("required"));
    for form in std::iter::once(definition).chain(items(definition.get("anyOf"))) {
        rows(page, "", form, &required);
    }
}

/// One row for each field of `object`, and for the fields of those.
fn rows(page: &mut String, before: &str, object: &Value, required: &[&str]) {
    for (name, field) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{before}{name}");
        let description = field.get("description").and_then(Value::as_str).unwrap_or_default();
        let needed = if required.contains(&name.as_str()) { "required: " } else { "" };
        let row = format!("| `{path}` | {} | {needed}{} |\n", kind(field), description.replace('|', "\\|"));
        if !page.ends_with(&row) {
            page.push_str(&row);
        }
        let forms = std::iter::once(field).chain(items(field.get("anyOf"))).chain(field.get("additionalProperties"));
        for form in
            forms.chain(field.get("items").into_iter().flat_map(|of| std::iter::once(of).chain(items(of.get("anyOf")))))
        {
            rows(page, &format!("{path}."), form, &texts(form.get("required")));
        }
    }
}

/// What a value may be, in a few words; a part with a table of its own is a link.
fn kind(field: &Value) -> String {
    if let Some(reference) = field.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return format!("[{name}](#{name})");
    }
    if let Some(constant) = field.get("const") {
        return format!("`{}`", plain(constant));
    }
    let choices: Vec<String> = items(field.get("enum")).map(|one| format!("`{}`", plain(one))).collect();
    if !choices.is_empty() {
        return choices.join(", ");
    }
    let forms: Vec<String> = items(field.get("anyOf")).map(kind).collect();
    if !forms.is_empty() {
        return forms.join(" or ");
    }
    let default = field.get("default").map(|default| format!(", default `{}`", plain(default))).unwrap_or_default();
    let name = match field.get("type").and_then(Value::as_str) {
        Some("array") => format!("list of {}", field.get("items").map_or_else(|| "values".to_owned(), kind)),
        Some("object") => match field.get("additionalProperties") {
            Some(of @ Value::Object(_)) => format!("by name: {}", kind(of)),
            _ => "fields".to_owned(),
        },
        Some("string") => "text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some(number @ ("integer" | "number")) => range(number, field),
        _ => "any".to_owned(),
    };
    name + &default
}

fn range(number: &str, field: &Value) -> String {
    let kind = if number == "integer" { "whole number" } else { "number" };
    match (field.get("minimum"), field.get("maximum")) {
        (Some(least), Some(most)) => format!("{kind}, {least} to {most}"),
        _ => kind.to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn items(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn texts(list: Option<&Value>) -> Vec<&str> {
    items(list).filter_map(Value::as_str).collect()
}
