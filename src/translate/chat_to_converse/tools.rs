//! The tools, in Converse's format.

use std::borrow::Cow;

use super::content::Content;
use super::model::Model;
use crate::error::ApiError;
use crate::hash::stable;
use crate::translate::chat::ToolChoice;
use crate::translate::dropped::Dropped;
use crate::translate::raw::Raw;
use crate::translate::schema::write_schema;
use crate::translate::tool_names::remember;
use crate::translate::writer::Writer;
use crate::translate::{invalid, Notes, JSON_TOOL};

/// The longest tool name.
const MAX_NAME: usize = 64;

/// A tool name that Converse accepts: letters, digits, `_` and `-`, at most 64. Other names are replaced by their valid
/// characters and a hash. `notes` stores them, so that the answer's translation can restore them.
pub fn valid_name<'a>(name: &'a str, notes: &mut Notes) -> Cow<'a, str> {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    if name.len() <= MAX_NAME && name.chars().all(plain) {
        return Cow::Borrowed(name);
    }
    let start: String = name.chars().filter(|character| plain(*character)).take(MAX_NAME - 17).collect();
    let valid = Cow::Owned(format!("{start}_{:016x}", stable(name.as_bytes())));
    remember(&valid, name, notes);
    valid
}

/// The tools, as Converse's JSON.
#[derive(Default)]
pub struct Tools(Writer);

impl Tools {
    /// Reads `tools`, or the older `functions`.
    pub fn read(
        tools: Option<Raw<'_>>,
        functions: Option<Raw<'_>>,
        model: Model<'_>,
        content: &Content<'_>,
        notes: &mut Notes,
        dropped: &mut Dropped,
    ) -> Result<Self, ApiError> {
        let mut out = Writer::default();
        if let Some(tools) = tools {
            tools.each(|index, tool| {
                let [kind, function, mark] = tool.fields(["type", "function", "cache_control"]);
                let is_function = kind.is_none_or(|kind| kind.json() == r#""function""#);
                let Some(function) = function.filter(|_| is_function) else {
                    let message = format!("`tools[{index}].type`: only functions can be passed on to this model.");
                    return Err(invalid("tools", message));
                };
                write_tool(&mut out, ("tools", index), function, model, notes, dropped)?;
                content.mark(&mut out, mark.or(function.field("cache_control")), dropped);
                Ok(())
            })?;
        } else if let Some(functions) = functions {
            functions
                .each(|index, function| write_tool(&mut out, ("functions", index), function, model, notes, dropped))?;
        }
        Ok(Tools(out))
    }

    /// Tools with these names, if nothing else is known about them.
    pub fn of_history(names: &[String]) -> Self {
        let mut out = Writer::default();
        names.iter().for_each(|name| write_spec(&mut out, name, None, None, false));
        Tools(out)
    }

    /// The only tool, whose arguments are the answer.
    pub fn of_answer(schema: Raw<'_>) -> Self {
        let mut out = Writer::default();
        write_spec(&mut out, JSON_TOOL, Some(r#""Gives the answer.""#), Some(schema), false);
        Tools(out)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes `toolConfig`.
    pub fn write(&self, out: &mut Writer, choice: &ToolChoice<'_>, notes: &mut Notes) {
        if self.is_empty() {
            return;
        }
        out.put_object("toolConfig", |out| {
            out.put_array("tools", |out| out.raw(self.0.as_str()));
            match choice {
                // the default, or what cannot be forbidden
                ToolChoice::Free { .. } | ToolChoice::None => {}
                ToolChoice::Any { .. } => out.put("toolChoice", r#"{"any":{}}"#),
                ToolChoice::Named { name, .. } => out.put_object("toolChoice", |out| {
                    out.put_object("tool", |out| out.put_string("name", &valid_name(name, notes)));
                }),
            }
        });
    }
}

fn write_tool(
    out: &mut Writer,
    (param, index): (&'static str, usize),
    function: Raw<'_>,
    model: Model<'_>,
    notes: &mut Notes,
    dropped: &mut Dropped,
) -> Result<(), ApiError> {
    let [name, description, parameters, strict] = function.fields(["name", "description", "parameters", "strict"]);
    let Some(name) = name.and_then(Raw::string).filter(|name| !name.is_empty()) else {
        return Err(invalid(param, format!("`{param}[{index}]` has no name.")));
    };
    let strict = strict.is_some_and(Raw::is_true);
    if strict && !model.takes_strict_tools() {
        dropped.add("strict");
    }
    // an empty description is refused
    let description = description.filter(|text| text.is_string() && text.json() != "\"\"").map(Raw::json);
    write_spec(out, &valid_name(&name, notes), description, parameters, strict && model.takes_strict_tools());
    Ok(())
}

fn write_spec(out: &mut Writer, name: &str, description: Option<&str>, schema: Option<Raw<'_>>, strict: bool) {
    out.object(|out| {
        out.put_object("toolSpec", |out| {
            out.put_string("name", name);
            if let Some(description) = description {
                out.put("description", description);
            }
            out.put_object("inputSchema", |out| {
                out.key("json");
                write_schema(out, schema);
            });
            if strict {
                out.put("strict", "true");
            }
        });
    });
}
