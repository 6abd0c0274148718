//! The tools, in Anthropic's format.

use std::borrow::Cow;

use crate::error::ApiError;
use crate::translate::chat::ToolChoice;
use crate::translate::claude::Version;
use crate::translate::dropped::Dropped;
use crate::translate::raw::Raw;
use crate::translate::schema::write_schema;
use crate::translate::writer::Writer;
use crate::translate::{invalid, JSON_TOOL};

/// The tools, as Anthropic's JSON, and their names.
#[derive(Default)]
pub struct Tools<'a> {
    json: String,
    names: Vec<Cow<'a, str>>,
}

impl<'a> Tools<'a> {
    /// Reads `tools`, or the older `functions`.
    pub fn read(
        tools: Option<Raw<'a>>,
        functions: Option<Raw<'a>>,
        version: Version,
        dropped: &mut Dropped,
    ) -> Result<Self, ApiError> {
        let mut out = Writer::default();
        let mut names = Vec::new();
        if let Some(tools) = tools {
            tools.each(|index, tool| {
                let [kind, function, cache_control] = tool.fields(["type", "function", "cache_control"]);
                let is_function = kind.is_none_or(|kind| kind.json() == r#""function""#);
                let Some(function) = function.filter(|_| is_function) else {
                    let message = format!("`tools[{index}].type`: only functions can be passed on to this model.");
                    return Err(invalid("tools", message));
                };
                names.push(write_tool(&mut out, "tools", index, function, cache_control, version, dropped)?);
                Ok(())
            })?;
        } else if let Some(functions) = functions {
            functions.each(|index, function| {
                names.push(write_tool(&mut out, "functions", index, function, None, version, dropped)?);
                Ok(())
            })?;
        }
        Ok(Tools { json: out.into_string(), names })
    }

    /// Tools with these names, if nothing else is known about them.
    pub fn of_history(names: &[Cow<'a, str>]) -> Self {
        let mut out = Writer::default();
        let mut known: Vec<Cow<'a, str>> = Vec::new();
        for name in names {
            if !known.contains(name) {
                out.object(|out| {
                    out.put_string("name", name);
                    out.key("input_schema");
                    write_schema(out, None);
                });
                known.push(name.clone());
            }
        }
        Tools { json: out.into_string(), names: known }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

fn write_tool<'a>(
    out: &mut Writer,
    param: &'static str,
    index: usize,
    function: Raw<'a>,
    cache_control: Option<Raw<'a>>,
    version: Version,
    dropped: &mut Dropped,
) -> Result<Cow<'a, str>, ApiError> {
    let [name, description, parameters, strict, own_mark] =
        function.fields(["name", "description", "parameters", "strict", "cache_control"]);
    let Some(name) = name.and_then(Raw::string).filter(|name| !name.is_empty()) else {
        return Err(invalid(param, format!("`{param}[{index}]` has no name.")));
    };
    out.object(|out| {
        out.put_string("name", &name);
        if let Some(description) = description.filter(|description| description.is_string()) {
            out.put("description", description.json());
        }
        out.key("input_schema");
        write_schema(out, parameters);
        match strict.is_some_and(Raw::is_true) {
            true if version.has_structured_outputs() => out.put("strict", "true"),
            true => dropped.add("strict"),
            false => {}
        }
        if let Some(mark) = cache_control.or(own_mark).filter(|mark| mark.is_object()) {
            out.put("cache_control", mark.json());
        }
    });
    Ok(name)
}

/// Writes `tools` and `tool_choice`; `json` is the schema of an answer in a tool's arguments.
pub fn write(out: &mut Writer, tools: &Tools<'_>, choice: &ToolChoice<'_>, json: Option<Raw<'_>>) {
    if let Some(schema) = json {
        out.put_array("tools", |out| {
            out.object(|out| {
                out.put_string("name", JSON_TOOL);
                out.put_string("description", "Gives the answer.");
                out.put("input_schema", schema.json());
            });
        });
        let choice = ToolChoice::Named { name: JSON_TOOL.into(), alone: false };
        return write_choice(out, &choice);
    }
    if !tools.is_empty() {
        out.put_array("tools", |out| out.raw(&tools.json));
        write_choice(out, choice);
    }
}

fn write_choice(out: &mut Writer, choice: &ToolChoice<'_>) {
    let (kind, alone) = match choice {
        ToolChoice::Free { alone: false } => return, // the default
        ToolChoice::Free { alone } => ("auto", *alone),
        ToolChoice::None => ("none", false),
        ToolChoice::Any { alone } => ("any", *alone),
        ToolChoice::Named { alone, .. } => ("tool", *alone),
    };
    out.put_object("tool_choice", |out| {
        out.put_string("type", kind);
        if let ToolChoice::Named { name, .. } = choice {
            out.put_string("name", name);
        }
        if alone {
            out.put("disable_parallel_tool_use", "true");
        }
    });
}
