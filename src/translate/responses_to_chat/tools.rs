//! Tools, and the choice of tools.

use std::borrow::Cow;

use super::tool_note::ToolNote;
use crate::error::ApiError;
use crate::translate::dropped::Dropped;
use crate::translate::ids::short_name;
use crate::translate::invalid;
use crate::translate::raw::Raw;
use crate::translate::writer::Writer;

/// The argument of a custom tool, since tools take objects here.
const ONE_TEXT: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;
/// The maximum number of tools that differ between client and server.
const MAX_NOTES: usize = 1024;

/// The tools, as JSON of chat completions.
#[derive(Default)]
pub struct Tools {
    json: Writer,
    notes: Vec<ToolNote>,
}

impl Tools {
    /// Reads `tools`. Tools that OpenAI runs itself are dropped, because nobody would run them.
    pub fn read(tools: Option<Raw<'_>>, choice: &ToolChoice<'_>, dropped: &mut Dropped) -> Result<Self, ApiError> {
        let mut read = Tools::default();
        if let Some(tools) = tools {
            tools.each(|index, tool| read.tool(index, tool, choice, dropped))?;
        }
        Ok(read)
    }

    pub fn into_notes(self) -> Vec<ToolNote> {
        self.notes
    }

    fn tool(
        &mut self,
        index: usize,
        tool: Raw<'_>,
        choice: &ToolChoice<'_>,
        dropped: &mut Dropped,
    ) -> Result<(), ApiError> {
        let [kind, name, tools] = tool.fields(["type", "name", "tools"]);
        let kind = kind.and_then(Raw::string).unwrap_or_default();
        let name = name.and_then(Raw::string).filter(|name| !name.is_empty());
        match (kind.as_ref(), name, tools) {
            ("function" | "custom", Some(name), _) => {
                if choice.allows(&name) {
                    self.add(tool, &kind, &name, None);
                }
                Ok(())
            }
            ("function" | "custom", None, _) => Err(invalid("tools", format!("`tools[{index}].name` is missing."))),
            ("namespace", Some(namespace), Some(tools)) => {
                tools.items(|tool| {
                    let [kind, name] = tool.fields(["type", "name"]).map(|field| field.and_then(Raw::string));
                    if let (Some(kind @ Cow::Borrowed("function" | "custom")), Some(name)) = (kind, name) {
                        if choice.allows(&name) {
                            self.add(tool, &kind, &name, Some(&namespace));
                        }
                    }
                });
                Ok(())
            }
            (kind, _, _) => {
                dropped.add(&format!("tools.{kind}"));
                Ok(())
            }
        }
    }

    fn add(&mut self, tool: Raw<'_>, kind: &str, name: &str, namespace: Option<&str>) {
        let [description, parameters, strict, format] = tool.fields(["description", "parameters", "strict", "format"]);
        let custom = kind == "custom";
        let given = given_name(namespace, name);
        if (custom || given != name) && self.notes.len() < MAX_NOTES {
            let (name, namespace) = (name.to_owned(), namespace.map(str::to_owned));
            self.notes.push(ToolNote { given: given.clone().into_owned(), name, namespace, custom });
        }
        self.json.object(|out| {
            out.put_string("type", "function");
            out.put_object("function", |out| {
                out.put_string("name", &given);
                match (custom, format.and_then(grammar)) {
                    (true, Some(grammar)) => {
                        let description = description.and_then(Raw::string).unwrap_or_default();
                        out.put_string("description", &format!("{description}\n\n{grammar}"));
                    }
                    (_, _) => {
                        if let Some(description) = description.filter(|description| description.is_string()) {
                            out.put("description", description.json());
                        }
                    }
                }
                match (custom, parameters.filter(|parameters| parameters.is_object())) {
                    (true, _) => out.put("parameters", ONE_TEXT),
                    (false, Some(parameters)) => out.put("parameters", parameters.json()),
                    (false, None) => {}
                }
                if strict.is_some_and(Raw::is_true) {
                    out.put("strict", "true");
                }
            });
        });
    }

    /// Writes them, and the choice of tools.
    pub fn write(&self, out: &mut Writer, choice: &ToolChoice<'_>, parallel: Option<Raw<'_>>) {
        if self.json.is_empty() {
            return;
        }
        out.put_array("tools", |out| out.raw(self.json.as_str()));
        match &choice.mode {
            Mode::Auto => {}
            Mode::None => out.put_string("tool_choice", "none"),
            Mode::Required => out.put_string("tool_choice", "required"),
            Mode::Named(name) => out.put_object("tool_choice", |out| {
                out.put_string("type", "function");
                out.put_object("function", |out| out.put_string("name", &given_name(None, name)));
            }),
        }
        if parallel.is_some_and(|parallel| parallel.json() == "false") {
            out.put("parallel_tool_calls", "false");
        }
    }
}

/// A tool's name for servers without namespaces and long names.
pub fn given_name<'a>(namespace: Option<&str>, name: &'a str) -> Cow<'a, str> {
    match namespace.filter(|namespace| !namespace.is_empty()) {
        Some(namespace) if namespace.ends_with("__") => {
            Cow::Owned(short_name(&format!("{namespace}{name}")).into_owned())
        }
        Some(namespace) => Cow::Owned(short_name(&format!("{namespace}__{name}")).into_owned()),
        None => short_name(name),
    }
}

/// The instruction about a custom tool's input, since only words can set its format.
fn grammar(format: Raw<'_>) -> Option<String> {
    let [syntax, definition] = format.fields(["syntax", "definition"]).map(|field| field.and_then(Raw::string));
    Some(format!("The input must match this {} grammar:\n{}", syntax.unwrap_or_default(), definition?))
}

/// The choice of tools.
pub struct ToolChoice<'a> {
    mode: Mode<'a>,
    /// The only allowed tools.
    allowed: Option<Vec<Cow<'a, str>>>,
}

enum Mode<'a> {
    Auto,
    None,
    Required,
    Named(Cow<'a, str>),
}

impl<'a> ToolChoice<'a> {
    /// Reads `tool_choice`.
    pub fn read(choice: Option<Raw<'a>>) -> Result<Self, ApiError> {
        let Some(choice) = choice else {
            return Ok(ToolChoice { mode: Mode::Auto, allowed: None });
        };
        let [kind, name, mode, tools] = choice.fields(["type", "name", "mode", "tools"]);
        let word = |word: Option<Cow<'_, str>>| match word.as_deref() {
            Some("auto") => Some(Mode::Auto),
            Some("none") => Some(Mode::None),
            Some("required") => Some(Mode::Required),
            Some(_) | None => None,
        };
        let (mode, allowed) = match kind.and_then(Raw::string).as_deref() {
            Some("function" | "custom") => (name.and_then(Raw::string).map(Mode::Named), None),
            Some("allowed_tools") => {
                let mut allowed = Vec::new();
                if let Some(tools) = tools {
                    tools.items(|tool| allowed.extend(tool.text("name")));
                }
                (word(mode.and_then(Raw::string)), Some(allowed))
            }
            Some(_) => (None, None),
            None => (word(choice.string()), None),
        };
        let message = "`tool_choice` must be \"none\", \"auto\", \"required\", or name functions or custom tools.";
        let mode = mode.ok_or_else(|| invalid("tool_choice", message))?;
        Ok(ToolChoice { mode, allowed })
    }

    fn allows(&self, name: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|allowed| allowed == name))
    }
}
