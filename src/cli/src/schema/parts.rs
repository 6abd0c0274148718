//! Parts of the schema.

use serde_json::{json, Map, Value};

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

pub(super) fn text(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": description})
}

pub(super) fn texts(description: &str) -> Value {
    json!({"type": "array", "items": {"type": "string", "minLength": 1}, "description": description})
}

pub(super) fn whole(least: u32, most: u32) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

pub(super) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Value {
    json!({"enum": names.into_iter().collect::<Vec<_>>()})
}

/// An object with only the fields `names`; `of` has their types.
pub(super) fn object(names: &[&str], of: fn(&str) -> Value, required: &[&str]) -> Value {
    let properties: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), of(name))).collect();
    let mut object = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if let (Some(fields), false) = (object.as_object_mut(), required.is_empty()) {
        fields.insert("required".to_owned(), json!(required));
    }
    object
}

/// Fields by name, in order.
pub(super) fn fields(names: &[&str], of: fn(&str) -> Value) -> Value {
    object(names, of, &[])
}
