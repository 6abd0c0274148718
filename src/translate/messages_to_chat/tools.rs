//! Tools, and the choice of tools.

use std::borrow::Cow;

use crate::error::ApiError;
use crate::translate::dropped::Dropped;
use crate::translate::ids::short_name;
use crate::translate::invalid;
use crate::translate::raw::Raw;
use crate::translate::tool_names::remember;
use crate::translate::writer::Writer;
use crate::translate::Notes;

/// The tools, as OpenAI's JSON.
pub struct Tools(Writer);

impl Tools {
    /// Reads `tools`. Tools that Anthropic runs itself are dropped, because nobody would run them.
    pub fn read(tools: Option<Raw<'_>>, notes: &mut Notes, dropped: &mut Dropped) -> Result<Self, ApiError> {
        let mut out = Writer::default();
        let Some(tools) = tools else {
            return Ok(Tools(out));
        };
        tools.each(|index, tool| {
            let [kind, name, description, schema, strict] =
                tool.fields(["type", "name", "description", "input_schema", "strict"]);
            let kind = kind.and_then(Raw::string);
            if let Some(kind) = kind.filter(|kind| kind != "custom" && schema.is_none()) {
                dropped.add(&format!("tools.{kind}"));
                return Ok(());
            }
            let Some(name) = name.and_then(Raw::string).filter(|name| !name.is_empty()) else {
                return Err(invalid("tools", format!("`tools[{index}].name` is missing.")));
            };
            out.object(|out| {
                out.put_string("type", "function");
                out.put_object("function", |out| {
                    out.put_string("name", &short(&name, notes));
                    if let Some(description) = description.filter(|description| description.is_string()) {
                        out.put("description", description.json());
                    }
                    if let Some(schema) = schema.filter(|schema| schema.is_object()) {
                        out.put("parameters", schema.json());
                    }
                    if strict.is_some_and(Raw::is_true) {
                        out.put("strict", "true");
                    }
                });
            });
            Ok(())
        })?;
        Ok(Tools(out))
    }

    /// Writes them, if there are any.
    pub fn write(&self, out: &mut Writer) {
        if !self.0.is_empty() {
            out.put_array("tools", |out| out.raw(self.0.as_str()));
        }
    }
}

/// Writes the choice of tools.
pub fn write_choice(
    out: &mut Writer,
    choice: Option<Raw<'_>>,
    tools: &Tools,
    notes: &mut Notes,
) -> Result<(), ApiError> {
    let Some(choice) = choice.filter(|_| !tools.0.is_empty()) else {
        return Ok(());
    };
    let [kind, name, alone] = choice.fields(["type", "name", "disable_parallel_tool_use"]);
    match kind.and_then(Raw::string).as_deref() {
        Some("auto") => out.put_string("tool_choice", "auto"),
        Some("any") => out.put_string("tool_choice", "required"),
        Some("none") => out.put_string("tool_choice", "none"),
        Some("tool") => {
            let Some(name) = name.and_then(Raw::string) else {
                return Err(invalid("tool_choice", "`tool_choice.name` is missing."));
            };
            out.put_object("tool_choice", |out| {
                out.put_string("type", "function");
                out.put_object("function", |out| out.put_string("name", &short(&name, notes)));
            });
        }
        Some(_) | None => {
            return Err(invalid("tool_choice", "`tool_choice.type` must be \"auto\", \"any\", \"tool\" or \"none\"."));
        }
    }
    if alone.is_some_and(Raw::is_true) {
        out.put("parallel_tool_calls", "false");
    }
    Ok(())
}

/// A tool name that OpenAI accepts: a longer one is replaced by its beginning and its hash, which the answer's
/// translation reverts.
pub fn short<'a>(name: &'a str, notes: &mut Notes) -> Cow<'a, str> {
    let short = short_name(name);
    remember(&short, name, notes);
    short
}
