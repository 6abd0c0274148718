//! The tools that the model may or must call.

use std::borrow::Cow;

use crate::error::ApiError;
use crate::translate::invalid;
use crate::translate::raw::Raw;

/// What the model may or must do with its tools.
pub(in crate::translate) enum ToolChoice<'a> {
    /// It decides.
    Free { alone: bool },
    /// It calls none.
    None,
    /// It calls at least one.
    Any { alone: bool },
    /// It calls this one.
    Named { name: Cow<'a, str>, alone: bool },
}

impl<'a> ToolChoice<'a> {
    /// Reads `tool_choice`, or the older `function_call`. `alone`: at most one call in a turn.
    pub fn read(choice: Option<Raw<'a>>, parallel: Option<Raw<'a>>, has_tools: bool) -> Result<Self, ApiError> {
        let alone = parallel.is_some_and(|parallel| parallel.json() == "false");
        let free = ToolChoice::Free { alone };
        let Some(choice) = choice.filter(|_| has_tools) else {
            return Ok(free);
        };
        if choice.is_object() {
            let [kind, function, name] = choice.fields(["type", "function", "name"]);
            let name = function.and_then(|function| function.text("name")).or_else(|| name?.string());
            let is_function = kind.is_none_or(|kind| kind.json() == r#""function""#);
            return match name.filter(|_| is_function) {
                Some(name) => Ok(ToolChoice::Named { name, alone }),
                None => Err(invalid("tool_choice", "`tool_choice` must name a function.")),
            };
        }
        match choice.string().as_deref() {
            Some("auto") => Ok(free),
            Some("none") => Ok(ToolChoice::None),
            Some("required") => Ok(ToolChoice::Any { alone }),
            Some(_) | None => {
                let message = "`tool_choice` must be \"none\", \"auto\", \"required\", or name a function.";
                Err(invalid("tool_choice", message))
            }
        }
    }

    /// Whether the model has to call a tool.
    pub fn is_forced(&self) -> bool {
        match self {
            ToolChoice::Any { .. } | ToolChoice::Named { .. } => true,
            ToolChoice::Free { .. } | ToolChoice::None => false,
        }
    }
}
