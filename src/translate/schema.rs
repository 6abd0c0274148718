//! Schemas of tool arguments.

use super::raw::Raw;
use super::writer::Writer;

/// The schema of a tool without arguments.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// Writes an argument schema for providers that require the type `object`. OpenAI accepts a missing schema, `{}`, and
/// one without a type.
pub(super) fn write_schema(out: &mut Writer, parameters: Option<Raw<'_>>) {
    let schema = parameters.filter(|parameters| parameters.is_object() && !parameters.is_nothing());
    let Some(schema) = schema else {
        return out.raw(NO_PARAMETERS);
    };
    let fields = schema.json().strip_prefix('{').filter(|_| schema.field("type").is_none());
    match fields {
        Some(fields) => out.raw(&format!(r#"{{"type":"object",{fields}"#)),
        None => out.raw(schema.json()),
    }
}
